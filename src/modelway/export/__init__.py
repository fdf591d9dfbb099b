"""A fitted estimator as one ONNX graph, exactly.

Read `build.py` first (`export_estimator`), then `pipeline.py`, which walks the steps, then a family: `numbers.py`,
`words.py`, `trees.py`, `hist_gradient_boosting.py`, `lightgbm.py`, `xgboost.py`, `catboost.py`, `linear.py`, `network.py`;
`composed.py` has the models made of models, and `stock.py` is for all the others.
`parity.py` compares graph and estimator on holdout and adversarial rows, and refuses the export when they differ.
"""
