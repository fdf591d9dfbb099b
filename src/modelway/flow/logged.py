"""What the log of a model's answers holds for another version: rows as clients sent them, and derived values as they were served.

A derived column of the other version that is defined as in the version that answered has the very value that was served; one that
is not is computed again from the row, as of its answer.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import polars as pl

from modelway.contracts.contract import from_plain
from modelway.contracts.row import compile_row as compile_check
from modelway.contracts.table import check_table
from modelway.errors import DataError
from modelway.features.derived import TARGET, Expression, Joined, Window
from modelway.features.plan import Plan
from modelway.features.rows import compile_row
from modelway.flow import frames
from modelway.flow.sources import predictions_topic
from modelway.ingest.frames import rows_frame
from modelway.ingest.predictions import SCHEMA
from modelway.records import Manifest, Sources, loads
from modelway.registry import versions
from modelway.serving.servable import checked_columns, derived_columns
from modelway.spec.model import Spec
from modelway.workspace import Workspace

MOST_ROWS = 100_000
"""Of more rows the latest are answered again."""
_FIELDS = ("request", "index", "key", "at", "served", "version", "status", "row", "scores", "prediction", "features")
_PLACE = ("_partition", "_offset", "_index")
_MOMENT = pl.Datetime("us", "UTC")

Cells = tuple[float | str, ...]
"""The derived values of a row, in the order of the version's derived columns."""


@dataclass(frozen=True)
class Made:
    """Derived values by row of the log; None where the row does not give them."""

    cells: Sequence[Cells | None]
    served: tuple[str, ...]
    """Columns whose values are those that were served, in every row that had any."""
    recomputed: tuple[str, ...]
    """Columns that were computed again, in some row at least."""


def logged(workspace: Workspace, spec: Spec, version: int, since: datetime, until: datetime) -> pl.DataFrame:
    """Answers to clients that arrived in (since, until], in that order; of a repeated one the last. Requests that named their
    version are left out; so are answers of `version` itself, unless no other version answered."""
    table = workspace.lake.version(predictions_topic(spec))
    if table is None:
        return pl.DataFrame(schema={name: SCHEMA[name] for name in _FIELDS})
    scanned = workspace.lake.scan(table)
    there = scanned.collect_schema().names()
    wanted = (pl.col("_arrived") > since) & (pl.col("_arrived") <= until) & ~pl.col("shadow")
    if "pinned" in there:
        wanted &= ~pl.col("pinned").fill_null(False)
    late = [pl.lit(None, SCHEMA[name]).alias(name) for name in _FIELDS if name not in there]
    columns = [name for name in _FIELDS if name in there]
    chosen = scanned.filter(wanted).select(*columns, *late, *(name for name in frames.ORDER if name not in columns))
    others = chosen.filter(pl.col("version") != version).top_k(MOST_ROWS, by="_arrived").collect()
    found = others if others.height else chosen.top_k(MOST_ROWS, by="_arrived").collect()
    return found.sort(*frames.ORDER).unique(["request", "index", "version"], keep="last", maintain_order=True)


def made_of(workspace: Workspace, spec: Spec, manifest: Manifest, rows: pl.DataFrame, now: datetime) -> Made:
    """The derived values of a version for the rows of the log."""
    columns, plan = [c.name for c in derived_columns(manifest)], Plan.from_plain(manifest.features)
    kept = _served(workspace, spec, plan, columns, rows)
    lacking = [n for n, values in enumerate(kept) if len(values) < len(columns)]
    again = _recomputed(workspace, spec, manifest, plan, rows[lacking], now) if lacking else []
    other = {column for n in lacking if kept[n] for column in columns if column not in kept[n]}
    if not any(kept):
        other = set(columns)
    for n, values in zip(lacking, again, strict=True):
        kept[n] = {**values, **kept[n]} if values else {}
    cells = [tuple(values[name] for name in columns) if len(values) == len(columns) else None for values in kept]
    return Made(cells, tuple(c for c in columns if c not in other), tuple(c for c in columns if c in other))


def made_at(made: Made, places: Sequence[int]) -> Made:
    """Of the rows at these places alone."""
    return replace(made, cells=[made.cells[n] for n in places])


def equal_definitions(name: str, one: Plan, other: Plan) -> bool:
    """Whether a column has the same value in both plans, for the same row and the same past."""
    ours, theirs = _derived(one).get(name), _derived(other).get(name)
    if ours is None and theirs is None:
        return one.natures.get(name) == other.natures.get(name) and _type(name, one) == _type(name, other)
    if ours is None or theirs is None or ours != theirs or one.event_time != other.event_time:
        return False
    if not isinstance(ours, Expression):
        if (one.lag_us, one.same_instant) != (other.lag_us, other.same_instant):
            return False
        if isinstance(ours, Window) and ours.of == TARGET and one.positive != other.positive:
            return False
    return all(equal_definitions(used, one, other) for used in _uses(ours))


def _derived(plan: Plan) -> dict[str, Expression | Window | Joined]:
    found: list[Expression | Window | Joined] = [*plan.expressions, *plan.windows, *plan.joins]
    return {one.name: one for one in found}


