"""Rehearsal: a version answers the last days of the prediction log off line, before any client hears it.

It answers as the server does: its own contract, its own columns, its graph, its operating point. Values of columns that are the
same as in the version that answered are those that were served; only the others are computed again (`logged.py`).
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl

from modelway.errors import GraphError
from modelway.flow.logged import logged, made_at, made_of
from modelway.flow.reanswering import answers_of, opened, some, timed
from modelway.flow.releasing import no_accepted_version
from modelway.flow.runs import Tell
from modelway.flow.sending import silent
from modelway.records import Manifest, Outcome, Release, Verdict, Version, loads
from modelway.registry import versions
from modelway.rollout.store import OURSELVES
from modelway.serving.answer import Answer
from modelway.serving.servable import Row
from modelway.serving.wording import as_text
from modelway.spec.model import Spec
from modelway.spec.units import write_duration
from modelway.state import ledger
from modelway.validation.rehearsal import Figures, Replayed, apart, figures, outstanding, overall, verdicts
from modelway.workspace import Workspace

_ACTION = "rehearse"
_MOST_VALUES = 20
"""Values of a column that are told each by itself; the rest together."""
_REASONS = 5
OTHERS = "(others)"
MISSING = "(missing)"


@dataclass(frozen=True)
class Segment:
    """The rows with one value of a column."""

    column: str
    value: str
    figures: Figures


@dataclass(frozen=True)
class Rehearsal:
    """What became of it; the fields that speak of rows are empty when no client was answered in that time, or the version's graph
    took its process along."""

    model: str
    version: int
    since: datetime
    until: datetime
    outcome: Outcome
    verdicts: tuple[Verdict, ...]
    against: tuple[int, ...] = ()
    """The versions that answered."""
    whole: Figures | None = None
    segments: tuple[Segment, ...] = ()
    not_sent: tuple[str, ...] = ()
    """Columns that were asked for and that no row has."""
    decisions: Mapping[str, int] = field(default_factory=dict)
    """How many changed, by "before → after"."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Why rows that were answered get no answer: the commonest."""
    served_values: tuple[str, ...] = ()
    recomputed: tuple[str, ...] = ()
    seconds: float = 0.0
    rows_per_second: float = 0.0
    latency: Mapping[str, float] = field(default_factory=dict)
    """p50_ms and p99_ms of one row by itself, on this machine, without the look at windows."""
    latency_before: Mapping[str, float] = field(default_factory=dict)
    """Of the version that answered most rows, on the same ones."""


def rehearse(
    workspace: Workspace,
    model: str,
    version: int | None,
    window: timedelta | None,
    by: Sequence[str],
    who: str,
    tell: Tell,
) -> Rehearsal:
    """Rehearse a version, by default the newest accepted one, and write the outcome into the ledger.

    Raises NotFoundError, StateError when there is no version.
    """
    spec = workspace.spec(model)
    wanted = (
        versions.newest_accepted(workspace.database, model)
        if version is None
        else versions.get(workspace.database, model, version)
    )
    if wanted is None:
        raise no_accepted_version(workspace, model)
    until = workspace.clock.now()
    span = window or spec.release.rehearsal.window
    tell("reading the log", None)
    rows = logged(workspace, spec, wanted.number, until - span, until)
    if rows.height:
        try:
            done = _rehearsed(workspace, spec, wanted, rows, by, (until - span, until), tell)
        except GraphError as error:
            broken = Verdict("graph", "fail", error.problem)
            done = Rehearsal(model, wanted.number, until - span, until, "fail", (broken,))
    else:
        reason = f"the lake holds no answer to a client of the last {write_duration(span)} (modelway ingest {model} brings them in)"
        nothing = Verdict("rehearsal", "not_applicable", reason)
        done = Rehearsal(model, wanted.number, until - span, until, "not_applicable", (nothing,))
    _note(workspace, done, who)
    return done


def why_rehearsal_failed(workspace: Workspace, spec: Spec, standing: Release) -> str:
    """Of a release that waits: "" when its rehearsal did not fail, or the spec asks for none. Rehearsed once a release."""
    if not spec.release.rehearsal.before_shadow:
        return ""
    name = f"{spec.model}@{standing.version}"
    told = ledger.history(workspace.database, spec.model)
    done = [one for one in told if one.action == _ACTION and one.subject == name and one.at >= standing.started]
    if done:
        return done[-1].reason.removeprefix("fail: ") if done[-1].data["outcome"] == "fail" else ""
    found = rehearse(workspace, spec.model, standing.version, None, (), OURSELVES, silent)
    return _words(found) if found.outcome == "fail" else ""


def _words(done: Rehearsal) -> str:
    """The reasons, those that failed alone where it failed."""
    told = [v.reason for v in done.verdicts if not v.warn_only and (done.outcome != "fail" or v.outcome == "fail")]
    return "; ".join(told)


