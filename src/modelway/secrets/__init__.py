"""Passwords and addresses that stand in no file: read `port.py`."""