def _uses(one: Expression | Window | Joined) -> tuple[str, ...]:
    if isinstance(one, Expression):
        return one.uses
    if isinstance(one, Joined):
        return (one.on,)
    return (*one.by, *((one.of,) if one.of not in ("", TARGET) else ()))


def _type(name: str, plan: Plan) -> str:
    return next((i.type for i in plan.inputs if i.name == name), "")


def _served(
    workspace: Workspace, spec: Spec, plan: Plan, columns: Sequence[str], rows: pl.DataFrame
) -> list[dict[str, float | str]]:
    """By row what was served of these columns; nothing of a row that was refused."""
    found: list[dict[str, float | str]] = [{} for _ in range(rows.height)]
    if not columns:
        return found
    known: dict[int, list[tuple[int, str, bool]]] = {}
    for n, (number, text) in enumerate(rows.select("version", "features").iter_rows()):
        if text is None:
            continue
        if number not in known:
            known[number] = _shared(workspace, spec, plan, columns, number)
        values = json.loads(text)
        found[n] = {name: _value(values[place], word) for place, name, word in known[number]}
    return found


def _shared(
    workspace: Workspace, spec: Spec, plan: Plan, columns: Sequence[str], number: int
) -> list[tuple[int, str, bool]]:
    """Place among the version's logged values, name, and whether it is a word: of the columns that are the same there."""
    theirs = loads(Manifest, workspace.artifacts.get(versions.get(workspace.database, spec.model, number).digest))
    other, wanted = Plan.from_plain(theirs.features), set(columns)
    return [
        (place, column.name, column.kind == "word")
        for place, column in enumerate(derived_columns(theirs))
        if column.name in wanted and equal_definitions(column.name, plan, other)
    ]


def _value(value: Any, word: bool) -> float | str:
    """As it entered the graph: JSON has no NaN."""
    if word:
        return "" if value is None else str(value)
    return float("nan") if value is None else float(value)


def _recomputed(
    workspace: Workspace, spec: Spec, manifest: Manifest, plan: Plan, rows: pl.DataFrame, now: datetime
) -> list[Mapping[str, float | str]]:
    """By row all derived values; {} of a row that the version's contract refuses, or whose features cannot be computed."""
    check = compile_check(from_plain(manifest.contract).only(checked_columns(manifest)))
    raws = [json.loads(text) for text in rows["row"].to_list()]
    if plan.looks_back:
        good = [n for n, raw in enumerate(raws) if not check(raw)[1]]
        found: list[Mapping[str, float | str]] = [{} for _ in raws]
        made = _by_engine(workspace, spec, manifest, plan, rows[good], [raws[n] for n in good], now) if good else {}
        for n in good:
            found[n] = made.get(rows.select(_PLACE).row(n), {})
        return found
    return list(map(partial(_by_row, check, compile_row(plan), plan), raws, rows["key"], rows["at"], rows["served"]))


def _by_row(
    check: Any, features: Any, plan: Plan, raw: Mapping[str, Any], key: str, at: datetime, served: datetime
) -> Mapping[str, float | str]:
    typed, reasons = check(raw)
    if reasons:
        return {}
    try:
        numbers, words = features({**raw, **typed}, key, at, None, served)
    except DataError:
        return {}
    sides = {"number": iter(numbers), "word": iter(words)}
    return {column.name: next(sides[column.kind]) for column in plan.columns}


def _by_engine(
    workspace: Workspace,
    spec: Spec,
    manifest: Manifest,
    plan: Plan,
    rows: pl.DataFrame,
    raws: Sequence[Mapping[str, Any]],
    now: datetime,
) -> dict[tuple[int, int, int], Mapping[str, float | str]]:
    """By place in the log, as of the moment of the answer, from what the lake holds."""
    place = rows.select(*_PLACE, _arrived="served", _key="key", _at="at")
    inner = rows_frame(raws)
    whole = place.hstack(inner.drop([name for name in inner.columns if name in place.columns]).get_columns())
    contract = from_plain(manifest.contract).only(checked_columns(manifest)).by_row()
    typed = check_table(whole, contract, None).accepted
    sources = Sources(now, frames.tables_of(workspace, spec), "")
    events = frames.past_rows(workspace, spec, sources) if plan.windows else typed.clear()
    if events.height:
        farthest = timedelta(microseconds=max(window.reach_us for window in plan.windows))
        first, last = typed["_at"].min(), typed["_at"].max()
        events = events.filter(
            (pl.col("_at") > pl.lit(first, _MOMENT) - farthest) & (pl.col("_at") <= pl.lit(last, _MOMENT))
        )
    tables = frames.joined_as_of(workspace, spec, sources)
    computed = workspace.features.compute(
        typed, events if events.height else typed.clear(), plan, plan.same_instant, tables
    )
    columns = [column.name for column in derived_columns(manifest)]
    values = computed.select(*_PLACE, *columns).iter_rows(named=True)
    return {tuple(row[p] for p in _PLACE): {name: row[name] for name in columns} for row in values}
