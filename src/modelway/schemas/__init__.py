"""Schemas of values, by the number that stands in front of each value: read `port.py`."""
