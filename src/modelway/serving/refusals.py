"""Rows at which the Python model would raise are refused, by the manifest's `refuses` (its structure: `export/refusals.py`)."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelway.records import Column

Refusal = Callable[[Sequence[float], Sequence[str]], str]
"""Numbers and words of one row → why the model cannot answer it, or ""."""

Doubt = Callable[[NDArray[np.float64]], NDArray[np.bool_]]
"""Numbers [N][n] → which rows have a reason to be refused, as far as numbers give one."""


def compile_refusal(refuses: Mapping[str, Any], columns: Sequence[Column]) -> Refusal:
    """One function of a row; the first rule that holds gives the reason."""
    numbers = {name: place for place, name in enumerate(c.name for c in columns if c.kind == "number")}
    words = {name: place for place, name in enumerate(c.name for c in columns if c.kind == "word")}
    missing = [(numbers[name], name) for name in refuses.get("missing", ())]
    infinite = [(numbers[name], name) for name in refuses.get("infinite", ())]
    beyond = [(numbers[name], name, float(limit)) for name, limit in refuses.get("beyond", {}).items()]
    below = [(numbers[name], name, float(least)) for name, least in refuses.get("below", {}).items()]
    unseen = [(words[name], name, frozenset(known)) for name, known in refuses.get("unseen", {}).items()]
    if not (missing or infinite or beyond or below or unseen):
        return lambda numbers, words: ""

    def refusal(row: Sequence[float], texts: Sequence[str]) -> str:
        for place, name in missing:
            if row[place] != row[place]:
                return f"{name}: missing, and the model cannot do without it"
        for place, name in infinite:
            if math.isinf(row[place]):
                return f"{name}: infinite, and the model takes finite numbers only"
        for place, name, limit in beyond:
            if abs(row[place]) > limit:
                return f"{name}: {row[place]:g} is beyond ±{limit:g}, which the model can compute with"
        for place, name, least in below:
            if row[place] < least:
                return f"{name}: {row[place]:g} is below {least:g}, the least that the model can compute with"
        for place, name, known in unseen:
            if texts[place] not in known:
                return f"{name}: {texts[place]!r} is none of the {len(known)} values that the model knows"
        return ""

    return refusal


def compile_doubt(refuses: Mapping[str, Any], columns: Sequence[Column]) -> Doubt:
    """The rules about numbers, for many rows at a look; the reasons are those of `compile_refusal`."""
    names = [column.name for column in columns if column.kind == "number"]
    missing, infinite = (np.isin(names, list(refuses.get(kind, ()))) for kind in ("missing", "infinite"))
    beyond = np.array([float(refuses.get("beyond", {}).get(name, math.inf)) for name in names])
    below = np.array([float(refuses.get("below", {}).get(name, -math.inf)) for name in names])

    def doubt(numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
        found = (np.abs(numbers) > beyond) | (numbers < below)
        found |= (np.isnan(numbers) & missing) | (np.isinf(numbers) & infinite)
        return np.logical_or.reduce(found, axis=1)

    if not any(refuses.get(kind) for kind in ("missing", "infinite", "beyond", "below")):
        return lambda numbers: np.zeros(len(numbers), bool)
    return doubt
