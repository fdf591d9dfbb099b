"""Figures of a running process, for a scraper or a collector: read `port.py`."""
