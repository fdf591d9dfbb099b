"""Breaches as a table: of single rows, and of a batch as a whole."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from modelway.contracts.checked import BREACHES
from modelway.contracts.values import WRONG, as_string
from modelway.spec.contract import Action


def of_values(
    column: str, name: str, action: Action, rows: pl.Series, values: pl.Series, words: Callable[[Any], str]
) -> pl.DataFrame:
    """Breaches of one rule of a column, without keys; each distinct value is put into words once."""
    given = values.gather(rows).to_list()
    if values.dtype.is_nested():
        told = [_words(value, words) for value in given]
    else:
        said = {value: _words(value, words) for value in set(given)}
        told = [said[value] for value in given]
    return _breaches(column, name, action, rows, [value for value, _ in told], [reason for _, reason in told])


def of_rows(
    columns: Sequence[str],
    name: str,
    action: Action,
    rows: pl.Series,
    values: Callable[[Mapping[str, Any]], str],
    words: Callable[[Mapping[str, Any]], str],
    frame: pl.DataFrame,
) -> pl.DataFrame:
    """Breaches of a check across columns; `frame` has a line for each of `rows`."""
    given = frame.to_dicts()
    told = ", ".join(columns)
    return _breaches(told, name, action, rows, [values(one) for one in given], [words(one) for one in given])


def of_batch(column: str, name: str, action: Action, value: str, reason: str) -> pl.DataFrame:
    """One breach that no row is to blame for."""
    nobody = pl.Series([None], dtype=pl.Int64)
    return _breaches(column, name, action, nobody, [value], [reason])


def _breaches(
    column: str, name: str, action: Action, rows: pl.Series, values: Sequence[str], reasons: Sequence[str]
) -> pl.DataFrame:
    columns = {
        "row": rows.cast(pl.Int64),
        "key": _always(None, len(values)),
        "column": _always(column, len(values)),
        "rule": _always(name, len(values)),
        "value": pl.Series(values, dtype=pl.String),
        "action": _always(action, len(values)),
        "reason": pl.Series(reasons, dtype=pl.String),
    }
    return pl.DataFrame(columns, schema=BREACHES)


def _always(text: str | None, rows: int) -> pl.Series:
    return pl.Series([text], dtype=pl.String).new_from_index(0, rows)


def _words(value: Any, words: Callable[[Any], str]) -> tuple[str, str]:
    text = as_string(value)
    return str(value) if text is WRONG else text or "", words(value)
