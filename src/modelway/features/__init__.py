"""Features: declared once, and compiled twice, for tables and for rows, to the same values.

Read `plan.py` first: which columns enter the graph. Expressions are the language of `modelway.expressions`.
Windows are aggregated at the decision's time: for tables by `arrays.py` (stretches of sorted arrays; `ibis.py` does the same by a
range join in DuckDB), for one row by `rows.py` over the online values of `online.py`, in code that `evaluator.py` generates. Sums
are exact (`exact.py`), so that both sides agree to the last bit in any order. `naive.py` is the slow, obvious reference with
which `leaks.py` looks for leaks.
"""
