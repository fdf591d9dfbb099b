"""A matrix of rows becomes answers at one go: what is accepted at a look stays an array; any other row is judged by itself."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import overload

import numpy as np
from numpy.typing import NDArray

from modelway.events.block import STATES, Block
from modelway.serving.answer import ROUNDED, Answer, answer_rows, judged, unusable
from modelway.serving.composed import Composed
from modelway.serving.matrix import Matrix
from modelway.serving.servable import OWN_KEY, Row, Servable
from modelway.serving.traced import Marks

_OK, _REFUSED, _, _INVALID = range(len(STATES))


@dataclass(frozen=True, slots=True, eq=False)
class MatrixAnswers(Sequence[Answer]):
    """The answers as arrays; whoever wants one of them gets it as any other."""

    servable: Servable
    request: str
    rows: Matrix
    served: datetime
    keys: Sequence[str]
    """[]: each row is named by its request and index."""
    scores: NDArray[np.float64]
    """[N][k], NaN where `states` is not 0."""
    places: NDArray[np.uint16]
    states: NDArray[np.uint8]
    reasons: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.states)

    @overload
    def __getitem__(self, place: int) -> Answer: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Answer]: ...
    def __getitem__(self, place: int | slice) -> Answer | Sequence[Answer]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        key = self.keys[place] if self.keys else f"{self.request}/{place}"
        state, scores = self.states[place], tuple(self.scores[place].tolist())
        if state != _OK:
            return Answer(self.rows[place], key, self.served, STATES[state], self.reasons[place])
        return Answer(self.rows[place], key, self.served, "ok", "", scores, self.servable.decide(scores))

    def __iter__(self) -> Iterator[Answer]:
        return (self[place] for place in range(len(self)))

    @property
    def counts(self) -> dict[str, int]:
        """Rows by what became of them."""
        counted = np.bincount(self.states, minlength=len(STATES)).tolist()
        return {state: number for state, number in zip(STATES, counted, strict=True) if number}

    def block(self, common: Mapping[str, object]) -> Block:
        """As the log keeps them."""
        plain, manifest = self.servable.plain, self.servable.manifest
        return Block(
            common,
            self.rows.names,
            tuple(plain.whole.tolist()) if plain else (),
            manifest.classes,
            self.rows.numbers,
            self.scores,
            self.places,
            self.states,
            self.reasons,
            self.rows.texts,
            self.keys,
        )


def answer_request(
    servable: Servable, request: str, rows: Sequence[Row], served: datetime, marks: Marks | None = None
) -> Sequence[Answer]:
    """The answers of one version to a request, in the order of its rows; raises EngineError when it fails."""
    if type(rows) is Matrix and (made := _answered(servable, request, rows, served, marks)) is not None:
        return made
    return answer_rows(servable, [f"{request}/{index}" for index in range(len(rows))], rows, served, marks)


def _answered(
    servable: Servable, request: str, rows: Matrix, served: datetime, marks: Marks | None
) -> MatrixAnswers | None:
    """None where the version wants to see each row."""
    plain, manifest = servable.plain, servable.manifest
    named = manifest.key or OWN_KEY
    if isinstance(servable.run, Composed):  # says of each row who answered it
        return None
    if plain is None or rows.names != plain.names or manifest.event_time in (*rows.names, *rows.texts):
        return None
    if named in rows.names:
        return None
    keys = [(key or "").strip() or f"{request}/{n}" for n, key in enumerate(rows.texts.get(named, ()))]
    numbers, accepted = plain.looked(rows.numbers)
    reasons, changed = dict[int, str](), dict[int, Sequence[float]]()
    for place in np.flatnonzero(~accepted | servable.doubt(numbers)).tolist():
        reason, instead = judged(servable, rows[place], served)
        if reason:
            reasons[place] = reason
        else:
            changed[place] = instead
    if changed:
        numbers = numbers.copy()
        numbers[list(changed)] = list(changed.values())
    states = np.zeros(len(rows), np.uint8)
    states[list(reasons)] = _REFUSED
    if marks is not None:
        marks.featured = time.perf_counter()
    scored = _scores(servable, numbers if not reasons else numbers[states == _OK])
    if marks is not None:
        marks.inferred = time.perf_counter()
    if scored is None:
        return None
    wanted = scored.shape[1]
    scores = np.full((len(rows), wanted), np.nan)
    scores[states == _OK] = scored
    for place in np.flatnonzero((states == _OK) & ~_usable(scores)).tolist():
        states[place], reasons[place] = _INVALID, unusable(scores[place].tolist(), wanted)
    scores[states != _OK] = np.nan
    places = np.where(states == _OK, servable.decide_all(np.nan_to_num(scores)), 0).astype(np.uint16)
    return MatrixAnswers(servable, request, rows, served, keys, scores, places, states, reasons)


def _usable(scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    good = np.isfinite(scores)
    if scores.shape[1] > 1:  # probabilities
        good &= (scores >= -ROUNDED) & (scores <= 1 + ROUNDED)
    return np.logical_and.reduce(good, axis=1)


def _scores(servable: Servable, numbers: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """[N][k]; None where the graph gave not k scores for each row."""
    wanted = servable.manifest.width
    if not len(numbers):
        return np.empty((0, wanted))
    given = servable.run(numbers, [()] * len(numbers))
    if isinstance(given, np.ndarray):
        return given.astype(np.float64, copy=False) if given.shape == (len(numbers), wanted) else None
    if len(given) != len(numbers) or any(len(row) != wanted for row in given):
        return None
    return np.array(given, np.float64)
