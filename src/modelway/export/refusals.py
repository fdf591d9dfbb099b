"""Rows at which the Python model raises: the server must refuse them, so they are told apart by their values.

The structure, all keys optional, JSON throughout:

    {"missing": [column, …]              a number that must not be missing
     "infinite": [column, …]             a number that must not be ±infinity
     "beyond": {column: limit}           a number whose |value| must not exceed the limit
     "below": {column: least}            a number that must not be less (behind a logarithm, a root, a power of Box and Cox)
     "unseen": {column: [word, …]}}      a word that must be one of these ("" stands for missing)
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modelway.records import Column

if TYPE_CHECKING:
    import pandas as pd

LADDER = (1e6, 1e9, 1e12, 1e15, 1e20, 1e30, 3.4e38, 3.5e38, 1e100, 1e200, 1e300, 1.79e308)
NEAR = (2.0, 10.0, 1000.0)
UNSEEN = "∎ unseen"

Taken = Callable[["pd.DataFrame"], np.ndarray]


def find_refusals(
    taken: Taken,
    trusted: Taken,
    base: "pd.DataFrame",
    columns: Sequence[Column],
    largest: Mapping[str, float],
    words: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Try one column at a time on `base`, one row that is taken.

    `trusted` is asked instead of `taken` for sizes a thousand times beyond the `largest` |value| of each number
    column in the data, where a graph in single precision need not follow; `words` are the candidates of each word
    column.
    """
    numbers = list(largest)
    below = _below(taken, base, largest)
    beyond = _beyond(taken, trusted, base, largest, below)
    found: dict[str, Any] = {
        "missing": _not_taken(taken, base, [(name, np.nan) for name in numbers]),
        "infinite": sorted(
            {
                *beyond,
                *_not_taken(
                    trusted, base, [(n, s * np.inf) for n in numbers if n not in beyond for s in _signs(n, below)]
                ),
            }
        ),
        "beyond": beyond,
        "below": below,
        "unseen": {},
    }
    closed = _not_taken(taken, base, [(column.name, UNSEEN) for column in columns if column.kind == "word"])
    for name in closed:
        candidates = sorted({"", *words.get(name, ())})
        kept = taken(altered(base, [(name, word) for word in candidates]))
        found["unseen"][name] = [word for word, good in zip(candidates, kept, strict=True) if good]
    return {kind: value for kind, value in found.items() if value}


def refused(refuses: Mapping[str, Any], rows: "pd.DataFrame") -> np.ndarray:
    """bool[N]: which rows a server must refuse."""
    out = np.zeros(len(rows), dtype=bool)
    for name in refuses.get("missing", ()):
        out |= np.isnan(rows[name].to_numpy())
    for name in refuses.get("infinite", ()):
        out |= np.isinf(rows[name].to_numpy())
    for name, limit in refuses.get("beyond", {}).items():
        out |= np.abs(rows[name].to_numpy()) > limit
    for name, least in refuses.get("below", {}).items():
        out |= rows[name].to_numpy() < least
    for name, known in refuses.get("unseen", {}).items():
        out |= ~rows[name].isin(known).to_numpy()
    return out


def altered(base: "pd.DataFrame", changes: Iterable[tuple[str, Any]]) -> "pd.DataFrame":
    """One copy of the row `base` a change, with that one value put in."""
    import pandas as pd

    wanted = list(changes)
    rows = pd.concat([base.iloc[:1]] * max(len(wanted), 1), ignore_index=True).iloc[: len(wanted)].copy()
    for place, (name, value) in enumerate(wanted):
        rows.loc[place, name] = value
    return rows


def _not_taken(taken: Taken, base: "pd.DataFrame", changes: list[tuple[str, Any]]) -> list[str]:
    good = taken(altered(base, changes))
    return sorted({name for (name, _), kept in zip(changes, good, strict=True) if not kept})


def _below(taken: Taken, base: "pd.DataFrame", largest: Mapping[str, float]) -> dict[str, float]:
    """The least value that each column takes, for those that take their `largest` |value| and not its opposite.

    Found by halving the doubles between the two, so that the next smaller double is not taken.
    """
    ends = [(name, sign * value) for name, value in largest.items() for sign in (1, -1)]
    good = taken(altered(base, ends)).reshape(-1, 2)
    high = {name: _ordered(largest[name]) for name, (up, down) in zip(largest, good, strict=True) if up and not down}
    low = {name: _ordered(-largest[name]) for name in high}
    while open_ := [name for name in high if high[name] - low[name] > 1]:
        middles = {name: (low[name] + high[name]) // 2 for name in open_}
        kept = taken(altered(base, [(name, _double(place)) for name, place in middles.items()]))
        for name, keep in zip(open_, kept, strict=True):
            (high if keep else low)[name] = middles[name]
    return {name: _double(place) for name, place in sorted(high.items())}


def _ordered(value: float) -> int:
    """The doubles counted off: neighbours differ by one, −0.0 and 0.0 are both 0."""
    bits = int(np.float64(abs(value)).view(np.int64))
    return bits if value > 0 else -bits


def _double(place: int) -> float:
    size = float(np.int64(abs(place)).view(np.float64))
    return size if place >= 0 else -size


def _signs(name: str, below: Mapping[str, float]) -> tuple[int, ...]:
    return (1,) if name in below else (1, -1)


def _beyond(
    taken: Taken, trusted: Taken, base: "pd.DataFrame", largest: Mapping[str, float], below: Mapping[str, float]
) -> dict[str, float]:
    """The largest size that each column takes, for those that do not take all; never less than the data's own."""
    limits: dict[str, float] = {}
    reached = dict(largest)
    for size, ask in [*((step, taken) for step in NEAR), *((step, trusted) for step in LADDER)]:
        sizes = {n: largest[n] * size if ask is taken else size for n in largest if n not in limits}
        tried = {name: value for name, value in sizes.items() if value > reached[name]}
        if ask is trusted:
            tried = {name: value for name, value in tried.items() if value > largest[name] * NEAR[-1]}
        gone = _not_taken(
            ask, base, [(name, sign * value) for name, value in tried.items() for sign in _signs(name, below)]
        )
        limits |= {name: reached[name] for name in gone}
        reached |= tried
    return dict(sorted(limits.items()))
