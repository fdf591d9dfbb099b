"""Traces of requests, for whoever collects them: read `port.py`."""
