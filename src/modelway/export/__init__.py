"""A fitted estimator as one ONNX graph, exactly.

Read `build.py` first (`export_estimator`), then `pipeline.py`, which walks the steps; `transformers.py` and `families.py`
say which file writes which class: `numbers.py`, `words.py`, `bins.py`, `trees.py`, `xgboost.py`, `network.py` and so on;
`composed.py` has the models made of models, and `stock.py` is for all the others.
`parity.py` compares graph and estimator on holdout and adversarial rows, and refuses the export when they differ.
"""
