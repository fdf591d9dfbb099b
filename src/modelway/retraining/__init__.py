"""When a model trains again by itself: `policy.py` decides, pure; `flow/retraining.py` gathers the facts and opens the run."""
