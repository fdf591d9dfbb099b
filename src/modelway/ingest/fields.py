"""Fields that the contract does not name: they become columns of the table, unless it cannot hold them.

A table tells columns apart without regard to case, and keeps the type that a column had first. One record with a field that
does not fit is refused for it: it must not stop the topic.
"""

from collections.abc import Callable, Collection

import polars as pl

from modelway.ingest.decode import Decoded
from modelway.ingest.refused import raw_rows
from modelway.lake.fitting import holds

MOST = 1_000
"""Columns of a table: a record with more would make every commit slow, for ever."""
_TOO_MANY = f"the record brings more fields than the {MOST:,} columns that a table may have"


def demand_fields(
    decoded: Decoded, named: Collection[str], stored: Callable[[], pl.Schema], key: str | None
) -> Decoded:
    """Rows whose further fields the table can hold; the others are refused, with reasons. `stored` is asked if there are any."""
    rows = decoded.rows
    further = [name for name in rows.columns if not name.startswith("_") and name not in named]
    if not further:
        return decoded
    known = stored()
    reasons = _reasons(rows.select(further), named, known)
    odd = reasons != ""
    if not odd.any():
        return decoded
    stay = rows.filter(~odd)
    empty = [name for name in further if name not in known and stay[name].null_count() == stay.height]
    refused = raw_rows(_safe(rows.with_columns(reasons).filter(odd)), key)
    return Decoded(stay.drop(empty), pl.concat([decoded.bad, refused]), decoded.tombstones, decoded.events)


def _reasons(fields: pl.DataFrame, named: Collection[str], stored: pl.Schema) -> pl.Series:
    """Why each row is refused; "" where it is not."""
    room = MOST - len({*named, *stored})
    new = [name for name in fields.columns if name not in stored]
    crowded = pl.repeat(False, fields.height, eager=True)
    if len(new) > room:
        crowded = fields.select(pl.sum_horizontal(pl.col(name).is_not_null() for name in new)).to_series() > room
    others = fields.filter(~crowded)
    left = [name for name in fields.columns if others[name].null_count() < others.height]
    told = [pl.when(crowded).then(pl.lit(_TOO_MANY))]
    for reason, names in _strange(others.select(left), named, stored, room).items():
        told.append(pl.when(pl.any_horizontal(pl.col(name).is_not_null() for name in names)).then(pl.lit(reason)))
    return fields.select(pl.concat_str(told, separator="; ", ignore_nulls=True).alias("_reasons")).to_series()


def _strange(fields: pl.DataFrame, named: Collection[str], stored: pl.Schema, room: int) -> dict[str, list[str]]:
    """By reason, the fields that are no further columns; so many new ones have room."""
    found: dict[str, list[str]] = {}
    alike = {name.casefold(): name for name in (*named, *stored)}
    for values in fields.iter_columns():
        reason, name = "", values.name
        if not name or "\0" in name:
            reason = f"the field {name!r} has no name that a column can have"
        elif (other := alike.setdefault(name.casefold(), name)) != name:
            reason = f"the field {name!r} differs from {other!r} in nothing but case"
        elif name in stored:
            if not _holds(stored[name], values):
                reason = f"the field {name!r} is {stored[name]} in the table, and {values.dtype} here"
        else:
            room -= 1
            reason = _TOO_MANY if room < 0 else ""
        if reason:
            found.setdefault(reason, []).append(name)
    return found


def _holds(want: pl.DataType, values: pl.Series) -> bool:
    """A contract makes text of what it does not name; times of another precision are the table's own matter."""
    return want == pl.String or holds(want, values) or (values.dtype.is_temporal() and want.is_temporal())


def _safe(rows: pl.DataFrame) -> pl.DataFrame:
    """Names as JSON can hold them."""
    return rows.rename({name: name.replace("\0", "\\0") for name in rows.columns if "\0" in name})
