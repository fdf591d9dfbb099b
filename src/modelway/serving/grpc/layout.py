"""What a request's raw tensors are, compiled once, so that their values are read by one call for all numbers of a row; pure."""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelway.serving.raw import CODES, WIDTHS, Values, count_of, read_raw

Tensor = tuple[str, str, tuple[int, ...]]
"""Name, datatype, shape."""
_NUMBERS = CODES.keys() - {"BOOL"}


@dataclass(frozen=True, slots=True)
class Layout:
    """`single`: each tensor has one value and the shape [1] or [1, 1]."""

    given: tuple[Tensor, ...]
    counts: tuple[int, ...]
    single: bool
    names: tuple[str, ...]
    """Of the numbers, where `single`."""
    places: tuple[int, ...]
    """Of the numbers among the tensors."""
    widths: list[int]
    """Of the numbers, in bytes."""
    numbers: struct.Struct
    others: tuple[int, ...]
    """Places of what is no number: text, truth, BF16."""

    @staticmethod
    def of(given: Sequence[Tensor]) -> "Layout":
        """Raises DataError for a shape that cannot be."""
        counts = tuple([count_of(name, shape) for name, _, shape in given])
        places = tuple([place for place, (_, datatype, _) in enumerate(given) if datatype in _NUMBERS])
        kinds = [given[place][1] for place in places]
        return Layout(
            given=tuple(given),
            counts=counts,
            single=bool(given) and all(shape in ((1,), (1, 1)) for _, _, shape in given),
            names=tuple([given[place][0] for place in places]),
            places=places,
            widths=[WIDTHS[kind] for kind in kinds],
            numbers=struct.Struct("<" + "".join(CODES[kind] for kind in kinds)),
            others=tuple([place for place in range(len(given)) if place not in places]),
        )

    def scalars(self, raw: Sequence[bytes]) -> dict[str, Any]:
        """Each tensor's one value, where `single`; raises DataError as `read_raw` does."""
        parts = list(raw) if not self.others else [raw[place] for place in self.places]
        if list(map(len, parts)) != self.widths:
            return {name: self._read(place, raw[place])[0] for place, (name, _, _) in enumerate(self.given)}
        values = self.numbers.unpack(b"".join(parts))
        if not all(map(math.isfinite, values)):
            return {name: self._read(place, raw[place])[0] for place, (name, _, _) in enumerate(self.given)}
        made = dict(zip(self.names, values, strict=True))
        for place in self.others:
            made[self.given[place][0]] = self._read(place, raw[place])[0]
        return made

    def tensors(self, raw: Sequence[bytes]) -> dict[str, Mapping[str, Any]]:
        """The tensors as JSON would have given them; raises DataError as `read_raw` does."""
        return {
            name: {"datatype": datatype, "shape": list(shape), "data": self._read(place, raw[place])}
            for place, (name, datatype, shape) in enumerate(self.given)
        }

    def _read(self, place: int, raw: bytes) -> Values:
        name, datatype, _ = self.given[place]
        return read_raw(name, datatype, self.counts[place], raw)