def _rehearsed(
    workspace: Workspace,
    spec: Spec,
    version: Version,
    rows: pl.DataFrame,
    by: Sequence[str],
    between: tuple[datetime, datetime],
    tell: Tell,
) -> Rehearsal:
    manifest = loads(Manifest, workspace.artifacts.get(version.digest))
    started = perf_counter()
    tell("values of the rows", None)
    made = made_of(workspace, spec, manifest, rows, between[1])
    raws = [json.loads(text) for text in rows["row"].to_list()]
    with opened(workspace, manifest, version) as servable:
        answers = answers_of(servable, rows, raws, made, workspace.stack.candidates.timeout.total_seconds(), tell)
        seconds = perf_counter() - started
        tell("timing single rows", None)
        few = some(rows.height)
        latency = timed(servable, rows[few], [raws[n] for n in few], made_at(made, few))
    before = _timed_before(workspace, spec, version, rows, few, raws, between[1])
    replayed = _replayed(workspace, spec, manifest, rows, raws, answers)
    classes = len(manifest.classes)
    whole = figures(replayed, classes=classes)
    columns = tuple(dict.fromkeys(by)) or spec.release.rehearsal.by or _audited(spec)
    there = [name for name in columns if any(name in raw for raw in raws)]
    segments = tuple(one for name in there for one in _segments(name, raws, replayed, classes))
    limits = spec.release.rehearsal
    warned = (outstanding(name, {s.value: s.figures for s in segments if s.column == name}, limits) for name in there)
    judged = (*verdicts(whole, limits), *(verdict for each in warned for verdict in each))
    invalid = replayed.answered & ~replayed.ours
    return Rehearsal(
        model=spec.model,
        version=version.number,
        since=between[0],
        until=between[1],
        outcome=overall(judged),
        verdicts=judged,
        against=tuple(sorted(set(rows["version"].to_list()))),
        whole=whole,
        segments=segments,
        not_sent=tuple(name for name in columns if name not in there),
        decisions=_flips(replayed) if classes else {},
        reasons=_commonest([answers[n].reason for n in np.flatnonzero(invalid).tolist()]),
        served_values=made.served,
        recomputed=made.recomputed,
        seconds=seconds,
        rows_per_second=rows.height / seconds,
        latency=latency,
        latency_before=before,
    )


def _timed_before(
    workspace: Workspace,
    spec: Spec,
    version: Version,
    rows: pl.DataFrame,
    few: Sequence[int],
    raws: Sequence[Row],
    now: datetime,
) -> Mapping[str, float]:
    """Of the version that answered most of the rows, on the same ones; {} where it is this version itself."""
    number = Counter(rows["version"].to_list()).most_common(1)[0][0]
    if number == version.number:
        return {}
    other, manifest = versions.get(workspace.database, spec.model, number), _manifest(workspace, spec.model, number)
    made = made_of(workspace, spec, manifest, rows[few], now)
    with opened(workspace, manifest, other) as servable:
        return timed(servable, rows[few], [raws[n] for n in few], made)


def _replayed(
    workspace: Workspace,
    spec: Spec,
    manifest: Manifest,
    rows: pl.DataFrame,
    raws: Sequence[Row],
    answers: Sequence[Answer],
) -> Replayed:
    answered = (rows["status"] == "ok").to_numpy()
    ours = np.array([one.status == "ok" for one in answers], dtype=bool)
    numbers = set(rows["version"].to_list())
    classes = {number: _manifest(workspace, spec.model, number).classes for number in numbers}
    moved = [
        apart(scores, classes[number], one.scores, manifest.classes) if good and one.status == "ok" else math.nan
        for number, scores, good, one in zip(
            rows["version"].to_list(), rows["scores"].to_list(), answered.tolist(), answers, strict=True
        )
    ]
    return Replayed(
        answered=answered,
        ours=ours,
        before=rows["prediction"].to_list(),
        after=[None if one.prediction is None else str(one.prediction) for one in answers],
        moved=np.array(moved, dtype=float),
        callers=[_word(raw.get(spec.sticky)) for raw in raws] if spec.sticky else (),
    )


def _manifest(workspace: Workspace, model: str, number: int) -> Manifest:
    return loads(Manifest, workspace.artifacts.get(versions.get(workspace.database, model, number).digest))


def _audited(spec: Spec) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*(gate.by for gate in spec.gates if gate.by), *spec.data.protected]))


def _segments(column: str, raws: Sequence[Row], replayed: Replayed, classes: int) -> Iterator[Segment]:
    """The commonest values first; the interval of each is that of so many comparisons."""
    values = [_word(raw.get(column)) or MISSING for raw in raws]
    told = [value for value, _ in Counter(values).most_common(_MOST_VALUES)]
    kept = set(told)
    named = np.array([value if value in kept else OTHERS for value in values], dtype=object)
    names = [*told, *([OTHERS] if len(set(values)) > len(told) else [])]
    for name in names:
        yield Segment(column, name, figures(replayed.only(named == name), classes=classes, alpha=0.05 / len(names)))


def _word(value: Any) -> str | None:
    return None if value is None or value == "" else as_text(value)


def _flips(replayed: Replayed) -> dict[str, int]:
    places = np.flatnonzero(replayed.changed).tolist()
    return dict(Counter(f"{replayed.before[n]} → {replayed.after[n]}" for n in places).most_common())


def _commonest(reasons: Sequence[str]) -> dict[str, int]:
    return dict(Counter(reasons).most_common(_REASONS))


def _note(workspace: Workspace, done: Rehearsal, who: str) -> None:
    name = f"{done.model}@{done.version}"
    with workspace.database.write() as connection:
        ledger.write(
            connection,
            at=done.until,
            who=who,
            action=_ACTION,
            model=done.model,
            subject=name,
            reason=f"{done.outcome}: {_words(done)}",
            data={
                "outcome": done.outcome,
                "since": done.since.isoformat(),
                "against": list(done.against),
                "verdicts": {v.gate: {"outcome": v.outcome, **v.evidence} for v in done.verdicts},
            },
            request=f"rehearse/{name}/{done.until.isoformat()}",
        )
