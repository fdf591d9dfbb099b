"""The columns of one row, for a server: plain Python, microseconds, no table library.

The law of windows is in `engine.py`; the values are those of the table compiler, to the last bit. One call of the store brings all
that the windows and joins of a row need (`lookback.py`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from modelway.expressions.row import Closure, closure
from modelway.expressions.values import NAN, as_moment, as_number, as_word, days, microseconds
from modelway.features.derived import Expression
from modelway.features.evaluator import Fill, compile_windows
from modelway.features.functions import compile_function
from modelway.features.lookback import Windows, lookups_of, seen_by_windows, windows_of
from modelway.features.online import Group, Look, OnlineValues, PastEvent, statements
from modelway.features.plan import Plan

_READ: Mapping[str, Callable[[Any], Any]] = {"number": as_number, "word": as_word, "moment": as_moment}


@dataclass(frozen=True, slots=True)
class RowFeatures:
    """Call it with a row; gives the numbers (missing NaN) and the words (missing "") in the order of the plan's columns."""

    plan: Plan
    raw: tuple[tuple[int, str, Callable[[Any], Any]], ...]
    width: int
    clock: int
    early: tuple[tuple[int, Closure], ...]
    late: tuple[tuple[int, Closure], ...]
    groups: tuple[Windows, ...]
    parts: tuple[tuple[Callable[[Mapping[str, Any], int | None], Look | None], Fill], ...]
    numbers: tuple[int, ...]
    dated: tuple[int, ...]
    words: tuple[int, ...]

    def __call__(
        self,
        row: Mapping[str, Any],
        key: str,
        at: datetime | None,
        past: OnlineValues | None,
        known: datetime | None = None,
    ) -> tuple[list[float], list[str]]:
        """`at` is the decision's event time, `known` its arrival: what had arrived the lag before then counts (None: all).

        `past` may be None for a plan without windows and joins. Raises DataError when a Python function fails, or a window
        reaches back to what was forgotten.
        """
        cells = self._cells(row, at)
        if past is not None and self.parts:
            self._look_back(cells, row, key, at, past, known)
        for slot, compute in self.late:
            cells[slot] = compute(cells)
        for slot in self.dated:
            cells[slot] = days(cells[slot])
        return [cells[slot] for slot in self.numbers], [cells[slot] for slot in self.words]

    def _look_back(
        self,
        cells: list[Any],
        row: Mapping[str, Any],
        key: str,
        at: datetime | None,
        past: OnlineValues,
        known: datetime | None,
    ) -> None:
        then = None if at is None else microseconds(at)
        came = None if known is None else microseconds(known)
        known_us = None if came is None else came - self.plan.lag_us
        if len(self.parts) == 1:
            ask, write = self.parts[0]
            one = ask(row, then)
            write(cells, key, then, came, None if one is None else past.look([one], known_us)[0])
            return
        looks = [look(row, then) for look, _ in self.parts]
        asked = [look for look in looks if look is not None]
        found = iter(past.look(asked, known_us) if asked else ())
        for (_, fill), look in zip(self.parts, looks, strict=True):
            fill(cells, key, then, came, None if look is None else next(found))

    def _cells(self, row: Mapping[str, Any], at: datetime | None) -> list[Any]:
        cells: list[Any] = [NAN] * self.width
        for slot, name, read in self.raw:
            cells[slot] = read(row.get(name))
        if self.clock >= 0:
            cells[self.clock] = at
        for slot, compute in self.early:
            cells[slot] = compute(cells)
        return cells

    def event(self, row: Mapping[str, Any], key: str, at: datetime, arrived: datetime) -> PastEvent:
        """What windows of later decisions need of this row; labels come to the store by themselves."""
        cells = self._cells(row, at)
        slots = {name: slot for group in self.groups for name, slot in group.slots}
        values = {name: seen for name, slot in slots.items() if (seen := seen_by_windows(cells[slot])) is not None}
        by = dict.fromkeys(name for group in self.groups for name in group.by)
        entities = {name: word for name in by if (word := as_word(row.get(name)))}
        return PastEvent(key, at, arrived, entities, values)


def compile_row(plan: Plan) -> RowFeatures:
    """Compile a plan once; the result may be called from several threads."""
    slots = {name: slot for slot, name in enumerate(plan.natures)}
    raw = tuple((slots[i.name], i.name, _READ[plan.natures[i.name]]) for i in plan.inputs)
    steps = [(e.late, (slots[e.name], _step(e, plan, slots))) for e in plan.expressions]
    numbers = [c.name for c in plan.columns if c.kind == "number"]
    groups = tuple(windows_of(by, windows, slots, plan) for by, windows in plan.groups.items())
    said = [lookups_of(joins, slots) for joins in plan.lookups.values()]
    return RowFeatures(
        plan=plan,
        raw=raw,
        width=len(slots),
        clock=slots.get(plan.event_time, -1),
        early=tuple(step for late, step in steps if not late),
        late=tuple(step for late, step in steps if late),
        groups=groups,
        parts=(*((one.look, compile_windows(one)) for one in groups), *((one.look, one.fill) for one in said)),
        numbers=tuple(slots[name] for name in numbers),
        dated=tuple(slots[name] for name in dict.fromkeys(numbers) if plan.natures[name] == "moment"),
        words=tuple(slots[c.name] for c in plan.columns if c.kind == "word"),
    )


def groups_of(plan: Plan) -> list[Group]:
    """The groups that the online values of a plan are opened for."""
    return [*plan.groups, *((statements(table),) for table in plan.tables)]


def _step(expression: Expression, plan: Plan, slots: Mapping[str, int]) -> Closure:
    if not expression.source:
        return closure(plan.meaning(expression).tree, slots)
    call = compile_function(expression.source, expression.text, expression.kind, expression.name)
    given: Sequence[int] = [slots[name] for name in expression.uses]
    return lambda cells: call([cells[slot] for slot in given])
