"""The control database: what is desired, what was decided, and who holds which step."""
