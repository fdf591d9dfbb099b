"""The lake: Delta tables with exactly-once append, time travel and pinned versions."""
