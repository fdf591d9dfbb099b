"""Where margins come from: the smallest margin that the data at hand have the power to show.

A challenger that is exactly as good as the champion (θ = 0) passes "not worse by more than δ" if its interval's lower end
θ̂ − z·σ lies above −δ. With standard error σ that happens with probability π for

    δ = (z_{1−α/2} + z_π) · σ,      σ = s·√(L/n) for n rows with sd s of the *paired* difference; in blocks
of L rows that hang together, a block counts as one row (cautious; `margin_of_differences` measures it)

A smaller margin would mostly answer "undecided" to equal models; a larger one lets worse models pass for nothing.
Paired differences of two good models vary far less than either loss: that is why both are judged on the same rows.

J. Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd ed. 1988; FDA, Non-Inferiority Clinical Trials, 2016.

>>> round(smallest_margin(0.02, 1000).margin, 5)
0.00177
"""

import math
from dataclasses import dataclass

import numpy as np

from modelway.errors import TooLittleDataError
from modelway.evidence.bootstrap import block_length, long_run_error


@dataclass(frozen=True, slots=True)
class Power:
    """A margin with what it rests on; `error` is the standard error of the paired difference, `words` what people read."""

    margin: float
    error: float
    rows: int
    units: int
    """Independent observations: rows, or blocks of a series."""
    alpha: float
    power: float
    words: str


def smallest_margin(
    sd: float, n: int, *, block: int = 1, alpha: float = 0.05, power: float = 0.8, unit: str = "loss"
) -> Power:
    """From the sd of the paired difference of one row; before a challenger exists, a champion's own loss gives a bound."""
    if n // block < 2 or not math.isfinite(sd):
        raise TooLittleDataError(
            f"{n} rows in blocks of {block} cannot show a difference of any size", "bring in more rows"
        )
    return margin_of_error(sd * math.sqrt(block / n), n, block, alpha, power, unit)


def margin_of_error(
    error: float, n: int, block: int = 1, alpha: float = 0.05, power: float = 0.8, unit: str = "loss"
) -> Power:
    """From the standard error of the difference itself, for example DeLong's (`delong.difference_error`)."""
    from scipy.special import ndtri, stdtrit

    units = n // block
    margin = (float(stdtrit(max(units - 1, 1), 1 - alpha / 2)) + float(ndtri(power))) * error
    how = f"{n:,} rows" if block == 1 else f"{n:,} rows in {units:,} blocks of {block}"
    words = (
        f"{how} can show that two equal models differ by at most {margin:.3g} ({unit}): "
        f"with this margin an equal challenger passes in {power:.0%} of cases, "
        f"one that is worse by the margin in at most {alpha / 2:.1%}"
    )
    return Power(margin, error, n, units, alpha, power, words)


def margin_of_differences(
    d: np.ndarray, *, horizon: int = 0, alpha: float = 0.05, power: float = 0.8, unit: str = "loss"
) -> Power:
    """From the paired differences themselves, d[n]; a series whose labels reach `horizon` rows ahead is taken in blocks."""
    block = block_length(len(d), horizon)
    return margin_of_error(long_run_error(d, block), len(d), block, alpha, power, unit)


def rows_for(margin: float, sd: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """How many independent rows a margin needs: the same formula turned round."""
    from scipy.special import ndtri

    return math.ceil(((float(ndtri(1 - alpha / 2)) + float(ndtri(power))) * sd / margin) ** 2)
