"""The closed language of `expr`: text becomes a checked tree, compiled twice, for a row and for a table, to the same values.

`grammar.py` (text to tree), `meaning.py` (the law and the checks), `row.py` and `table.py` (the two compilers), `scalars.py`
(functions whose last bit both share), `values.py` (how one value is read).
"""
