"""A composition: models of one process that answer together, by rule, by weight, one after the other, or in another's place.

All is made of functions from a table of columns to what came of its rows (`Ask`), so that any of them may stand in another.
A row that is answered with others gets the answer that it gets alone.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import BoundedSemaphore
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelway.errors import EngineError
from modelway.serving.onnxruntime import Numbers, Run
from modelway.serving.refusals import Refusal

Doubles = NDArray[np.float64]
Heard = Callable[[str, bool, int], None]
"""Told who answered, whether in another's place, and how many rows."""
MOST_LATE = 4
"""Late calls that may be under way at once; beyond, the fallback answers without waiting."""
MEMBER_ROWS = "modelway_member_rows_total"


@dataclass(frozen=True, slots=True)
class Table:
    """`numbers` double[N, n] and `words` text[N, m]."""

    numbers: Doubles
    words: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.numbers)

    def rows(self, chosen: Any) -> "Table":
        return Table(self.numbers[chosen], self.words[chosen])


@dataclass(frozen=True, slots=True)
class Said:
    """What came of N rows; `scores` double[N, k], NaN where there is no answer, and the others text[N] or bool[N]."""

    scores: Doubles
    member: NDArray[np.object_]
    """Who answered, as MODEL@VERSION."""
    fallback: NDArray[np.object_]
    """Why the fallback did; "" where it did not."""
    problem: NDArray[np.object_]
    """Why there is no answer."""
    refused: NDArray[np.bool_]
    """Whether that is because of the row's own values."""

    @classmethod
    def nothing(cls, rows: int, width: int, problem: str = "") -> "Said":
        member, fallback, told = (np.full(rows, text, dtype=object) for text in ("", "", problem))
        return cls(np.full((rows, width), np.nan), member, fallback, told, np.zeros(rows, dtype=bool))

    def put(self, chosen: Any, other: "Said") -> None:
        """Take over what came of the chosen rows."""
        for name in ("scores", "member", "fallback", "problem", "refused"):
            getattr(self, name)[chosen] = getattr(other, name)

    @property
    def answered(self) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(self.scores).all(axis=1), dtype=bool)


Ask = Callable[[Table], Said]
"""Raises EngineError when it fails as a whole."""


@dataclass(frozen=True, slots=True)
class Member:
    """A loaded version, and where its columns lie in the table."""

    name: str
    run: Run
    refusal: Refusal
    numbers: tuple[int, ...]
    words: tuple[int, ...]
    width: int
    """Columns of its scores."""

    def __call__(self, table: Table) -> Said:
        numbers, words = table.numbers[:, self.numbers], table.words[:, self.words].tolist()
        reasons = [self.refusal(values, texts) for values, texts in zip(numbers.tolist(), words, strict=True)]
        if not any(reasons):
            return self._asked(numbers, words)
        said = Said.nothing(len(table), self.width)
        said.problem[:] = [f"{self.name}: {reason}" if reason else "" for reason in reasons]
        said.refused[:] = [bool(reason) for reason in reasons]
        taken = np.flatnonzero(~said.refused)
        if taken.size:
            said.put(taken, self._asked(numbers[taken], [words[row] for row in taken]))
        return said

    def _asked(self, numbers: Doubles, words: Sequence[Sequence[str]]) -> Said:
        inner = self.run.said(numbers, words) if isinstance(self.run, Composed) else None
        scores = np.array(self.run(numbers, words) if inner is None else inner.scores, dtype=np.float64)
        if scores.shape != (len(numbers), self.width):
            wanted = f"{len(numbers)} × {self.width}"
            raise EngineError(f"{self.name} gave scores of another shape than {wanted}", "roll it back")
        said = Said.nothing(len(numbers), self.width)
        good = np.isfinite(scores).all(axis=1)
        said.scores[good], said.member[:] = scores[good], self.name
        said.problem[~good] = f"{self.name} gave no finite number for this row"
        if inner is not None:
            said.member[:] = [f"{self.name}/{name}" for name in inner.member]
            said.fallback[:], said.refused[:] = inner.fallback, inner.refused
            said.problem[~good] = [f"{self.name}/{why}" for why in inner.problem[~good]]
        return said


def routed(branches: Sequence[tuple[int | None, Ask]], width: int) -> Ask:
    """Each row by the first branch whose rule holds: the place of its column among the numbers, None for all that are left."""

    def ask(table: Table) -> Said:
        said, left = Said.nothing(len(table), width), np.ones(len(table), dtype=bool)
        for place, inner in branches:
            column = None if place is None else table.numbers[:, place]
            holds = left if column is None else left & (column != 0) & ~np.isnan(column)
            if holds.all():
                return inner(table)
            if holds.any():
                said.put(holds, inner(table.rows(holds)))
            left = left & ~holds
        return said

    return ask


def averaged(members: Sequence[tuple[float, Ask]], width: int) -> Ask:
    """The weighted mean of all; a row that one of them cannot answer has none."""
    total = sum(weight for weight, _ in members)

    def ask(table: Table) -> Said:
        all_said = [inner(table) for _, inner in members]
        made = Said.nothing(len(table), width)
        made.scores[:] = sum(weight / total * said.scores for (weight, _), said in zip(members, all_said, strict=True))
        _joined(made, all_said, " + ")
        return made

    return ask


@dataclass(frozen=True, slots=True)
class Link:
    """A step of a chain: a model, or a function of the row's numbers and words; its answer is a number, or a word."""

    ask: Ask | None = None
    compute: Callable[[Sequence[Any]], Any] | None = None
    word: bool = False


