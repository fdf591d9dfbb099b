"""The server: Open Inference Protocol V2 over REST, many models in one process, every answer an event.

Read `answer.py` first (rows → contract → features → graph → decision), then `app.py` (one request), `models.py` (which
versions are loaded, and how they are exchanged under load), `run.py` (the process). `client.py` is the other side.
A model that has no graph, and a challenger's graph (`graph_child.py`), answer in a process of their own (see `isolation`).
"""
