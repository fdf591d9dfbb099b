"""The windows of a row without generated code: slower, and plain to read; what `evaluator.py` writes must give the same."""

from bisect import bisect_left, bisect_right
from typing import Any

from modelway.expressions.values import NAN
from modelway.features.exact import total
from modelway.features.lookback import Windows, in_order, seen_by_windows, values_in
from modelway.features.past import Past
from modelway.features.statistics import aggregate, or_default, ratio


def fill(windows: Windows, cells: list[Any], key: str, at: int | None, came: int | None, past: Past | None) -> None:
    """Write the windows' values into their slots; `came` is the row's own arrival."""
    if past is None or at is None:
        for span in windows.spans:
            for _, wanted in span.wanted:
                for slot, stat, default in wanted:
                    cells[slot] = or_default(stat, NAN, default)
        return
    if (own := past.place_of(key)) >= 0:
        past = past.without(own)
    times, owns = past.at, {of: seen_by_windows(cells[slot]) for of, slot in windows.slots}
    for span in windows.spans:
        low = bisect_right(times, at - span.reach)
        high = (bisect_right if span.closed else bisect_left)(times, at - span.delay)
        counts = windows.counts_own and not span.delay
        for of, wanted in span.wanted:
            if not of:
                for slot, stat, default in wanted:
                    cells[slot] = float(high - low + counts) or or_default(stat, NAN, default)
                continue
            others, mine = values_in(past, of, low, high), owns.get(of)
            own_counts = counts and mine is not None
            values = [*others, mine] if own_counts else others
            if not values:
                for slot, stat, default in wanted:
                    cells[slot] = or_default(stat, NAN, default)
                continue
            tied = own_counts and high > low and times[high - 1] == at
            summed: float | None = None
            for slot, stat, default in wanted:
                if stat in ("sum", "mean"):
                    summed = total(values) if summed is None else summed
                    cells[slot] = summed if stat == "sum" else summed / len(values)
                elif stat == "ratio":
                    cells[slot] = ratio(mine if isinstance(mine, float) else None, others, default)
                elif stat == "last" and tied:
                    cells[slot] = aggregate(stat, in_order(past, of, low, high, mine, at, came, key), default)
                else:
                    cells[slot] = aggregate(stat, values, default)
