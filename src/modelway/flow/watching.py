"""A look at the version that serves: its latest answers and their labels, read from the tables; the alerts that follow.

Drift is judged on the latest `monitoring.drift.window` answers of the champion, performance on the latest as many that have a
final label; quality and volume on all requests since the look before.
"""

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from modelway.errors import EngineError, ModelwayError
from modelway.flow import answered
from modelway.flow.parity import PARITY, Parity, parity
from modelway.flow.stuck import book_away, book_back, is_away
from modelway.monitoring import alerts, looks
from modelway.monitoring.alerts import AlertSink
from modelway.monitoring.drift import drift
from modelway.monitoring.look import Look, causes, judged
from modelway.monitoring.performance import Performance, performance
from modelway.monitoring.profile import Profile, read_profile
from modelway.monitoring.quality import EARLIER_LOOKS, SHORTEST_DAYS, quality, volume
from modelway.monitoring.sinks import open_sinks
from modelway.records import DriftFinding, Manifest, Version, loads
from modelway.registry import versions
from modelway.state import champions
from modelway.state.leases import Lease
from modelway.state.schema import settings
from modelway.workspace import Workspace

if TYPE_CHECKING:
    import polars as pl

    from modelway.spec.model import Spec

_log = logging.getLogger("modelway.monitoring")
TROUBLE = "trouble"


def watch(workspace: Workspace, spec: "Spec", lease: Lease | None = None) -> None:
    """Look when it is time (`monitoring.every`), book what follows, and send the alerts that wait."""
    database, now = workspace.database, workspace.clock.now()
    before = looks.last(database, spec.model)
    if before is None or now - before.at >= spec.monitoring.every:
        seen = look(workspace, spec, now)
        if seen is not None:
            alerts.book(database, spec.model, seen.causes, now, lease, judged(seen, before))
            looks.keep(database, seen, lease)
            compared = compare(workspace, spec, seen.version, now)
            alerts.book(database, spec.model, compared.causes, now, lease, {PARITY})
    sinks = workspace.sinks(spec)
    _end_trouble(workspace, spec.model, now, lease)
    alerts.deliver(database, sinks, now, model=spec.model)


def trouble(workspace: Workspace, model: str, error: ModelwayError) -> None:
    """A tick that failed is an alert, one for each problem; it is over after a whole tick without.

    A log that is away is one cause, whoever finds it: the alert is the ingesting processes' too.
    """
    now = workspace.clock.now()
    cause = f"{TROUBLE}: {_lasting(error.problem)}"
    try:
        _mark(workspace, model, "failed")
        if is_away(error):
            book_away(workspace, model, error)
        else:
            alerts.book(workspace.database, model, {cause: ("ticket", str(error))}, now, scope={TROUBLE})
        alerts.deliver(workspace.database, _any_sinks(workspace, model), now, model=model)
    except EngineError as second:  # what keeps the alerts is itself in trouble
        _log.error("%s: no alert could be booked: %s", model, second.problem)


def compare(workspace: Workspace, spec: "Spec", version: int, now: datetime) -> Parity:
    """The champion's logged features against those that the lake gives."""
    found = versions.get(workspace.database, spec.model, version)
    manifest = loads(Manifest, workspace.artifacts.get(found.digest))
    return parity(workspace, spec, manifest, version, now)


def look(workspace: Workspace, spec: "Spec", now: datetime) -> Look | None:
    """What can be seen of the champion at this moment; None before there is one. Changes nothing."""
    with workspace.database.read() as connection:
        number = champions.champion(connection, spec.model)
    if number is None:
        return None
    version = versions.get(workspace.database, spec.model, number)
    manifest = loads(Manifest, workspace.artifacts.get(version.digest))
    reference = read_profile(workspace.artifacts.get(manifest.reference)) if manifest.reference else None
    earlier = looks.recent(workspace.database, spec.model, EARLIER_LOOKS)
    since = earlier[0].at if earlier else version.created - timedelta(microseconds=1)
    fresh = answered.counts(workspace, spec, since, now)
    mine = answered.answers(workspace, spec, number, now)
    newest = mine.tail(spec.monitoring.drift.window)
    rows = answered.columns(workspace, spec, manifest, newest, now)
    labels = answered.final_labels(workspace, spec, now)
    seen = Look(
        model=spec.model,
        version=number,
        at=now,
        rows=rows.height,
        drift=_drift(spec, reference, rows, manifest.width),
        performance=_performance(workspace, spec, version, manifest, mine, labels, now),
        quality=quality(fresh, rows, reference),
        volume=volume(
            sum(fresh.values()),
            since,
            now,
            [one.volume.per_day for one in reversed(earlier) if one.volume.days >= SHORTEST_DAYS],
        ),
        labels=answered.new_labels(workspace, version, labels),
    )
    return replace(seen, causes=causes(seen, spec))


def _drift(spec: "Spec", reference: Profile | None, rows: "pl.DataFrame", width: int) -> tuple[DriftFinding, ...]:
    if reference is None or not rows.height:
        return ()
    scores = answered.scores_of(rows, width)
    return drift(reference, rows, scores, spec.monitoring.drift, series=bool(spec.monitoring.horizon))


def _performance(
    workspace: Workspace,
    spec: "Spec",
    version: Version,
    manifest: Manifest,
    mine: "pl.DataFrame",
    labels: "pl.DataFrame",
    now: datetime,
) -> Performance:
    if not spec.monitoring.performance:
        return Performance("not_applicable", "monitoring.performance is off")
    if not spec.data.target:
        return Performance("not_applicable", "data.target names no column that holds labels")
    present = answered.present(spec, manifest, mine, labels, now)
    if present is None:
        return performance(None, None, spec.task)
    held = answered.holdout(workspace, spec, version)
    return performance(held, present, spec.task, margin=spec.release.guard.loss_margin)


def _end_trouble(workspace: Workspace, model: str, now: datetime, lease: Lease | None) -> None:
    """Close alerts of trouble once a whole tick has passed since the last one: steps after this one may fail too."""
    said = _said(workspace, model)
    if said == "failed":
        _mark(workspace, model, "watched")
    elif said == "watched":
        alerts.book(workspace.database, model, {}, now, lease, {TROUBLE})
        if not workspace.stack.ingestion.processes:  # else those look for themselves
            book_back(workspace, model)
        _mark(workspace, model, "")


def _mark(workspace: Workspace, model: str, word: str) -> None:
    with workspace.database.write() as connection:
        connection.execute(settings.delete().where(settings.c.name == _name(model)))
        if word:
            connection.execute(settings.insert().values(name=_name(model), value=word))


def _said(workspace: Workspace, model: str) -> str:
    with workspace.database.read() as connection:
        return str(
            connection.execute(sa.select(settings.c.value).where(settings.c.name == _name(model))).scalar() or ""
        )


def _name(model: str) -> str:
    return "trouble/" + hashlib.blake2b(model.encode(), digest_size=16).hexdigest()


def _lasting(problem: str) -> str:
    """The problem without what differs from time to time: numbers and digests."""
    return re.sub(r"\b[0-9a-f]{12,}\b|\d+", "#", " ".join(problem.split()))[:110]


def _any_sinks(workspace: Workspace, model: str) -> Sequence[AlertSink]:
    """The spec's sinks; when the spec or a sink is the trouble, terminal and file."""
    try:
        return workspace.sinks(workspace.spec(model))
    except ModelwayError as error:
        _log.warning("%s: alerts go to terminal and file: %s", model, error.problem)
        return open_sinks(("terminal", "file"), workspace.places.inner / "alerts.ndjson")
