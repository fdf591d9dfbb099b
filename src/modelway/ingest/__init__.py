"""Event log → contract → lake and quarantine, exactly once. Read `batch.py` first."""
