"""Modelway takes a machine-learning model from data to a monitored production service, and keeps it there."""

__version__ = "0.1.0"
