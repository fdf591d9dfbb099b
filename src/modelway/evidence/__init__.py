"""The one decision engine: is B better than A, not worse than A by more than a margin, worse, or can we not tell yet?

Read `decide.py` first: it turns an effect and its interval into a Finding. Then one method a file: fixed samples
(`delong.py`, `bootstrap.py`), any number of looks (`counts.py`, `slower.py`, `split.py`, `betting.py`, `multiply.py`), many
questions at once (`multiplicity.py`), two samples (`two_sample.py`), and where margins come from (`power.py`). Gates, canaries,
drift and retraining all ask here. Effects are B − A, turned so that positive is better. Every stated error rate is checked by
`tools/prove_evidence.py`.
"""
