"""From a data file to a model project: `new.py` writes what `look.py` found."""
