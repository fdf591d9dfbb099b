"""From a registered version to the champion, step by step and on evidence only.

Read `release.py` first (the state machine, pure), then what it asks: `guards.py` (what stops a release) and `promotion.py` (what
is missing for more weight); `standing.py` says what each state allows. `store.py` is where a release stands, in the control
database, `routes.py` a release as shares of the requests, and `traffic.py` the port through which a router learns of them.

Several versions at a time, with fixed shares until a stated end, are an experiment: `experiment.py` (a look, pure),
`experiment_report.py` (what was shown), `experiments.py` (where it stands).
"""
