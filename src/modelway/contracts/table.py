"""A contract over a table: every column once, vectorised; a breach is named by row, column, rule and value."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import polars as pl

from modelway.contracts.checked import BREACHES, Checked
from modelway.contracts.contract import Contract
from modelway.contracts.patterns import PLAIN_TEXT
from modelway.contracts.rules import Compiled, Question, compiled
from modelway.contracts.typed import typed
from modelway.contracts.values import as_string

_OURS = "_"


def check_table(frame: pl.DataFrame, contract: Contract, key: str | None) -> Checked:
    """Typed rows that hold, raw rows that do not, and every breach.

    Columns outside the contract become text, so that their type cannot change from batch to batch; ours (`_…`) stay.
    """
    columns: dict[str, pl.Series] = {}
    found: list[pl.DataFrame] = []
    keys = _keys(frame, key)
    for name, rule in contract.rules.items():
        ready = compiled(name, rule)
        raw = frame[name] if name in frame.columns else pl.Series(name, [None] * frame.height, dtype=pl.Null)
        values, wrong = typed(raw, rule.type)
        columns[name] = values
        found += [_named(part, ready, keys) for part in _breaches(ready, raw, values, wrong)]
    breaches = pl.concat(found).sort("row", maintain_order=True) if found else pl.DataFrame(schema=BREACHES)
    whole = frame.with_columns(*(_text(frame[c]) for c in _outside(frame, contract)), *columns.values())
    return _parted(frame, whole, breaches)


def _outside(frame: pl.DataFrame, contract: Contract) -> list[str]:
    return [name for name in frame.columns if name not in contract.rules and not name.startswith(_OURS)]


def _parted(frame: pl.DataFrame, whole: pl.DataFrame, breaches: pl.DataFrame) -> Checked:
    warned = breaches.filter(pl.col("action") == "warn").group_by("column", "rule").len().sort("column", "rule")
    warnings = {f"{column}: {rule}": count for column, rule, count in warned.iter_rows()}
    refusing = breaches.filter(pl.col("action") != "warn")
    if refusing.height == 0:
        return Checked(whole, _quarantined(frame, pl.DataFrame()), breaches, False, warnings)
    reasons = refusing.group_by("row", maintain_order=True).agg(pl.col("reason").str.join("; ").alias("_reasons"))
    rejecting = refusing.filter(pl.col("action") == "reject_batch")
    if rejecting.height:
        first = rejecting.row(0, named=True)
        others = f"the whole batch is rejected: row {first['row']}, {first['reason']}"
        every = pl.DataFrame({"row": pl.int_range(frame.height, eager=True)}).join(reasons, on="row", how="left")
        return Checked(
            whole.clear(),
            _quarantined(frame, every.with_columns(pl.col("_reasons").fill_null(others))),
            breaches,
            True,
            warnings,
        )
    keep = pl.Series([True]).new_from_index(0, frame.height)
    keep[reasons["row"]] = False
    return Checked(whole.filter(keep), _quarantined(frame, reasons), breaches, False, warnings)


def _quarantined(frame: pl.DataFrame, reasons: pl.DataFrame) -> pl.DataFrame:
    if reasons.height == 0:
        return frame.clear().with_columns(pl.lit(None, pl.String).alias("_reasons"))
    return frame[reasons["row"]].with_columns(reasons["_reasons"])


def _breaches(rule: Compiled, raw: pl.Series, values: pl.Series, wrong: pl.Series) -> Iterator[pl.DataFrame]:
    """One frame a rule that is broken: row, rule, value, reason."""
    if wrong.any():
        yield _said(wrong, "type", raw, rule.wrong)
    missing = values.is_null() & ~wrong
    if rule.nulls is not None and missing.sum() > rule.nulls * values.len():
        said = (
            rule.missing
            if rule.no_nulls
            else f"{rule.missing} in {missing.sum() / values.len():.1%} of the batch, above {rule.nulls:.1%}"
        )
        yield _said(missing, "nulls", raw, lambda _: said)
    if rule.unique:
        again = values.is_not_null() & ~values.is_first_distinct()
        if again.any():
            yield _said(again, "unique", raw, lambda v: f"{rule.column}: {v} was there before in this batch")
    for question in rule.questions:
        if (broken := _asked(question, values)).any():
            yield _said(broken, question.name, values, question.words)


def _asked(question: Question, values: pl.Series) -> pl.Series:
    """Which rows break it: bounds and most patterns at once, all else by distinct value."""
    if question.bound is not None and values.dtype.is_numeric():
        mask = values < question.bound if question.name == "min" else values > question.bound
        return mask.fill_null(False)
    if question.pattern is not None and values.dtype == pl.String and _taken(question.pattern):
        plain = values.str.contains(PLAIN_TEXT).fill_null(True)
        broken = plain & ~values.str.contains(question.pattern).fill_null(True)
        return broken if plain.all() else broken | _asked_each(question, values.set(plain, None))
    return _asked_each(question, values)


@lru_cache(maxsize=256)
def _taken(pattern: str) -> bool:
    """Whether Rust's engine takes a pattern: it refuses those that grow beyond its bound, such as a word of 900 letters."""
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.ComputeError:
        return False
    return True


def _asked_each(question: Question, values: pl.Series) -> pl.Series:
    distinct = values.drop_nulls().unique()
    bad = [value for value in distinct.to_list() if question.breaks(value)]
    if not bad:
        return pl.Series([False]).new_from_index(0, values.len())
    return values.is_in(pl.Series(bad, dtype=values.dtype).implode()).fill_null(False)


def _said(mask: pl.Series, rule: str, values: pl.Series, words: Callable[[Any], str]) -> pl.DataFrame:
    rows = mask.arg_true().cast(pl.Int64)
    given = values.filter(mask).to_list()
    return pl.DataFrame(
        {
            "row": rows,
            "rule": [rule] * len(given),
            "value": [str(as_string(value) or "") if value is not None else "" for value in given],
            "reason": [words(value) for value in given],
        },
        schema_overrides={"rule": pl.String, "value": pl.String, "reason": pl.String},
    )


def _named(part: pl.DataFrame, rule: Compiled, keys: pl.Series) -> pl.DataFrame:
    named = part.with_columns(
        keys.gather(part["row"]).alias("key"), pl.lit(rule.column).alias("column"), pl.lit(rule.action).alias("action")
    )
    return named.select(pl.col(name).cast(kind) for name, kind in BREACHES.items())


def _keys(frame: pl.DataFrame, key: str | None) -> pl.Series:
    name = key if key in frame.columns else "_key"
    if name not in frame.columns:
        return pl.Series("key", [None], dtype=pl.String).new_from_index(0, frame.height)
    return _text(frame[name]).alias("key")


def _text(values: pl.Series) -> pl.Series:
    if values.dtype == pl.Binary:
        return values.cast(pl.String, strict=False)
    if values.dtype.is_nested():
        return pl.Series(values.name, [None if v is None else str(v) for v in values.to_list()], dtype=pl.String)
    return typed(values, "string")[0]
