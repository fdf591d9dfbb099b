"""From a registered version to the champion, step by step and on evidence only.

Read `release.py` first (the state machine, pure), then `store.py` (where a release stands, in the control database), `routes.py`
(a release as shares of the requests), and `traffic.py`, the port through which a router learns of them.
"""
