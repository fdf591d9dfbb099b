"""From an effect and its interval to an answer.

With effect θ = B − A (positive: B is better), interval [low, high] and margin δ ≥ 0:

    better      low > 0          B is shown to be better
    not_worse   low ≥ −δ         B is shown to be worse by at most δ (non-inferiority)
    worse       high < 0         B is shown to be worse, and not shown to be within the margin
    undecided   otherwise        the data cannot tell yet

An interval that misses θ with probability ≤ α makes every wrong answer of the first three at most that likely.
Undecided is an answer: keep what is, and say how many more observations would settle it. An interval narrows with
1/√n, so with half-width h at n observations a bound at distance g from the estimate is reached at n·(h/g)².

>>> decide(0.004, -0.002, 0.010, margin=0.005, alpha=0.05, n=1000, method="t").answer
'not_worse'
>>> decide(0.004, -0.011, 0.019, margin=0.005, alpha=0.05, n=1000, method="t").needed
1778
"""

import math

from modelway.records import Answer, Finding

MOST = 10**9
"""More observations than this are never said to be enough: the effect lies on the boundary."""


def decide(
    effect: float,
    low: float,
    high: float,
    *,
    margin: float = 0.0,
    alpha: float,
    n: int = 0,
    method: str = "",
) -> Finding:
    """The finding of an interval that misses the true effect with probability ≤ `alpha`.

    `margin` ≥ 0 in the units of the effect; `n` observations so far (0: no forecast of what is needed). An effect or
    a bound that is not a number makes the answer undecided.
    """
    if not margin >= 0:
        raise ValueError(f"a margin is a number ≥ 0, not {margin}")
    if math.isnan(effect) or math.isnan(low) or math.isnan(high):
        return Finding("undecided", _finite(effect), None, None, alpha, None, method)
    answer: Answer = "undecided"
    if low > 0:
        answer = "better"
    elif low >= -margin:
        answer = "not_worse"
    elif high < 0:
        answer = "worse"
    needed = _needed(effect, low, high, margin, n) if answer == "undecided" else None
    return Finding(answer, _finite(effect), _finite(low), _finite(high), alpha, needed, method)


def undecided(alpha: float, method: str, needed: int | None = None) -> Finding:
    """The finding when nothing could be estimated."""
    return Finding("undecided", None, None, None, alpha, needed, method)


def _needed(effect: float, low: float, high: float, margin: float, n: int) -> int | None:
    """The nearer of the two ways out, if the estimate stays where it is."""
    ways = [_until(effect - low, effect + margin, n), _until(high - effect, -effect, n)]
    enough = min(ways)
    return max(1, math.ceil(enough) - n) if n and enough < MOST else None


def _until(half: float, gap: float, n: int) -> float:
    if gap <= 0 or not math.isfinite(half):
        return math.inf
    times = half / gap
    return n * (times * times)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
