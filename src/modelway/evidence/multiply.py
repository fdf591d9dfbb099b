"""Evidence of several steps or several questions put together.

An e-value is a statistic with E[e] ≤ 1 where the null hypothesis holds, so P(e ≥ 1/α) ≤ α (Markov; Ville for a process,
over any number of looks). Hence

    steps        of one question, each on new data: the product is an e-process again, and nothing is lost between steps
    questions    on the same data, in any dependence: the mean is an e-value; or each question gets its share of α

G. Shafer, J. R. Stat. Soc. A 184 (2021) 407. V. Vovk, R. Wang, Annals of Statistics 49 (2021) 1736.

>>> round(needed_log_e(0.05), 3), reached(product([1.2, 2.0]), 0.05)
(2.996, True)
"""

import math
from collections.abc import Iterable, Mapping

NEVER = -700.0
"""Floor of a log e-value: raising a value this small to it changes no decision, and JSON has no −infinity."""


def needed_log_e(alpha: float) -> float:
    """ln(1/α): the log e-value at which the null hypothesis is rejected."""
    return -math.log(alpha)


def reached(log_e: float, alpha: float) -> bool:
    """Whether the evidence rejects the null hypothesis at error rate alpha."""
    return log_e >= needed_log_e(alpha)


def product(log_es: Iterable[float]) -> float:
    """Log e-value of successive steps, each computed on its own rows."""
    return max(math.fsum(log_es), NEVER)


def mean(log_es: Iterable[float]) -> float:
    """Log e-value of "some of these nulls is false", whatever the dependence between them; NEVER for none."""
    values = list(log_es)
    if not values:
        return NEVER
    top = max(values)
    return max(top + math.log(math.fsum(math.exp(v - top) for v in values) / len(values)), NEVER)


def shares(alpha: float, weights: Mapping[str, float]) -> dict[str, float]:
    """α by question, in proportion to the weights: the probability of any false answer stays ≤ α."""
    whole = math.fsum(weights.values())
    return {name: alpha * weight / whole for name, weight in weights.items()}
