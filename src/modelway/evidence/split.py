"""Whether traffic is split as it was asked for: the sample-ratio test, for any number of arms, valid at every look.

Of n requests (or callers, where a caller stays with one arm) n_i fell to arm i, which was to get the share w_i. Mixing the
likelihood ratio over shares ~ Dirichlet(c·w) gives

    E = B(c·w + n)/B(c·w) · Π w_i^−n_i,      B(a) = Π Γ(a_i) / Γ(Σ a_i)

an e-process for "each one falls to arm i with probability w_i": the probability that it *ever* reaches 1/α is ≤ α. Where it
does, the routing is broken, and what rests on the share, as the tests of `counts.py` do, says nothing. `most` is then the
largest share of an arm that the counts leave possible at all looks.

M. Lindon, A. Malek, Anytime-Valid Inference for Multinomial Count Data, NeurIPS 2022.

>>> round(log_e_split([900, 100], [0.9, 0.1]), 2), round(log_e_split([850, 150], [0.9, 0.1]), 2)
(-0.35, 6.04)
>>> round(most(150, 850, 0.1, alpha=0.001), 3)
0.214
"""

import math
from collections.abc import Sequence

from modelway.evidence.counts import share_interval
from modelway.evidence.multiply import NEVER

CONCENTRATION = 1000.0
"""c: how near to the shares that were asked for the mixture looks for the true ones."""


def log_e_split(seen: Sequence[int], shares: Sequence[float], concentration: float = CONCENTRATION) -> float:
    """Log e-value against "arm i gets its share"; 0 where fewer than two arms have one.

    `seen[i]` ≥ 0 requests of arm i, `shares[i]` as they were asked for, adding up to 1. An arm without a share that was seen
    all the same has broken the split beyond doubt: the value is infinite.
    """
    if len(seen) != len(shares) or not math.isclose(math.fsum(shares), 1.0, abs_tol=1e-9):
        raise ValueError(f"shares of {len(seen)} arms add up to 1, not {shares}")
    if any(n > 0 and share <= 0 for n, share in zip(seen, shares, strict=True)):
        return math.inf
    arms = [(n, share) for n, share in zip(seen, shares, strict=True) if share > 0]
    if len(arms) < 2:
        return 0.0
    from scipy.special import gammaln

    before = [concentration * share for _, share in arms]
    after = [a + n for a, (n, _) in zip(before, arms, strict=True)]
    grown = math.fsum(float(gammaln(b) - gammaln(a)) for a, b in zip(before, after, strict=True))
    whole = float(gammaln(math.fsum(after)) - gammaln(math.fsum(before)))
    return max(grown - whole - math.fsum(n * math.log(share) for n, share in arms), NEVER)


def most(requests: int, others: int, share: float, *, alpha: float) -> float:
    """The largest share that B can have been getting, with probability ≥ 1 − alpha at all looks; at least what was asked for."""
    return max(share, share_interval(requests, others, share, CONCENTRATION, alpha)[1])
