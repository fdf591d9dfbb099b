"""Batches with contracts, made by Hypothesis: every type, every rule, and the values at which two engines may part."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import strategies as st

from modelway.contracts.contract import Contract
from modelway.spec.contract import Check, ColumnType, Rule

TEXTS = [
    "", " ", "a", "b\n", "abc", "Abc", "é", "ß", "日本", "٣", "🙂", "a; b", "5", " 5 ", "1e400", "nan", "inf", "no", "2020-01-02",
    "x" * 90,
]  # fmt: skip
EDGES = [0.0, -0.0, 0.1, 0.25, 1.0, -1.0, 5.0, float("nan"), float("inf"), float("-inf"), 5e-324, 1.7e308, 2.0**53]
WHOLE = [0, 1, -1, 2, 3, 2**53, 2**53 + 1, 2**62 + 1, -(2**63), 2**63 - 1]
DAYS = [date(1, 1, 1), date(1969, 12, 31), date(2020, 1, 2), date(2024, 2, 29), date(9999, 12, 31)]
TIMES = [
    datetime(2020, 1, 2, tzinfo=UTC),
    datetime(2020, 1, 2, 12, 0, 0, 1, tzinfo=UTC),
    datetime(1700, 1, 1, tzinfo=UTC),
]
PATTERNS = ["^[ab]$", "^a", "c$", r"^\d+$", r"\w", "é", "^.{1,3}$", r"(a|b)\s?", "(?i)^abc$"]
SHARES = [0.0, 0.1, 0.29, 0.42, 0.5, 0.58, 1.0]
MISSING = 0.2


@dataclass(frozen=True)
class Case:
    """A batch and its contract; `columns` is how many contracts of one column it holds."""

    frame: pl.DataFrame
    contract: Contract
    columns: int


@st.composite
def cases(draw: st.DrawFn, columns: int = 12, most_rows: int = 12) -> Case:
    rows = draw(st.integers(0, most_rows))
    made, rules = {}, {}
    for number in range(columns):
        kind = draw(st.sampled_from(["float", "int", "string", "bool", "date", "datetime"]))
        name = f"{kind}_{number}"
        rules[name] = draw(_rule(kind))
        made[name] = draw(_values(kind, rows))
    checks = draw(_checks(rules, rows))
    return Case(pl.DataFrame(made), Contract(rules, tuple(checks)), columns)


@st.composite
def _rule(draw: st.DrawFn, kind: ColumnType) -> Rule:
    given: dict[str, Any] = {"type": kind}
    given |= {"nulls": draw(st.sampled_from(SHARES))} if draw(st.booleans()) else {}
    given |= {"unique": True} if draw(st.booleans()) else {}
    if kind in ("float", "int") and draw(st.booleans()):
        given |= draw(st.sampled_from([{"min": 0}, {"max": 3}, {"min": -1, "max": 2}]))
    if kind in ("date", "datetime") and draw(st.booleans()):
        given |= draw(
            st.sampled_from([{"min": "2020-01-02"}, {"max": "2020-01-02"}, {"min": "1900-01-01", "max": "2021-01-01"}])
        )
    if draw(st.booleans()):
        given |= {"in": draw(st.sampled_from(_SETS[kind]))}
    if kind == "string" and draw(st.booleans()):
        given |= {"pattern": draw(st.sampled_from(PATTERNS))}
    if kind in ("float", "string", "bool") and draw(st.booleans()):
        given |= {"distribution": draw(_distribution(kind))}
    return Rule.model_validate(given)


_SETS: dict[str, list[list[Any]]] = {
    "float": [[0, 1], [0.1, 0.25, 5]],
    "int": [[0, 1, 2], [9007199254740991, 3]],
    "string": [["a", "abc"], ["é", "日本", "5"]],
    "bool": [[True], [True, False]],
    "date": [["2020-01-02", "2024-02-29"]],
    "datetime": [["2020-01-02T00:00:00Z", "2020-01-02T12:00:00.000001Z"]],
}


@st.composite
def _distribution(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    least = {"min_rows": draw(st.sampled_from([0, 1, 5]))}
    if kind != "float":
        known = _SETS[kind][0]
        return least | {"new_categories": {"known": known, "most": draw(st.sampled_from(SHARES))}}
    bounds = st.sampled_from([{"min": 0}, {"max": 1}, {"min": -1, "max": 1}])
    share = draw(st.sampled_from(["0%", "25%", "50%", "0.9", "100%"]))
    return least | {"mean": draw(bounds), "quantiles": {share: draw(bounds)}}


@st.composite
def _values(draw: st.DrawFn, kind: str, rows: int) -> pl.Series:
    """As files and events bring them: in the column's own type, as text, or in another type."""
    strategy, dtype = draw(st.sampled_from(_RAW[kind]))
    values = draw(st.lists(st.none() | strategy | strategy | strategy, min_size=rows, max_size=rows))
    return pl.Series(values, dtype=dtype, strict=False)


