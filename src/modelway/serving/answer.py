"""Rows become answers: contract → features → what the model refuses → graph → operating point.

A row that cannot be answered gets a reason and no numbers, and does not fail the others.
"""

import math
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from modelway.errors import DataError
from modelway.events.block import Status
from modelway.records import Manifest
from modelway.serving.composed import Composed, Said
from modelway.serving.decision import Decide
from modelway.serving.onnxruntime import Numbers
from modelway.serving.servable import OWN_KEY, Row, Servable
from modelway.serving.traced import Marks
from modelway.serving.wording import as_text

ROUNDED = 1e-6
"""How far a probability may lie beyond 0 and 1: graphs that others made compute in single precision."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """One row with what became of it; `scores` and `prediction` are there only when `status` is "ok"."""

    row: Row
    key: str
    at: datetime
    status: Status
    reason: str = ""
    scores: tuple[float, ...] = ()
    prediction: str | float | None = None
    features: tuple[float | str, ...] = ()
    """What was made of the row and its past, as it entered the graph; the raw columns are in `row`."""
    member: str = ""
    """Of a composition: who answered, as MODEL@VERSION."""
    fallback: str = ""
    """Why that was the fallback; "" where it was not."""


def answer_rows(
    servable: Servable, names: Sequence[str], rows: Sequence[Row], served: datetime, marks: Marks | None = None
) -> list[Answer]:
    """The answers of one version, in the order of the rows; `names` are the keys of rows that bear none.

    `served` is the clock's time, and the event time of rows without one. Raises EngineError when graph or online values fail.
    """
    plain = servable.plain.numbers(rows) if servable.plain is not None else None
    if plain is None:
        seen = [_judge(servable, name, row, served) for name, row in zip(names, rows, strict=True)]
    else:
        seen = [_looked(servable, *one, served) for one in zip(names, rows, *plain, strict=True)]
    taken = [one for one in seen if not one.reason]
    if not taken:
        return [_refused(one) for one in seen]
    numbers: Numbers = [one.numbers for one in taken]
    if plain is not None and len(taken) == len(rows) and all(plain[1]):
        numbers = plain[0]
    words = [one.words for one in taken]
    if marks is not None:
        marks.featured = time.perf_counter()
    if isinstance(servable.run, Composed):
        said = servable.run.said(numbers, words)
    else:
        found = servable.run(numbers, words)
        said, scored = None, iter(found.tolist() if isinstance(found, np.ndarray) else found)
    if marks is not None:
        marks.inferred = time.perf_counter()
    if said is not None:
        return _composed(servable, seen, said)
    decide, wanted = servable.decide, servable.manifest.width
    return [_refused(one) if one.reason else _answered(one, next(scored), decide, wanted) for one in seen]


def judged(servable: Servable, row: Row, served: datetime) -> tuple[str, Sequence[float]]:
    """Why a row is refused, or "" and its numbers for the graph."""
    one = _judge(servable, "", row, served)
    return one.reason, one.numbers


def unusable(scores: Sequence[float], wanted: int) -> str:
    """Why these scores of a row are no answer, where so many are wanted."""
    if len(scores) != wanted:
        return f"the model's graph gave {len(scores)} scores for this row, expected {wanted}"
    if not all(map(math.isfinite, scores)):
        return "the model's graph gave no finite number for this row"
    return f"the model's graph gave {max(scores, key=lambda s: abs(s - 0.5)):g} where a probability is wanted"


def failed_rows(servable: Servable, request: str, rows: Sequence[Row], served: datetime, reason: str) -> list[Answer]:
    """What is logged of a request that a version could not answer at all."""
    manifest = servable.manifest
    named = ((row, key_of(manifest, row) or f"{request}/{index}") for index, row in enumerate(rows))
    return [Answer(row, key, moment_of(manifest, row, served) or served, "error", reason) for row, key in named]


class _Judged(msgspec.Struct, gc=False):
    row: Row
    key: str
    at: datetime
    reason: str
    numbers: Any = ()
    words: Sequence[str] = ()
    made: tuple[float | str, ...] = ()


def _looked(servable: Servable, name: str, row: Row, numbers: Any, accepted: bool, served: datetime) -> _Judged:
    """A row of plain numbers; what was not accepted at a look is judged."""
    at = moment_of(servable.manifest, row, served) if accepted else None
    if at is None:
        return _judge(servable, name, row, served)
    return _Judged(row, key_of(servable.manifest, row) or name, at, servable.refusal(numbers, ()), numbers)


def _judge(servable: Servable, name: str, row: Row, served: datetime) -> _Judged:
    manifest = servable.manifest
    key, at = key_of(manifest, row) or name, moment_of(manifest, row, served)
    if at is None:
        given = row[manifest.event_time]
        return _Judged(
            row, key, served, f"{manifest.event_time}: {given!r} is no time in ISO 8601, such as 2026-01-31T12:00:00Z"
        )
    typed, reasons = servable.check(row)
    if reasons:
        return _Judged(row, key, at, "; ".join(reasons))
    try:
        numbers, words = servable.features({**row, **typed}, key, at, served)
    except DataError as error:
        return _Judged(row, key, at, error.problem)
    made = tuple([(words if word else numbers)[place] for word, place in servable.derived])
    return _Judged(row, key, at, servable.refusal(numbers, words), numbers, words, made)


def _composed(servable: Servable, judged: Sequence[_Judged], said: Said) -> list[Answer]:
    """As others, with who answered; a row that a member refuses is refused."""
    decide, wanted = servable.decide, servable.manifest.width
    told = zip(said.scores.tolist(), said.member, said.fallback, said.problem, said.refused, strict=True)
    made = list[Answer]()
    for one in judged:
        if one.reason:
            made.append(_refused(one))
            continue
        scores, member, fallback, problem, refused = next(told)
        answer = _refused(one) if refused else _answered(one, scores, decide, wanted)
        reason = answer.reason if answer.status == "ok" else problem
        made.append(msgspec.structs.replace(answer, reason=reason, member=member, fallback=fallback))
    return made


def _refused(one: _Judged) -> Answer:
    return Answer(one.row, one.key, one.at, "refused", one.reason)


def _answered(one: _Judged, scores: list[float], decide: Decide, wanted: int) -> Answer:
    made = one.made
    if len(scores) != wanted or not all(map(math.isfinite, scores)):
        return Answer(one.row, one.key, one.at, "invalid", unusable(scores, wanted), features=made)
    if wanted > 1 and (min(scores) < -ROUNDED or max(scores) > 1 + ROUNDED):
        return Answer(one.row, one.key, one.at, "invalid", unusable(scores, wanted), features=made)
    return Answer(one.row, one.key, one.at, "ok", "", tuple(scores), decide(scores), made)


def key_of(manifest: Manifest, row: Row) -> str:
    """The row's key as text; "" when it has none."""
    given = row.get(manifest.key or OWN_KEY)
    return "" if given is None else as_text(given).strip()


def moment_of(manifest: Manifest, row: Row, served: datetime) -> datetime | None:
    """When it happened, in UTC: `served` when nothing is said of it, None when what is said cannot be read."""
    given: Any = row.get(manifest.event_time) if manifest.event_time else None
    if given is None or given == "":
        return served
    if not isinstance(given, str):
        return None
    try:
        at = datetime.fromisoformat(given.strip())
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
