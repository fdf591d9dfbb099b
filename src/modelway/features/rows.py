"""The columns of one row, for a server: plain Python, microseconds, no table library.

The law of windows is in `engine.py`; the values are those of the table compiler, to the last bit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from modelway.features.derived import TARGET, Window
from modelway.features.online import Group, OnlineValues, PastEvent
from modelway.features.plan import Plan
from modelway.features.row_expressions import Closure, closure
from modelway.features.statistics import aggregate
from modelway.features.values import NAN, as_moment, as_number, as_word, days, in_window

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
    groups: tuple["_Look", ...]
    numbers: tuple[tuple[int, bool], ...]
    words: tuple[int, ...]

    def __call__(
        self,
        row: Mapping[str, Any],
        key: str,
        at: datetime | None,
        past: OnlineValues | None,
        known: datetime | None = None,
    ) -> tuple[list[float], list[str]]:
        """`at` is the decision's event time, `known` its arrival: windows see what had arrived by then (None: all).

        `past` may be None for a plan without windows.
        """
        cells = self._cells(row, at)
        for look in self.groups:
            if past is not None:
                look.fill(cells, row, key, at, past, known)
        for slot, compute in self.late:
            cells[slot] = compute(cells)
        numbers = [days(cells[slot]) if dated else cells[slot] for slot, dated in self.numbers]
        return numbers, [cells[slot] for slot in self.words]

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
        slots = {name: slot for look in self.groups for name, slot in look.slots}
        values = {name: seen for name, slot in slots.items() if (seen := seen_by_windows(cells[slot])) is not None}
        by = dict.fromkeys(name for look in self.groups for name in look.by)
        entities = {name: word for name in by if (word := as_word(row.get(name)))}
        return PastEvent(key, at, arrived, entities, values)


def compile_row(plan: Plan) -> RowFeatures:
    """Compile a plan once; the result may be called from several threads."""
    slots = {name: slot for slot, name in enumerate(plan.natures)}
    raw = tuple((slots[i.name], i.name, _READ[plan.natures[i.name]]) for i in plan.inputs)
    steps = [(e.late, (slots[e.name], closure(plan.meaning(e).tree, slots))) for e in plan.expressions]
    numbers = [c.name for c in plan.columns if c.kind == "number"]
    return RowFeatures(
        plan=plan,
        raw=raw,
        width=len(slots),
        clock=slots.get(plan.event_time, -1),
        early=tuple(step for late, step in steps if not late),
        late=tuple(step for late, step in steps if late),
        groups=tuple(_look(by, windows, slots, plan) for by, windows in plan.groups.items()),
        numbers=tuple((slots[name], plan.natures[name] == "moment") for name in numbers),
        words=tuple(slots[c.name] for c in plan.columns if c.kind == "word"),
    )


def seen_by_windows(cell: Any) -> float | str | None:
    """A cell as windows see it: a number within bounds or a word, None when missing."""
    if isinstance(cell, str):
        return cell or None
    number = in_window(days(cell) if isinstance(cell, datetime) else (NAN if cell is None else cell))
    return None if number != number else number


@dataclass(frozen=True, slots=True)
class _Look:
    """All windows over one group: one reading of the past, then one pass for each reach, column and statistic."""

    by: Group
    widest: timedelta
    nearest: timedelta
    slots: tuple[tuple[str, int], ...]
    spans: tuple[tuple[timedelta, timedelta, bool, tuple[tuple[int, Window], ...]], ...]
    counts_own: bool

    def fill(
        self,
        cells: list[Any],
        row: Mapping[str, Any],
        key: str,
        at: datetime | None,
        past: OnlineValues,
        known: datetime | None,
    ) -> None:
        entity = [as_word(row.get(name)) for name in self.by]
        if at is None or "" in entity:
            for _, _, _, wanted in self.spans:
                for slot, window in wanted:
                    cells[slot] = aggregate(window.stat, [], window.default)
            return
        found = past.past(self.by, entity, at - self.widest, at - self.nearest, known)
        events = [event for event in found if event.key != key]
        own = {name: seen_by_windows(cells[slot]) for name, slot in self.slots}
        for reach, delay, closed, wanted in self.spans:
            since, until = at - reach, at - delay
            inside = [e for e in events if since < e.at and (e.at <= until if closed else e.at < until)]
            for slot, window in wanted:
                values = _values(inside, window.of, known)
                mine = own.get(window.of) if window.of else 1.0
                if self.counts_own and not delay and mine is not None:
                    values.insert(_place_of_own(window, inside, len(values), at, known, key), mine)
                cells[slot] = aggregate(window.stat, values, window.default)


def _look(by: Group, windows: Sequence[Window], slots: Mapping[str, int], plan: Plan) -> _Look:
    spans: dict[tuple[int, int], list[tuple[int, Window]]] = {}
    for window in windows:
        spans.setdefault((window.reach_us, window.delay_us), []).append((slots[window.name], window))
    counts = plan.same_instant == "counts"
    return _Look(
        by,
        timedelta(microseconds=max(reach for reach, _ in spans)),
        timedelta(microseconds=min(delay for _, delay in spans)),
        tuple((name, slots[name]) for name in dict.fromkeys(w.of for w in windows if w.of not in ("", TARGET))),
        tuple(
            (timedelta(microseconds=reach), timedelta(microseconds=delay), counts or delay > 0, tuple(wanted))
            for (reach, delay), wanted in spans.items()
        ),
        counts,
    )


def _values(events: Sequence[PastEvent], of: str, known: datetime | None) -> list[Any]:
    if of == "":
        return [1.0] * len(events)
    if of == TARGET:
        return [
            target
            for e in events
            if e.target is not None
            and e.label_arrived is not None
            and (known is None or e.label_arrived <= known)
            and (target := in_window(e.target)) == target
        ]
    return [value for e in events if (value := e.values.get(of)) is not None]


def _place_of_own(
    window: Window, inside: Sequence[PastEvent], end: int, at: datetime, known: datetime | None, key: str
) -> int:
    """The row itself comes last, but for an event of the same instant and arrival with a greater key."""
    if window.stat != "last" or known is None:
        return end
    return end - sum(e.at == at and e.arrived == known and e.key > key and window.of in e.values for e in inside)
