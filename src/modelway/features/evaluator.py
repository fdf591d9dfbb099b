"""Windows of one plan as generated code, which need not be asked for each window what it is.

The text is made of whole numbers alone; columns and defaults are handed in. Windows with one end go from the narrowest to the
widest, and where a wider one sees no event more, its values are those of the one before.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from math import fsum
from typing import Any

from modelway.expressions.values import NAN, in_window
from modelway.features.derived import TARGET, Stat
from modelway.features.lookback import Span, Windows, in_order, seen_by_windows
from modelway.features.past import Past
from modelway.features.statistics import aggregate, or_default, ratio

Fill = Callable[[list[Any], str, int | None, int | None, Past | None], None]
_KEPT: dict[str, str] = {"sum": "s", "mean": "s", "min": "a", "max": "z", "distinct": "d"}
_MADE = {"s": "fsum(x) + 0.0", "a": "float(min(x))", "z": "float(max(x))", "d": "float(len(set(x)))"}
_TOLD = {
    "count": "float(k)",
    "sum": "s",
    "mean": "s / k",
    "min": "a",
    "max": "z",
    "distinct": "d",
    "last": "float(x[-1])",
}


def compile_windows(windows: Windows) -> Fill:
    """A function that writes the windows' values into their slots."""
    columns = tuple(dict.fromkeys(of for span in windows.spans for of, _ in span.wanted if of))
    defaults: list[float | None] = []
    lines = list(_lines(windows, columns, defaults))
    names: dict[str, Any] = {
        **{"bisect_left": bisect_left, "bisect_right": bisect_right, "fsum": fsum, "ratio": ratio},
        **{"aggregate": aggregate, "seen": seen_by_windows, "in_order": in_order, "column": column, "NAN": NAN},
        **{f"c{index}": of for index, of in enumerate(columns)},
        **{f"d{index}": default for index, default in enumerate(defaults)},
    }
    exec(compile("\n".join(lines), "<windows>", "exec"), names)
    made: Fill = names["fill"]
    return made


def column(past: Past, of: str) -> tuple[list[Any], bool]:
    """All values of a column, NaN where missing, and whether one may be missing."""
    if (numbers := past.numbers.get(of)) is not None and of != TARGET:
        return list(numbers) if isinstance(numbers, list) else numbers.tolist(), of in past.gaps  # type: ignore[attr-defined]
    if of == TARGET:
        return [in_window(told) for told in past.targets], True
    words = past.words.get(of)
    return ([word or NAN for word in words], True) if words is not None else ([NAN] * len(past.at), True)


def _lines(windows: Windows, columns: Sequence[str], defaults: list[float | None]) -> Iterator[str]:
    yield "def fill(cells, key, at, came, past):"
    yield "    if past is None or at is None:"
    for span in windows.spans:
        for _, wanted in span.wanted:
            for slot, stat, default in wanted:
                yield f"        cells[{slot}] = {_default(stat, default, defaults)}"
    yield "        return"
    yield "    own = past.place_of(key)"
    yield "    if own >= 0: past = past.without(own)"
    yield "    times = past.at"
    yield "    n = len(times)"
    slots = dict(windows.slots)
    for index, of in enumerate(columns):
        yield f"    v{index}, g{index} = column(past, c{index})"
        yield f"    m{index} = seen(cells[{slots[of]}])" if of in slots else f"    m{index} = None"
    delays = sorted({span.delay for span in windows.spans})
    for delay in delays:
        chain = sorted((span for span in windows.spans if span.delay == delay), key=lambda span: span.reach)
        yield from _chain(windows, chain, columns, defaults)


def _chain(
    windows: Windows, chain: Sequence[Span], columns: Sequence[str], defaults: list[float | None]
) -> Iterator[str]:
    """Windows with one end, from the narrowest on."""
    delay, closed = chain[0].delay, chain[0].closed
    counts = windows.counts_own and not delay
    whole = closed and delay == windows.nearest
    yield "    h = n" if whole else f"    h = bisect_{'right' if closed else 'left'}(times, at - {delay})"
    before: Span | None = None
    for span in chain:
        low = "0" if span.reach == windows.widest else f"bisect_right(times, at - {span.reach})"
        if before is not None:
            yield "    p = l"
        yield f"    l = {low}"
        indent = "    "
        if before is not None and _asked(before) == _asked(span):
            indent = "        "
            yield "    if l == p:"
            yield from (f"        {line}" for line in _copied(before, span))
            yield "    else:"
        for of, wanted in span.wanted:
            lines = (
                _counted(wanted, counts, defaults) if not of else _column(columns.index(of), wanted, counts, defaults)
            )
            yield from (indent + line for line in lines)
        before = span


def _asked(span: Span) -> list[tuple[str, list[tuple[Stat, float | None]]]]:
    """What a span is asked for: where two are asked the same, equal stretches have equal values."""
    return [(of, sorted(((s, d) for _, s, d in wanted), key=repr)) for of, wanted in span.wanted]


def _copied(before: Span, span: Span) -> Iterator[str]:
    there = {(of, stat, default): slot for of, wanted in before.wanted for slot, stat, default in wanted}
    for of, wanted in span.wanted:
        for slot, stat, default in wanted:
            yield f"cells[{slot}] = cells[{there[of, stat, default]}]"


def _counted(
    wanted: Sequence[tuple[int, Stat, float | None]], counts: bool, defaults: list[float | None]
) -> Iterator[str]:
    for slot, stat, default in wanted:
        yield f"cells[{slot}] = float(h - l{' + 1' if counts else ''}) or {_default(stat, default, defaults)}"


def _column(
    index: int, wanted: Sequence[tuple[int, Stat, float | None]], counts: bool, defaults: list[float | None]
) -> Iterator[str]:
    yield f"x = v{index}[l:h]"
    yield f"if g{index}: x = [one for one in x if one == one]"
    if any(stat == "ratio" for _, stat, _ in wanted):
        yield "others = x.copy()"
    if counts:
        yield f"if m{index} is not None: x.append(m{index})"
    yield "k = len(x)"
    yield "if k:"
    for name in dict.fromkeys(_KEPT[stat] for _, stat, _ in wanted if stat in _KEPT):
        yield f"    {name} = {_MADE[name]}"
    for slot, stat, default in wanted:
        yield f"    cells[{slot}] = {_told(index, stat, default, counts, defaults)}"
    yield "else:"
    for slot, stat, default in wanted:
        yield f"    cells[{slot}] = {_default(stat, default, defaults)}"


def _told(index: int, stat: Stat, default: float | None, counts: bool, defaults: list[float | None]) -> str:
    if stat == "last" and counts:
        tied = f"m{index} is not None and h > l and times[h - 1] == at"
        return f"float(in_order(past, c{index}, l, h, m{index}, at, came, key)[-1]) if {tied} else float(x[-1])"
    if stat == "ratio":
        defaults.append(default)
        return f"ratio(m{index} if isinstance(m{index}, float) else None, others, d{len(defaults) - 1})"
    if stat == "std":
        defaults.append(default)
        return f"aggregate('std', x, d{len(defaults) - 1})"
    return _TOLD[stat]


def _default(stat: Stat, default: float | None, defaults: list[float | None]) -> str:
    defaults.append(or_default(stat, NAN, default))
    return f"d{len(defaults) - 1}"
