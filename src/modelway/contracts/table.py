"""A contract over a table: all columns in one vectorised pass; a breach is named by row, column, rule and value.

Nets catch the rows that may break a rule (`nets.py`), and the law is asked of those alone (`rules.py`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from modelway.contracts.across import broken_across_rows, broken_conditions
from modelway.contracts.breaches import of_values
from modelway.contracts.checked import BREACHES, Checked
from modelway.contracts.conditions import conditions
from modelway.contracts.contract import Contract
from modelway.contracts.nets import Net, catch, nets_of, repeated
from modelway.contracts.rules import Compiled, Question, compiled
from modelway.contracts.typed import typed
from modelway.contracts.values import shown
from modelway.contracts.whole import ARRIVED, broken_batch, broken_distributions

_OURS = "_"


Lookup = Callable[[str], pl.Series]
"""TABLE.COLUMN → the values that are there; raises ContractError where there is no such table or column."""


def check_table(frame: pl.DataFrame, contract: Contract, key: str | None, lookup: Lookup | None = None) -> Checked:
    """Typed rows that hold, raw rows that do not, and every breach.

    Columns outside the contract become text, so that their type cannot change from batch to batch; ours (`_…`) stay. Without
    `lookup` nothing is asked of other tables.
    """
    columns = [_read(frame, name, compiled(name, rule)) for name, rule in contract.rules.items()]
    values = pl.DataFrame([column.values for column in columns])
    found = [part for column, caught in _caught(columns, values) for part in _breaches(column, caught, lookup)]
    found += broken_conditions(values, conditions(contract.rules, contract.checks))
    found += broken_across_rows(values, contract.checks, contract.event_time)
    found += broken_distributions(values, contract.rules)
    arrived = frame[ARRIVED] if ARRIVED in frame.columns else None
    for check in contract.checks:
        found += broken_batch(values, arrived, check, contract.event_time)
    breaches = pl.concat(found).sort("row", maintain_order=True) if found else pl.DataFrame(schema=BREACHES)
    return Checked(
        frame, (*(_text(frame[c]) for c in _outside(frame, contract)), *values), _keyed(breaches, frame, key)
    )


@dataclass(frozen=True)
class _Read:
    """A column as it came and as it was read; `wrong`: which rows hold a value that is none of the type."""

    rule: Compiled
    raw: pl.Series
    values: pl.Series
    wrong: pl.Series


Caught = Sequence[tuple[Net, pl.Series]]


def _read(frame: pl.DataFrame, name: str, rule: Compiled) -> _Read:
    raw = frame[name] if name in frame.columns else pl.Series(name, [None] * frame.height, dtype=pl.Null)
    return _Read(rule, raw, *typed(raw, rule.kind))


def _caught(columns: Sequence[_Read], values: pl.DataFrame) -> Iterator[tuple[_Read, Caught]]:
    """Each column with its nets and the rows in them."""
    nets = [list(nets_of(column.rule, column.values.dtype)) for column in columns]
    rows = iter(catch(values, [net for own in nets for net in own]))
    for column, own in zip(columns, nets, strict=True):
        yield column, [(net, next(rows)) for net in own]


def _outside(frame: pl.DataFrame, contract: Contract) -> list[str]:
    return [name for name in frame.columns if name not in contract.rules and not name.startswith(_OURS)]


def _breaches(column: _Read, caught: Caught, lookup: Lookup | None) -> Iterator[pl.DataFrame]:
    """One frame a rule that is broken."""
    rule, raw, values, wrong = column.rule, column.raw, column.values, column.wrong

    def said(name: str, rows: pl.Series, given: pl.Series, words: Callable[[Any], str]) -> pl.DataFrame:
        return of_values(rule.column, name, rule.action(name), rows, given, words)

    misfits = int(wrong.sum())
    if misfits:
        yield said("type", wrong.arg_true(), raw, rule.wrong)
    missing = values.null_count() - misfits
    if rule.too_many(missing, values.len()):
        share = f"{missing / values.len():.1%} of the batch, above {rule.nulls:.1%}"
        words = rule.missing if rule.no_nulls else f"{rule.missing} in {share}"
        yield said("nulls", (values.is_null() & ~wrong).arg_true(), raw, lambda _: words)
    if rule.unique and (again := repeated(values)).len():
        yield said("unique", again, values, lambda v: f"{rule.column}: {shown(v)} was there before in this batch")
    for net, rows in caught:
        if rows.len():
            for question, broken in _broken(net, values, rows):
                yield said(question.name, broken, values, question.words)
    if rule.references and lookup and (unknown := _unknown(values, rule, lookup(rule.references))).len():
        yield said("references", unknown, values, lambda v: f"{rule.column}: {shown(v)} is not in {rule.references}")


def _unknown(values: pl.Series, rule: Compiled, there: pl.Series) -> pl.Series:
    """Rows whose value is not among those of another table, read under this column's type."""
    known = typed(there, rule.kind)[0].drop_nulls().unique()
    return (values.is_not_null() & ~values.is_in(known.implode())).arg_true()


def _broken(net: Net, values: pl.Series, rows: pl.Series) -> Iterator[tuple[Question, pl.Series]]:
    """Those of the caught rows that break a question: each distinct value is asked once, in Python, which is the law."""
    there = values.gather(rows)
    distinct = there.unique()
    for question in net.questions:
        bad = [value for value in distinct.to_list() if value is not None and question.breaks(value)]
        if len(bad) == distinct.len():
            yield question, rows
        elif bad:
            yield question, rows.filter(there.is_in(pl.Series(bad, dtype=values.dtype).implode()).fill_null(False))


def _keyed(breaches: pl.DataFrame, frame: pl.DataFrame, key: str | None) -> pl.DataFrame:
    """With the keys of their rows, as text."""
    name = key if key in frame.columns else "_key"
    if name not in frame.columns:
        return breaches
    return breaches.with_columns(_text(frame[name].gather(breaches["row"])).alias("key"))


def _text(values: pl.Series) -> pl.Series:
    if values.dtype == pl.Binary:
        return values.cast(pl.String, strict=False)
    if values.dtype.is_nested():
        return pl.Series(values.name, [None if v is None else str(v) for v in values.to_list()], dtype=pl.String)
    return typed(values, "string")[0]
