"""How one stage's record becomes the next one's input: the hands of `lifecycle.py`, one module a part of the loop.

A stage knows nothing of the others; here they meet, over an open workspace.
"""