_texts = st.sampled_from(TEXTS) | st.text(max_size=4)
_quarters = st.integers(-8, 8).map(lambda n: n / 4)
_decimals = st.integers(-300, 300).map(lambda n: Decimal(n) / 100)
_RAW: dict[str, list[tuple[st.SearchStrategy[Any], Any]]] = {
    "float": [
        (_quarters | st.sampled_from(EDGES[:11]), pl.Float64),
        (_quarters.map(str) | _texts, pl.String),
        (_decimals, pl.Decimal(10, 2)),
        (st.integers(-3, 3), pl.Int8),
        (_quarters, pl.Float32),
    ],
    "int": [
        (st.sampled_from(WHOLE) | st.integers(-3, 3), pl.Int64),
        (st.integers(-3, 3).map(str) | _texts, pl.String),
        (st.sampled_from(EDGES), pl.Float64),
        (st.booleans(), pl.Boolean),
    ],
    "string": [
        (_texts, pl.String),
        (st.sampled_from(["a", "é", ""]), pl.Categorical),
        (st.integers(-3, 3), pl.Int64),
        (st.lists(st.integers(0, 2), max_size=2), pl.List(pl.Int64)),
    ],
    "bool": [(st.booleans(), pl.Boolean), (st.sampled_from(["yes", "no", "0", "maybe"]), pl.String)],
    "date": [(st.sampled_from(DAYS), pl.Date), (st.sampled_from(DAYS).map(str) | _texts, pl.String)],
    "datetime": [
        (st.sampled_from(TIMES), pl.Datetime("us", "UTC")),
        (st.sampled_from(TIMES).map(lambda at: at.isoformat()) | _texts, pl.String),
        (st.sampled_from(DAYS), pl.Date),
    ],
}


@st.composite
def _checks(draw: st.DrawFn, rules: dict[str, Rule], rows: int) -> list[Check]:
    """Of those that have a counterpart."""
    by_kind: dict[str, list[str]] = {}
    for name, rule in rules.items():
        by_kind.setdefault(rule.type, []).append(name)
    found = []
    for kind, names in by_kind.items():
        if len(names) > 1 and kind in ("float", "date", "datetime"):
            sign = draw(st.sampled_from(["<", "<=", ">", ">=", "=="]))
            found.append(Check(expr=f"{names[0]} {sign} {names[1]}"))
        if len(names) > 1 and kind == "string":
            found.append(Check(expr=f"{names[0]} == {names[1]}"))
        if kind == "float":
            sign = draw(st.sampled_from(["<", "<=", ">", ">="]))
            found.append(Check(expr=f"{names[-1]} {sign} {draw(st.sampled_from(['0', '-0.5', '1']))}"))
        if kind == "string":
            found.append(Check(expr=f"{names[-1]} not in ['a', 'é']"))
    if len(rules) > 1 and draw(st.booleans()):
        found.append(Check(unique=tuple(list(rules)[:2])))
    if draw(st.booleans()):
        found.append(
            Check.model_validate({"volume": {"min": draw(st.integers(0, 6)), "max": draw(st.integers(6, 12))}})
        )
    return found
