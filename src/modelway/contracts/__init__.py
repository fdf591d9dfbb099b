"""What each column must hold: one declaration, compiled to one pass over a table and to a function of a row.

`table.py` and `row.py` both read values as `values.py` says and give the same verdicts.
"""
