"""Online values built again from the lake: after a loss, in a new store, or when the log no longer holds what windows reach.

The lake's rows stand for the log up to the positions that ingestion committed with them; from there the server goes on by itself.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelway.errors import NotFoundError, StateError
from modelway.expressions.values import as_target, as_word
from modelway.features.lookback import statement_of
from modelway.features.online import OnlineValues, PastEvent, PastLabel, statements
from modelway.features.plan import Plan
from modelway.features.rows import compile_row, groups_of
from modelway.flow.feeding import ingest
from modelway.flow.online import wants_labels
from modelway.flow.reporting import server_address
from modelway.flow.runs import spec_of
from modelway.flow.serving import copies, values_name
from modelway.flow.sources import labels_topic
from modelway.ingest.source import APP
from modelway.records import Manifest, loads
from modelway.registry import versions
from modelway.spec.model import Spec
from modelway.state import champions
from modelway.workspace import Workspace

_BATCH = 5_000
_ORDER = ("_partition", "_offset", "_index")


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What went into the values; `upto` is the position of the source topic from which the server goes on."""

    version: str
    events: int
    labels: int
    statements: int
    upto: Mapping[int, int]


def rebuild(workspace: Workspace, model: str) -> Rebuilt:
    """Build the champion's online values again. Raises StateError while a server runs: it would answer from half of them."""
    if server_address(workspace) is not None:
        raise StateError(
            "the server runs, and would answer from values that are half built", "stop it first: end `modelway up`"
        )
    with workspace.database.read() as connection:
        number = champions.champion(connection, model)
    if number is None:
        raise NotFoundError(f"{model} has no version that serves", f"modelway release {model}")
    version = versions.get(workspace.database, model, number)
    manifest = loads(Manifest, workspace.artifacts.get(version.digest))
    plan, spec = Plan.from_plain(manifest.features), spec_of(workspace, manifest.spec)
    ingest(workspace, spec)
    built = [
        _built(workspace, name, spec, plan, f"{model}@{number}") for name in copies(workspace, values_name(manifest))
    ]
    return built[0]


def _built(workspace: Workspace, name: str, spec: Spec, plan: Plan, version: str) -> Rebuilt:
    values = workspace.online(name, groups_of(plan))
    try:
        values.clear()
        told = _labels(workspace, spec, plan, values) if wants_labels(plan) else 0
        said = sum(_statements(workspace, plan, values, table) for table in plan.tables)
        events = _events(workspace, spec, plan, values)
        return Rebuilt(version, events, told, said, values.upto())
    finally:
        values.close()


def _events(workspace: Workspace, spec: Spec, plan: Plan, values: OnlineValues) -> int:
    row = compile_row(plan)
    own = wants_labels(plan) and spec.data.labels is None

    def event(one: Mapping[str, Any]) -> PastEvent:
        made = row.event(one, one["_key"], one["_at"] or one["_arrived"], one["_arrived"])
        target = as_target(one.get(spec.data.target), plan.positive) if own else float("nan")
        if target != target:
            return made
        return PastEvent(made.key, made.at, made.arrived, made.entities, made.values, target, made.arrived)

    return _put(workspace, spec.topic, values, lambda rows: [event(one) for one in rows])


def _labels(workspace: Workspace, spec: Spec, plan: Plan, values: OnlineValues) -> int:
    count, topic = 0, labels_topic(spec)
    for rows in _batches(workspace, topic):
        told = [(as_word(one["_key"]), as_target(one["label"], plan.positive), one["_arrived"]) for one in rows]
        labels = [PastLabel(*one) for one in told if one[1] == one[1]]
        values.label(labels, {})
        count += len(labels)
    values.label([], workspace.lake.positions(topic, APP))
    return count


def _statements(workspace: Workspace, plan: Plan, values: OnlineValues, table: str) -> int:
    joins = [join for join in plan.joins if join.table == table]

    def said(rows: list[dict[str, Any]]) -> list[PastEvent]:
        places = (tuple(int(one[name]) for name in _ORDER) for one in rows)
        found = [
            statement_of(joins, one, one["_at"], one["_arrived"], (p, o, i))
            for one, (p, o, i) in zip(rows, places, strict=True)
            if one["_at"] is not None
        ]
        return [one for one in found if one is not None]

    return _put(workspace, table, values, said, statements(table))


def _put(workspace: Workspace, table: str, values: OnlineValues, made: Any, stream: str = "events") -> int:
    """The rows of a table, then the position that they stand for: a rebuild that dies is begun again."""
    count = 0
    for rows in _batches(workspace, table):
        events = made(rows)
        values.put(events, {}, stream)
        count += len(events)
    values.put([], workspace.lake.positions(table, APP), stream)
    return count


def _batches(workspace: Workspace, table: str) -> Iterator[list[dict[str, Any]]]:
    """In the order of the log."""
    if workspace.lake.version(table) is None:
        return
    rows = workspace.lake.read(table).sort("_arrived", *_ORDER)
    for start in range(0, rows.height, _BATCH):
        yield rows[start : start + _BATCH].rows(named=True)
