"""Parity: the features of answered rows, computed once more from the lake, against those that the server logged.

A row is computed as of the time of its answer; where that differs, as of the very log position from which it was answered: an
event that was on its way then may carry an earlier time of arrival. What still differs was served wrong, unless a person was
erased since: such an answer may rightly have counted events that nobody holds any more.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from modelway.contracts.contract import from_plain
from modelway.contracts.table import check_table
from modelway.expressions.values import as_word
from modelway.features.leaks import same
from modelway.features.plan import Plan
from modelway.flow import frames
from modelway.flow.sources import predictions_topic, sharing_topic
from modelway.ingest.frames import rows_frame
from modelway.ingest.source import APP
from modelway.monitoring.look import Severity
from modelway.records import Manifest, Sources
from modelway.serving.servable import checked_columns, derived_columns
from modelway.spec.model import Spec
from modelway.state import erasures
from modelway.workspace import Workspace

PARITY = "parity"
_NAMED = 5
"""Events that a difference names."""
_FIELDS = ("key", "at", "served", "row", "upto", "features")


@dataclass(frozen=True, slots=True)
class Difference:
    """A feature of an answered row that the lake does not give; `events` are the latest that its window saw in the lake."""

    feature: str
    key: str
    at: datetime
    served: float | str
    right: float | str
    events: tuple[str, ...]
    entity: tuple[tuple[str, str], ...] = ()
    """Columns and values of the thing that the window or the join is about."""

    def __str__(self) -> str:
        between = ", ".join(self.events) or "none"
        about = "".join(f"{column} {value!r}, " for column, value in self.entity)
        return (
            f"{self.feature} of row {self.key} ({about}{self.at:%Y-%m-%d %H:%M:%S}) was served as {self.served!r}, and the lake"
            f" gives {self.right!r}; the latest events that it may see: {between}"
        )


@dataclass(frozen=True, slots=True)
class Parity:
    """How many answers were compared, and what differed."""

    compared: int
    differences: tuple[Difference, ...] = ()

    @property
    def causes(self) -> dict[str, tuple[Severity, str]]:
        """One alert a feature: the first difference, and how many more there are."""
        found: dict[str, list[Difference]] = {}
        for one in self.differences:
            found.setdefault(one.feature, []).append(one)
        return {
            f"{PARITY}: {feature}": ("page", f"{many[0]} ({len(many)} of {self.compared} answers differ)")
            for feature, many in found.items()
        }


def parity(workspace: Workspace, spec: Spec, manifest: Manifest, version: int, now: datetime) -> Parity:
    """Compare the latest `monitoring.parity` answers of a version; those that the lake does not reach up to yet are left out."""
    columns, plan = derived_columns(manifest), Plan.from_plain(manifest.features)
    asked = _asked(workspace, spec, version, now) if columns and plan.looks_back else pl.DataFrame()
    if not asked.height:
        return Parity(0)
    sources = Sources(now, frames.tables_of(workspace, spec), "")
    seen = _Lake(
        workspace,
        plan,
        frames.past_rows(workspace, spec, sources),
        {name: rows.collect() for name, rows in frames.joined_as_of(workspace, spec, sources).items()},
        workspace.lake.positions(spec.topic, APP),
    )
    asked = asked.filter(pl.Series([seen.reaches(upto) for upto in asked["upto"].to_list()], dtype=pl.Boolean))
    if not asked.height:
        return Parity(0)
    rows = _typed(asked, manifest)
    made = seen.compute(rows)
    names, erased = [column.name for column in columns], _erased(workspace, spec)
    differences: list[Difference] = []
    for n, logged in enumerate(map(json.loads, asked["features"].to_list())):
        served = dict(zip(names, (_value(value) for value in logged), strict=True))
        if not (wrong := _wrong(served, made.row(n, named=True))) or _before(asked["served"][n], erased):
            continue
        again = seen.compute(rows[n : n + 1], json.loads(asked["upto"][n])).row(0, named=True)
        row = rows.row(n, named=True)
        for name in wrong.intersection(_wrong(served, again)):
            events = tuple(seen.events_of(name, row))
            entity = tuple((column, as_word(row.get(column))) for column in entities_of(plan, name))
            differences.append(Difference(name, row["_key"], row["_at"], served[name], again[name], events, entity))
    order = {name: n for n, name in enumerate(names)}
    return Parity(asked.height, tuple(sorted(differences, key=lambda one: (order[one.feature], one.at, one.key))))


def entities_of(plan: Plan, feature: str) -> tuple[str, ...]:
    """The columns that name the thing which a feature is about; of an expression, those of the windows and joins that it uses."""
    by = {window.name: window.by for window in plan.windows} | {join.name: (join.on,) for join in plan.joins}
    used = {one.name: one.uses for one in plan.expressions}
    deeper = (column for name in used.get(feature, ()) for column in entities_of(plan, name))
    return by[feature] if feature in by else tuple(dict.fromkeys(deeper))


@dataclass(frozen=True)
class _Lake:
    """What the lake holds now of what windows and joins see."""

    workspace: Workspace
    plan: Plan
    events: pl.DataFrame
    tables: Mapping[str, pl.DataFrame]
    positions: Mapping[int, int]

    def reaches(self, upto: str) -> bool:
        wanted = json.loads(upto or "{}").items()
        return all(self.positions.get(int(partition), 0) >= end for partition, end in wanted)

    def compute(self, rows: pl.DataFrame, upto: Mapping[str, int] | None = None) -> pl.DataFrame:
        """The plan's columns of the rows; with `upto`, from events before that position alone."""
        events = self.events if self.events.height else rows.clear()
        if upto is not None and self.events.height:
            ends = pl.col("_partition").replace_strict({int(p): end for p, end in upto.items()}, default=0)
            events = events.filter(pl.col("_offset") < ends) if upto else events.clear()
        return self.workspace.features.compute(rows, events, self.plan, self.plan.same_instant, self.tables)

    def events_of(self, feature: str, row: Mapping[str, Any]) -> Iterator[str]:
        """The latest events that a window may see, by key and time."""
        window = next((one for one in self.plan.windows if one.name == feature), None)
        if window is None or not self.events.height:
            return
        since = row["_at"] - timedelta(microseconds=window.reach_us)
        until = row["_at"] - timedelta(microseconds=window.delay_us)
        near = self.events.filter((pl.col("_at") > since) & (pl.col("_at") <= until))
        for entity in window.by:
            near = near.filter(pl.Series([as_word(v) == as_word(row[entity]) for v in near[entity]], dtype=pl.Boolean))
        for key, at in near.sort("_at").select("_key", "_at").tail(_NAMED).iter_rows():
            yield f"{key} at {at:%Y-%m-%d %H:%M:%S}"


