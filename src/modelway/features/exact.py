"""Sums and deviations that do not depend on the order of the values: correctly rounded, from exact intermediate results.

A double is cut into parts of WIDTH bits at fixed places: x = Σ_k c_k, c_k a multiple of 2^(WIDTH·k), |c_k| < 2^(WIDTH·(k+1)).
The sum of up to 2^(53 − WIDTH) such parts of one place is a double without rounding, in any order and in any engine, so a
table's engine may add the parts as it likes; `math.fsum` over the few sums is the correctly rounded sum of all values.
Squares are cut likewise, and the variance (n·Σx² − (Σx)²) / (n·(n − 1)) is computed in whole numbers and rounded once.
After J. Demmel and H. D. Nguyen, IEEE Trans. Comput. 64 (2015) 2060, with fixed places.

>>> total([1e50, 1.0, -1e50]), deviation([1e9 + 1, 1e9 + 2, 1e9 + 3])
(1.0, 1.0)
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from modelway.expressions.values import NAN

if TYPE_CHECKING:
    import numpy as np

WIDTH = 26
"""Bits of a part: 2^23 squares (8 million events) in one window still add up without rounding."""


def total(values: Iterable[float]) -> float:
    """The correctly rounded sum; the values as windows see them, so that nothing overflows."""
    return math.fsum(values) + 0.0


def deviation(values: Sequence[float]) -> float:
    """The correctly rounded sample variance (n − 1), then its square root; NaN for fewer than two values."""
    ratios = [value.as_integer_ratio() for value in values]
    places = max((bottom.bit_length() for _, bottom in ratios), default=1)
    whole = [top << (places - bottom.bit_length()) for top, bottom in ratios]
    return _deviation(len(whole), sum(whole), sum(n * n for n in whole), places - 1)


def deviation_of_parts(count: int, sums: Mapping[int, float], squares: Mapping[int, float]) -> float:
    """The same from the sums of parts, by place."""
    least = min([0, *sums, *(place // 2 for place in squares)])
    first = sum(_whole(part, place) << WIDTH * (place - least) for place, part in sums.items())
    second = sum(_whole(part, place) << WIDTH * (place - 2 * least) for place, part in squares.items())
    return _deviation(count, first, second, -WIDTH * least)


def _whole(part: float, place: int) -> int:
    return int(math.ldexp(part, -WIDTH * place))


def _deviation(count: int, first: int, second: int, places: int) -> float:
    """`first` in units of 2^−places, `second` in units of their square."""
    if count < 2:
        return NAN
    return math.sqrt((count * second - first * first) / ((count * (count - 1)) << (2 * places)))


def cut(values: "np.ndarray") -> "dict[int, np.ndarray]":
    """The parts of a column of doubles by place, highest first; places at which nothing lies are left out. NaN counts as 0."""
    import numpy as np

    rest = np.nan_to_num(values, nan=0.0)
    parts: dict[int, np.ndarray] = {}
    while (most := float(np.max(np.abs(rest), initial=0.0))) > 0:
        place = (math.frexp(most)[1] - 1) // WIDTH
        unit = math.ldexp(1.0, WIDTH * place)
        parts[place] = np.trunc(rest / unit) * unit
        rest = rest - parts[place]
    return parts


def cut_squares(parts: "Mapping[int, np.ndarray]") -> "dict[int, np.ndarray]":
    """The parts of the squares, from those of the values."""
    import numpy as np

    squares: dict[int, np.ndarray] = {}
    unit = math.ldexp(1.0, WIDTH)
    for high, left in parts.items():
        for low, right in parts.items():
            product = np.ldexp(left, -WIDTH * high) * np.ldexp(right, -WIDTH * low)
            upper = np.trunc(product / unit)
            for place, part in ((high + low + 1, upper), (high + low, product - upper * unit)):
                squares[place] = squares.get(place, 0.0) + np.ldexp(part, WIDTH * place)
    return {place: part for place, part in squares.items() if part.any()}
