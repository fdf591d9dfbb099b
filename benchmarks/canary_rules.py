"""Threshold rules as rollout tools are set up with, on the same simulated minutes: when each would have stopped the canary.

Settings *in the style of* the documented examples of Argo Rollouts (a condition on a query, failures allowed) and Flagger (failed
checks add up until a threshold), not those projects themselves; and a test at 5 % asked every minute, as people write it by hand.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from benchmarks.canary_traffic import SIGMA, Minutes

USUAL_P99 = float(np.exp(SIGMA * norm.ppf(0.99)))


@dataclass(frozen=True)
class Rule:
    """`stops` gives the first look (from 0) at which the canary is stopped, None for never."""

    name: str
    stops: Callable[[Minutes, Minutes], int | None]


def _share(errors: np.ndarray, requests: np.ndarray) -> np.ndarray:
    """Errors a request; 0 where there was none, as an empty query passes."""
    return np.divide(errors, requests, out=np.zeros(len(errors)), where=requests > 0)


def _adding_up(failed: np.ndarray, allowed: int) -> int | None:
    beyond = np.flatnonzero(failed.cumsum() > allowed)
    return int(beyond[0]) if len(beyond) else None


def _below_99(canary: Minutes, champion: Minutes) -> int | None:
    return _adding_up(_share(canary.errors, canary.requests) > 0.01, 4)


def _below_95(canary: Minutes, champion: Minutes) -> int | None:
    whole = len(canary.requests) // 5 * 5
    errors, requests = (n[:whole].reshape(-1, 5).sum(axis=1) for n in (canary.errors, canary.requests))
    found = _adding_up(_share(errors, requests) > 0.05, 3)
    return None if found is None else 5 * found + 4


def _above_stable(canary: Minutes, champion: Minutes) -> int | None:
    ours, theirs = (_share(arm.errors, arm.requests) for arm in (canary, champion))
    return _adding_up(ours > 1.2 * theirs, 3)


def _flagger(canary: Minutes, champion: Minutes) -> int | None:
    slow = (canary.p99 > 1.5 * USUAL_P99) & (canary.requests > 0)
    return _adding_up((_share(canary.errors, canary.requests) > 0.01) | slow, 4)


def _each_minute(canary: Minutes, champion: Minutes) -> int | None:
    k, n, s, m = (x.cumsum() for x in (canary.errors, canary.requests, champion.errors, champion.requests))
    pooled = _share(k + s, n + m)
    spread = np.sqrt(pooled * (1 - pooled) * (_share(np.ones(len(n)), n) + _share(np.ones(len(m)), m)))
    z = np.divide(_share(k, n) - _share(s, m), spread, out=np.zeros(len(n)), where=spread > 0)
    found = np.flatnonzero(z > float(norm.ppf(0.95)))
    return int(found[0]) if len(found) else None


RULES = (
    Rule("Argo style: success ≥ 99 % a minute, the 5th failure", _below_99),
    Rule("Argo style: success ≥ 95 % in 5 minutes, > 3 failures", _below_95),
    Rule("Argo style: errors ≤ 1.2 × stable's a minute, > 3 failures", _above_stable),
    Rule("Flagger style: success ≥ 99 % and p99 ≤ 1.5 × usual a minute, the 5th failed check", _flagger),
    Rule("z-test at 5 %, asked each minute", _each_minute),
)
