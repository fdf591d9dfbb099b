"""The server: Open Inference Protocol V2 over REST, many models in one process, every answer an event.

Read `answer.py` first (rows → contract → features → graph → decision), then `app.py` (one request), `models.py` (which
versions are loaded, and how they are exchanged under load), `run.py` (the process). `client.py` is the other side.
`python_process.py` asks a model that has no graph; `python_child.py` is what answers, in a process that imports nothing of ours.
`graph_child.py` is what answers with a challenger's graph, asked in the same way.
"""