def _asked(workspace: Workspace, spec: Spec, version: int, now: datetime) -> pl.DataFrame:
    table = workspace.lake.version(predictions_topic(spec))
    scanned = None if table is None else workspace.lake.scan(table)
    if scanned is None or "features" not in scanned.collect_schema().names():
        return pl.DataFrame()
    good = (pl.col("version") == version) & (pl.col("status") == "ok") & ~pl.col("shadow") & (pl.col("_arrived") <= now)
    chosen = scanned.filter(good & pl.col("features").is_not_null()).select(*_FIELDS, *frames.ORDER)
    return chosen.top_k(spec.monitoring.parity, by="_arrived").collect().sort(*frames.ORDER)


def _erased(workspace: Workspace, spec: Spec) -> list[datetime | None]:
    """When each erasure from the topic was done; None while one is open."""
    of = {one.model for one in sharing_topic(workspace, spec)}
    return [one.done for one in erasures.requests(workspace.database) if one.model in of]


def _before(served: datetime, erased: Sequence[datetime | None]) -> bool:
    return any(done is None or served <= done for done in erased)


def _typed(asked: pl.DataFrame, manifest: Manifest) -> pl.DataFrame:
    inner = rows_frame([json.loads(text) for text in asked["row"].to_list()])
    place = asked.select("_partition", "_offset", "_index", _arrived="served", _key="key", _at="at")
    raw = place.hstack(inner.drop([name for name in inner.columns if name in place.columns]).get_columns())
    return check_table(raw, from_plain(manifest.contract).only(checked_columns(manifest)), None).accepted


def _value(value: Any) -> float | str:
    return float("nan") if value is None else value if isinstance(value, str) else float(value)


def _wrong(served: Mapping[str, float | str], right: Mapping[str, Any]) -> set[str]:
    return {name for name, value in served.items() if not _equal(value, right[name])}


def _equal(one: float | str, other: Any) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return bool(one == other)
    return same(one, other)
