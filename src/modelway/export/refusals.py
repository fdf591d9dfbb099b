"""Rows at which the Python model raises: the server must refuse them, so they are told apart by their values.

The structure, all keys optional, JSON throughout:

    {"missing": [column, …]              a number that must not be missing
     "infinite": [column, …]             a number that must not be ±infinity
     "beyond": {column: limit}           a number whose |value| must not exceed the limit
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
    beyond = _beyond(taken, trusted, base, largest)
    found: dict[str, Any] = {
        "missing": _not_taken(taken, base, [(name, np.nan) for name in numbers]),
        "infinite": sorted(
            {
                *beyond,
                *_not_taken(trusted, base, [(n, s * np.inf) for n in numbers if n not in beyond for s in (1, -1)]),
            }
        ),
        "beyond": beyond,
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
    for name, known in refuses.get("unseen", {}).items():
        out |= ~rows[name].isin(known).to_numpy()
    return out


def altered(base: "pd.DataFrame", changes: Iterable[tuple[str, Any]]) -> "pd.DataFrame":
    """One copy of the row `base` a change, with that one value put in."""
    import pandas as pd

    wanted = list(changes)
    rows = pd.concat([base.iloc[:1]] * max(len(wanted), 1), ignore_index=True).iloc[: len(wanted)]
    for place, (name, value) in enumerate(wanted):
        rows.loc[place, name] = value
    return rows


def _not_taken(taken: Taken, base: "pd.DataFrame", changes: list[tuple[str, Any]]) -> list[str]:
    good = taken(altered(base, changes))
    return sorted({name for (name, _), kept in zip(changes, good, strict=True) if not kept})


def _beyond(taken: Taken, trusted: Taken, base: "pd.DataFrame", largest: Mapping[str, float]) -> dict[str, float]:
    """The largest size that each column takes, for those that do not take all; never less than the data's own."""
    limits: dict[str, float] = {}
    reached = dict(largest)
    for size, ask in [*((step, taken) for step in NEAR), *((step, trusted) for step in LADDER)]:
        sizes = {n: largest[n] * size if ask is taken else size for n in largest if n not in limits}
        tried = {name: value for name, value in sizes.items() if value > reached[name]}
        if ask is trusted:
            tried = {name: value for name, value in tried.items() if value > largest[name] * NEAR[-1]}
        gone = _not_taken(ask, base, [(name, sign * value) for name, value in tried.items() for sign in (1, -1)])
        limits |= {name: reached[name] for name in gone}
        reached |= tried
    return dict(sorted(limits.items()))
