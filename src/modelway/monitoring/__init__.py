"""Watching a version that serves. What was kept of its training rows (`profile.py`) against the latest requests (`drift.py`),
its matured answers against its holdout (`performance.py`), its refusals and its volume (`quality.py`): one look (`look.py`), of
which follow causes, of which follow alerts (`alerts.py`), that go to sinks (`sinks.py`).
"""
