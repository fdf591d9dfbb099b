"""What may crash, hang or grow runs in a process of its own, with a limit on time and on memory.

`child.py` is that process: it answers batches, and imports nothing of ours. `live.py` starts one, asks it and ends it, `process.py`
keeps one for those who serve, and `offline.py` has one for a candidate before anybody is served. What answers with a graph stands
where graphs are opened: `serving/graph_child.py`, and `training/brought_child.py` for a team's own.
"""
