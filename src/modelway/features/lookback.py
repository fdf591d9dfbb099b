"""What a row sees of the past: all windows over one group from one reading, and the statement of a joined table that holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from modelway.expressions.values import NAN, as_number, as_word, days, in_window
from modelway.features.derived import TARGET, Joined, Stat, Window
from modelway.features.online import FAR, Group, Look, PastEvent, statements
from modelway.features.past import NOTHING, Past
from modelway.features.plan import Plan


def seen_by_windows(cell: Any) -> float | str | None:
    """A cell as windows see it: a number within bounds or a word, None when missing."""
    if isinstance(cell, str):
        return cell or None
    number = in_window(days(cell) if isinstance(cell, datetime) else (NAN if cell is None else cell))
    return None if number != number else number


@dataclass(frozen=True, slots=True)
class Span:
    """The windows with one reach and delay, by the column that they aggregate: (of, ((slot, stat, default), …))."""

    reach: int
    delay: int
    closed: bool
    wanted: tuple[tuple[str, tuple[tuple[int, Stat, float | None], ...]], ...]


@dataclass(frozen=True, slots=True)
class Windows:
    """All windows over one group: one reading of the past, then one slice for each reach and column (`evaluator.py`)."""

    by: Group
    widest: int
    nearest: int
    slots: tuple[tuple[str, int], ...]
    spans: tuple[Span, ...]
    counts_own: bool

    def look(self, row: Mapping[str, Any], at: int | None) -> Look | None:
        """What to ask the store for; None for a row without the time or an entity."""
        entity = tuple([as_word(row.get(name)) for name in self.by])
        if at is None or "" in entity:
            return None
        return Look(self.by, entity, at - self.widest, at - self.nearest)


def windows_of(by: Group, windows: Sequence[Window], slots: Mapping[str, int], plan: Plan) -> Windows:
    """Compile the windows of a group."""
    spans: dict[tuple[int, int], dict[str, list[tuple[int, Stat, float | None]]]] = {}
    for window in windows:
        columns = spans.setdefault((window.reach_us, window.delay_us), {})
        columns.setdefault(window.of, []).append((slots[window.name], window.stat, window.default))
    counts = plan.same_instant == "counts"
    remembered = dict.fromkeys(w.of for w in windows if w.of not in ("", TARGET))
    return Windows(
        by,
        max(reach for reach, _ in spans),
        min(delay for _, delay in spans),
        tuple((name, slots[name]) for name in remembered),
        tuple(
            Span(
                reach,
                delay,
                counts or delay > 0,
                tuple((of, tuple(wanted)) for of, wanted in columns.items()),
            )
            for (reach, delay), columns in spans.items()
        ),
        counts,
    )


def values_in(past: Past, of: str, low: int, high: int) -> Sequence[Any]:
    """What is there of a column in the slice."""
    if of == TARGET:
        return [target for told in past.targets[low:high] if (target := in_window(told)) == target]
    if (numbers := past.numbers.get(of)) is not None:
        found = numbers[low:high]
        if of in past.gaps:
            return [value for value in found if value == value]
        return found.tolist() if isinstance(found, memoryview) else found
    return [word for word in past.words.get(of, ())[low:high] if word]


def in_order(past: Past, of: str, low: int, high: int, mine: Any, at: int, came: int | None, key: str) -> Sequence[Any]:
    """With the row itself in its place: last, but for an event of the same instant and arrival with a greater key."""
    behind = [n for n in range(low, high) if past.at[n] == at and past.arrived[n] == came and past.keys[n] > key]
    if came is None or not behind:
        return [*values_in(past, of, low, high), mine]
    return [*values_in(past, of, low, behind[0]), mine, *values_in(past, of, behind[0], high)]


@dataclass(frozen=True, slots=True)
class Statement:
    """The columns that one statement of a joined table gives."""

    group: Group
    on: str
    delay: int
    wanted: tuple[tuple[int, str, bool, float | None], ...]

    def look(self, row: Mapping[str, Any], at: int | None) -> Look | None:
        thing = as_word(row.get(self.on))
        return None if at is None or not thing else Look(self.group, (thing,), FAR, at - self.delay, newest=True)

    def fill(self, cells: list[Any], key: str, at: int | None, came: int | None, past: Past | None) -> None:
        del key, at, came  # a statement about something else
        found = past or NOTHING
        last = len(found.at) - 1
        for slot, column, is_word, default in self.wanted:
            if is_word:
                words = found.words.get(column)
                cells[slot] = words[last] if words is not None and last >= 0 else ""
            else:
                numbers = found.numbers.get(column)
                value = numbers[last] if numbers is not None and last >= 0 else NAN
                cells[slot] = value if value == value or default is None else default


def lookups_of(joins: Sequence[Joined], slots: Mapping[str, int]) -> Statement:
    """Compile the joins that share one look."""
    first = joins[0]
    wanted = tuple((slots[join.name], join.column, join.kind == "word", join.default) for join in joins)
    return Statement((statements(first.table),), first.on, first.delay_us, wanted)


def statement_of(
    joins: Sequence[Joined], row: Mapping[str, Any], at: datetime, arrived: datetime, place: tuple[int, int, int]
) -> PastEvent | None:
    """A row of a joined table as the store keeps it; None for one that names no thing."""
    first = joins[0]
    thing = as_word(row.get(first.key))
    if not thing:
        return None
    values: dict[str, float | str] = {}
    for join in joins:
        value = as_word(row.get(join.column)) if join.kind == "word" else as_number(row.get(join.column))
        if value == value and value != "":
            values[join.column] = value
    name = statements(first.table)
    key = f"{name}/{place[0]:06d}/{place[1]:018d}/{place[2]:09d}"
    return PastEvent(key, at, arrived, {name: thing}, values)
