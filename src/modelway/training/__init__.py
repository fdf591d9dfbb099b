"""Training: split, the user's model.py, search, fit, and what is told to the tracking server."""
