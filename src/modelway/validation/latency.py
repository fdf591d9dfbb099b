"""How long one row takes: wall time of single calls, one after the other, on this machine."""

from collections.abc import Callable
from time import perf_counter

import numpy as np

_WARM_UP = 20


def measure(run_one: Callable[[], object], n: int = 500, way: Callable[[], float] = lambda: 0.0) -> dict[str, float]:
    """`p50_ms` and `p99_ms` of n calls (n ≥ 1) after a few that are not counted; `way`: seconds of the last call that are no part
    of it."""
    for _ in range(min(_WARM_UP, n)):
        run_one()
    taken = np.empty(n)
    for i in range(n):
        start = perf_counter()
        run_one()
        taken[i] = perf_counter() - start - way()
    p50, p99 = np.quantile(taken, [0.5, 0.99]) * 1000
    return {"p50_ms": float(p50), "p99_ms": float(p99)}
