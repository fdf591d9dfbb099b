"""How much is done of what could go on for ever: a part by `make test`, all of it by `make test-thorough`."""

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
THOROUGH = bool(os.environ.get("MODELWAY_TEST_THOROUGH"))


def part(whole: Sequence[T], few: int) -> list[T]:
    """`few` of them, evenly spread from the first on; all of them when the tests are to be thorough."""
    step = 1 if THOROUGH else max(1, len(whole) / few)
    return [whole[int(place * step)] for place in range(int(len(whole) / step))]
