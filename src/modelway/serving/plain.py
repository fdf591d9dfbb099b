"""Rows of numbers that need no more than a look: typed, inside their bounds, and given to the graph as they come.

For a model whose columns are raw numbers and whose contract asks of them bounds alone. A row that does not pass at once is judged
as any other: what is accepted here, and with which values, is what the contract accepts (a property test).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NUMBERS = frozenset({float, int, type(None)})
_EXACT = 2.0**53


@dataclass(frozen=True, slots=True, eq=False)
class Plain:
    """`names`: the inputs; `low`, `high`: what is accepted, both included; `order`: the graph's columns among the inputs."""

    names: tuple[str, ...]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    whole: NDArray[np.bool_]
    """Inputs that must be whole numbers."""
    missing: NDArray[np.bool_]
    """Inputs that may be missing."""
    order: tuple[int, ...]

    def numbers(self, rows: Sequence[Mapping[str, Any]]) -> tuple[NDArray[np.float64], list[bool]] | None:
        """The graph's numbers [N][n] and which rows are accepted as they are; None when none can be, or there are none."""
        if not rows:
            return None
        get = itemgetter(*self.names)
        try:
            given = [get(row) for row in rows]
        except KeyError:
            return None
        values = given if len(self.names) > 1 else [(value,) for value in given]
        typed = [_NUMBERS.issuperset(map(type, row)) for row in values]
        if not all(typed):
            blank = (None,) * len(self.names)
            values = [row if good else blank for row, good in zip(values, typed, strict=True)]
        try:
            made = np.array(values, dtype=np.float64)
        except OverflowError:  # a whole number with more digits than a double has
            return None
        ordered, good = self.looked(made)
        accepted: list[bool] = good.tolist()
        if not all(typed):
            accepted = [one and other for one, other in zip(accepted, typed, strict=True)]
        return ordered, accepted

    def looked(self, made: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The same of a matrix [N] in the order of `names`, NaN where a value is missing."""
        ordered = made if self.order == tuple(range(len(self.names))) else made[:, self.order]
        good = (made >= self.low) & (made <= self.high)
        if self.whole.any():
            good &= ~self.whole | ((np.floor(made) == made) & (np.abs(made) < _EXACT))
        if not good.all():
            good |= np.isnan(made) & self.missing
        if good.all():  # to ask for all is a tenth of asking row by row
            return ordered, np.ones(len(made), bool)
        return ordered, np.logical_and.reduce(good, axis=1)