def chained(links: Sequence[Link], width: int) -> Ask:
    """Each answer is a column for the links after it; a row that a model cannot answer goes no further.

    A model's answer is its last score: the probability of the positive class of two, or the predicted value.
    """

    def ask(table: Table) -> Said:
        made = Said.nothing(len(table), width)
        asked = list[Said]()
        for number, link in enumerate(links):
            last = number == len(links) - 1
            if link.ask is not None:
                said = link.ask(table)
                asked.append(said)
                values: Any = said.scores if last else said.scores[:, -1]
            else:
                values = _computed(link, table)
            if last:
                made.scores[:] = values if link.ask is not None else _as_scores(values, width)
            elif link.word:
                table = Table(table.numbers, np.column_stack([table.words, values]))
            else:
                table = Table(np.column_stack([table.numbers, values]), table.words)
        _joined(made, asked, " → ")
        return made

    return ask


def _computed(link: Link, table: Table) -> NDArray[Any]:
    compute = link.compute
    if compute is None:  # a link without either is never made
        raise EngineError("a step of a chain has nothing to do", "train the composition again")
    cells = zip(table.numbers.tolist(), table.words.tolist(), strict=True)
    made = [compute([*numbers, *words]) for numbers, words in cells]
    return np.array(made, dtype=object if link.word else np.float64)


def _as_scores(values: NDArray[Any], width: int) -> Doubles:
    """A number as the scores of two classes, or of a regression."""
    if width == 1:
        return np.asarray(values, dtype=np.float64).reshape(-1, 1)
    sound = np.where((values >= 0) & (values <= 1), values, np.nan)  # beyond is no probability
    return np.column_stack([1.0 - sound, sound])


def _joined(made: Said, parts: Sequence[Said], sign: str) -> None:
    """Who answered together; a row that one of them could not answer has no scores, and the first one's reason."""
    names = zip(*(said.member for said in parts), strict=True)
    made.member[:] = [sign.join(dict.fromkeys(name for name in together if name)) for together in names]
    for said in reversed(parts):
        lost = ~said.answered
        made.scores[lost] = np.nan
        made.problem[lost], made.refused[lost] = said.problem[lost], said.refused[lost]
        made.fallback[:] = np.where(said.fallback != "", said.fallback, made.fallback)
    odd = ~made.answered & (made.problem == "")
    made.problem[odd] = "the last step gave no number that can be a score"


def backed(first: Ask, second: Ask, width: int, name: str, bound: "Bound | None" = None) -> Ask:
    """The second answers what the first, `name`, cannot: rows without a number, all rows of a call that fails or is late."""

    def ask(table: Table) -> Said:
        try:
            said = _each(first, table, width) if bound is None else bound.call(lambda: _each(first, table, width))
        except LateError as error:
            said = Said.nothing(len(table), width, f"{name} {error.problem}")
        lost = ~said.answered
        if lost.any():
            other = second(table.rows(lost))
            other.fallback[:] = said.problem[lost]
            said.put(lost, other)
        return said

    return ask


def _each(ask: Ask, table: Table, width: int) -> Said:
    """One call; if it fails, each row alone, since one row must not fail the others."""
    try:
        return ask(table)
    except EngineError as error:
        if len(table) == 1 or error.transient:
            return Said.nothing(len(table), width, error.problem)
    made = Said.nothing(len(table), width)
    for row in range(len(table)):
        made.put([row], _each(ask, table.rows([row]), width))
    return made


class LateError(EngineError):
    """The time of a call is over."""


class Bound:
    """Calls with a bound on time, each in a thread: one that is late goes on there, and its answer is dropped.

    A graph gives the processor free while it runs, and so does a process that is waited for: both are left in time.
    """

    def __init__(self, seconds: float, most: int = MOST_LATE) -> None:
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="composed")
        self._free = BoundedSemaphore(most)

    def call(self, work: Callable[[], Said]) -> Said:
        """Raises LateError, and what `work` does."""
        told = f"{self._seconds * 1000:g} ms"
        if not self._free.acquire(blocking=False):
            raise LateError(f"is still busy with calls that took longer than {told}", "see why it is slow")
        future = self._threads.submit(work)
        future.add_done_callback(lambda _: self._free.release())
        try:
            return future.result(self._seconds)
        except TimeoutError:
            raise LateError(f"took longer than {told}", "see why it is slow") from None


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Composed:
    """A `Run` that also says who answered; may be called by several threads."""

    ask: Ask
    waits: bool
    """Whether a call waits for a thread or another process: not to be made on an event loop."""
    heard: Heard | None = field(default=None)

    def __call__(self, numbers: Numbers, words: Sequence[Sequence[str]]) -> list[list[float]]:
        made: list[list[float]] = self.said(numbers, words).scores.tolist()
        return made

    def said(self, numbers: Numbers, words: Sequence[Sequence[str]]) -> Said:
        """Raises EngineError."""
        rows = len(numbers)
        block = np.asarray(numbers, dtype=np.float64).reshape(rows, -1)
        texts = np.array([list(row) for row in words], dtype=object).reshape(rows, -1)
        said = self.ask(Table(block, texts))
        if self.heard is not None:
            for (member, fallback), count in Counter(zip(said.member, said.fallback != "", strict=True)).items():
                self.heard(member, bool(fallback), count)
        return said
