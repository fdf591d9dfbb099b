"""Features: declared once, and compiled twice, for tables and for rows, to the same values.

Read `plan.py` first: which columns enter the graph. Expressions go from `grammar.py` (text to tree) over `meaning.py` (the law
and the checks) to `row_expressions.py` and `table_expressions.py`. Windows are aggregated at the decision's time: by `ibis.py`
for tables (a range join, then filtered aggregates), by `rows.py` for one row, over the online values of `online.py`. Sums are
exact (`exact.py`), so that both sides agree to the last bit in any order. `naive.py` is the slow, obvious reference with which
`leaks.py` looks for leaks.
"""
