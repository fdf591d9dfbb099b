"""Errors, timeouts and invalid outputs of two arms that share the traffic: exact tests, valid at every look.

**Does B fail more?** Given that an error occurred, it fell to arm B with probability w, B's share of the traffic, if both
arms have equal error rates *however the rate moves with the hour*. With k errors of B and s of A, mixing the likelihood
ratio over θ ~ Beta(a, b), a = c·w, b = c·(1−w), restricted to θ > w (only more errors than its share count against B):

    E = B(a+k, b+s)/B(a, b) · w^−k (1−w)^−s · P(θ > w | a+k, b+s)/P(θ > w | a, b)

is an e-process for every θ ≤ w: the probability that it *ever* reaches 1/α is ≤ α. It needs two integers, works from the
first error and has no minimum sample. On request counts the two-sided form is the sample-ratio test.

**May B have more?** That test conditions on errors, so with none it never speaks. To promote, B's own rate p is bounded.
With k errors in n requests and u ~ Beta(a, 1), p = q·u, the mixture of likelihood ratios against p = q

    E_q = E_u[ u^k · ((1 − q·u)/(1 − q))^(n−k) ]

is an e-process for "the mean rate so far is ≥ q", and grows with q, so that testing at a q that moves with the data is
safe too. With no error and a = 0.2 it reaches 1/α after about 1.1·ln(1/α)/q requests (3,323 at 0.1 points, α = 5 %).

Independent assignment is needed: where one customer can make many errors, count customers with an error.
M. Lindon, A. Malek, Anytime-Valid Inference for Multinomial Count Data, NeurIPS 2022. S. Howard et al., Annals of
Statistics 49 (2021) 1055 (bounded means that move with time).

>>> round(log_e_worse(12, 20, share=0.1), 3), worse(12, 20, share=0.1, alpha=0.05).answer
(4.378, 'worse')
>>> acceptable(0, 2000, limit=0.001, alpha=0.05).needed
1232
"""

import math
from functools import lru_cache

import numpy as np

from modelway.evidence.decide import MOST
from modelway.evidence.multiply import NEVER, needed_log_e, reached
from modelway.records import Finding

CONCENTRATION = 50.0
"""c: how near to B's share of the traffic the mixture looks for its share of the errors."""
FEW = 0.2
"""a: how near to zero the mixture looks for B's error rate."""


def log_e_worse(errors: int, others: int, share: float, concentration: float = CONCENTRATION) -> float:
    """Log e-value against "B errs no more than A": `errors` of B, `others` of A, B's share of the requests (0–1).

    0 (no evidence) for a share of 0 or 1, where there is nothing to compare with.
    """
    if not 0 < share < 1:
        return 0.0
    a, b = concentration * share, concentration * (1 - share)
    tail = _above(share, a + errors, b + others) / _above(share, a, b)
    return max(_log_mixture(errors, others, share, a, b) + _log(tail), NEVER)


def log_e_uneven(requests: int, others: int, share: float, concentration: float = 1000.0) -> float:
    """Log e-value against "B gets its share of the requests", two-sided: the routing is broken where it grows."""
    if not 0 < share < 1:
        return 0.0
    return max(_log_mixture(requests, others, share, concentration * share, concentration * (1 - share)), NEVER)


def share_interval(requests: int, others: int, share: float, concentration: float, alpha: float) -> tuple[float, float]:
    """The shares of all requests that B can have been getting, with probability ≥ 1 − alpha at all looks; (0, 1) for none.

    `share` is what was asked for: near to it the interval is narrowest.
    """
    if not requests + others or not 0 < share < 1:
        return 0.0, 1.0
    return _sequence(requests, others, concentration * share, concentration * (1 - share), alpha)


def worse(errors: int, others: int, *, share: float, alpha: float) -> Finding:
    """Whether B fails more than A: worse or undecided. The effect is B's share of the traffic minus its share of the errors.

    `needed` counts further errors of both arms, if B's share of them stays what it is.
    """
    total = errors + others
    method = "exact sequential test on counts"
    if not total or not 0 < share < 1:
        return Finding("undecided", None, None, None, alpha, None, method)
    log_e, seen = log_e_worse(errors, others, share), errors / total
    a, b = CONCENTRATION * share, CONCENTRATION * (1 - share)
    low, high = _sequence(errors, others, a, b, alpha)
    shown = reached(log_e, alpha)
    needed = None if shown or seen <= share else _ceil((needed_log_e(alpha) - log_e) / _divergence(seen, share))
    return Finding("worse" if shown else "undecided", share - seen, share - high, share - low, alpha, needed, method)


