"""Versions: every candidate, accepted or refused, with its verdicts, under a number of its model."""
