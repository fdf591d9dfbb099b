"""Is a candidate good enough to serve? Gates with intervals on the holdout; pure functions of scores and targets.

Read `gates.py` first: it judges a candidate. `absolute.py` (a bound), `against.py` (baseline and champion, on the same
rows), `fairness.py` and `latency.py` are the kinds of gate; `metrics.py` says what a metric is, `intervals.py` how sure it
is, `operating_point.py` how scores become decisions, `margins.py` what the holdout has the power to show.
"""