def log_e_acceptable(errors: int, requests: int, limit: float) -> float:
    """Log e-value against "B's mean error rate is `limit` (0–1) or more"."""
    from scipy.special import betainc, betaln

    if not 0 < limit < 1:
        raise ValueError(f"a limit of an error rate lies between 0 and 1, not {limit}")
    right = requests - errors
    below = float(betainc(FEW + errors, 1.0 + right, limit))
    whole = float(betaln(FEW + errors, 1.0 + right)) - float(betaln(FEW, 1.0)) - FEW * math.log(limit)
    return max(whole + _log(below) - errors * math.log(limit) - right * math.log1p(-limit), NEVER)


def acceptable(errors: int, requests: int, *, limit: float, alpha: float) -> Finding:
    """Whether B's own error rate is shown to be below `limit`: not_worse or undecided. The effect is minus the rate.

    `needed` counts further requests to B, if its rate stays what it is.
    """
    return not_worse(errors, requests, 0, 0, margin=limit, alpha=alpha, spent_on_others=0.0)


def not_worse(
    errors: int,
    requests: int,
    others_errors: int,
    others_requests: int,
    *,
    margin: float,
    alpha: float,
    spent_on_others: float = 0.1,
    bounded: bool = True,
) -> Finding:
    """Whether B's error rate is shown to be below A's + `margin` (absolute, 0–1): not_worse or undecided.

    B's upper bound is compared with A's lower bound plus the margin; `spent_on_others` is the share of alpha that A's
    bound takes. Rates are means over the time so far, so they may move, as long as both arms see the same hours. `bounded`:
    find the interval's end too, which the answer does not need and which takes most of the time.
    """
    base = lower_rate(others_errors, others_requests, alpha * spent_on_others) if spent_on_others else 0.0
    limit, level = min(base + margin, 1 - 1e-9), alpha * (1 - spent_on_others)
    log_e = log_e_acceptable(errors, requests, limit)
    shown = reached(log_e, level)
    rate = errors / requests if requests else 0.0
    base_rate = others_errors / others_requests if others_requests else 0.0
    growth = _divergence(rate, limit) if rate < limit else 0.0
    needed = None if shown or not growth else _ceil((needed_log_e(level) - log_e) / growth)
    return Finding(
        "not_worse" if shown else "undecided",
        base_rate - rate if requests else None,
        base - upper_rate(errors, requests, level) if bounded else None,
        None,
        alpha,
        needed,
        "sequential bound on the error rate",
    )


def upper_rate(errors: int, requests: int, alpha: float) -> float:
    """Upper bound (0–1) on the mean error rate that holds at all looks with probability ≥ 1 − alpha."""
    from scipy.optimize import brentq

    def beyond(q: float) -> float:
        return log_e_acceptable(errors, requests, q) - needed_log_e(alpha)

    start = max(errors / requests if requests else 0.0, 1e-12)
    return float(brentq(beyond, start, 1 - 1e-12)) if start < 1 - 1e-12 and beyond(1 - 1e-12) > 0 else 1.0


def lower_rate(errors: int, requests: int, alpha: float) -> float:
    """Lower bound (0–1) on the mean error rate that holds at all looks with probability ≥ 1 − alpha."""
    return _sequence(errors, requests - errors, 0.5, 0.5, alpha, upper=False)[0] if errors else 0.0


def _log_mixture(k: int, s: int, share: float, a: float, b: float) -> float:
    return _log_grown(k, s, a, b) - k * math.log(share) - s * math.log1p(-share)


def _log_grown(k: int, s: int, a: float, b: float) -> float:
    """ln B(a+k, b+s)/B(a, b)."""
    from scipy.special import betaln

    return float(betaln(a + k, b + s) - betaln(a, b))


@lru_cache(maxsize=256)
def _above(share: float, a: float, b: float) -> float:
    """P(θ > share) of θ ~ Beta(a, b)."""
    from scipy.special import betaincc

    return float(betaincc(a, b, share))


def _sequence(k: int, s: int, a: float, b: float, alpha: float, *, upper: bool = True) -> tuple[float, float]:
    """The shares that the two-sided mixture has not rejected: an interval round k/(k+s), for all looks at once."""
    from scipy.optimize import brentq

    most = _log_grown(k, s, a, b) - needed_log_e(alpha)

    def beyond(share: float) -> float:
        return most - k * math.log(share) - s * math.log1p(-share)

    edge = 1e-15
    seen = min(max(k / (k + s), edge), 1 - edge)
    low = float(brentq(beyond, edge, seen)) if k and beyond(edge) > 0 else 0.0
    high = float(brentq(beyond, seen, 1 - edge)) if upper and s and beyond(1 - edge) > 0 else 1.0
    return low, high


def _divergence(p: float, q: float) -> float:
    """Kullback–Leibler divergence of Bernoulli(p) from Bernoulli(q), in nats."""
    first = p * math.log(p / q) if p > 0 else 0.0
    return first + ((1 - p) * (math.log1p(-p) - math.log1p(-q)) if p < 1 else 0.0)


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf


def _ceil(x: float) -> int | None:
    return max(1, math.ceil(x)) if np.isfinite(x) and x < MOST else None
