"""Paired bootstrap: any statistic of weighted rows, with an interval that respects how the rows hang together.

A resample is a vector of weights: how often each row was drawn. Both models get the *same* weights, so that what they
share cancels out. A statistic takes weights [draws, n] and gives values [draws]; for mean losses that is one matrix
product. What is drawn:

    rows       independently, within each stratum (label) if strata are given
    clusters   whole customers: rows of one customer are not independent
    blocks     runs of successive rows, for a series: starts anywhere, wrapped at the end so that every row is drawn
               equally often. The length is no shorter than the horizon over which labels overlap

Interval: percentiles at α/2 and 1 − α/2, their distances from the estimate widened by t_{k−1}/z · √(k/(k−1)) for k units
drawn (rows, clusters or blocks): percentiles alone are too narrow for few units. Labels that overlap over h rows make
differences with triangular autocorrelation, of which blocks of length L see the share 1 − h/(3L); `block_length` takes
L = 3h, and the interval is widened by the missing ninth.

B. Efron, R. Tibshirani 1993; H. Künsch, Annals of Statistics 17 (1989) 1217; D. Politis, J. Romano 1992 (wrapping);
T. Hesterberg, The American Statistician 69 (2015) 371 (widening).

>>> loss_a, loss_b = np.array([1.0, 0, 1, 1, 0, 1, 0, 1]), np.array([0.0, 0, 1, 0, 0, 1, 0, 0])
>>> f = mean_difference(loss_a, loss_b, margin=0.1)
>>> f.effect, f.answer
(0.375, 'undecided')
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from modelway.errors import TooLittleDataError
from modelway.evidence.decide import decide
from modelway.evidence.delong import no_exception
from modelway.records import Finding

Statistic = Callable[[np.ndarray], np.ndarray]
"""Weights [draws, n] → values [draws]; NaN where a resample has no value (one class only)."""

DRAWS = 2_000
ENOUGH_FOR_PERCENTILES = 1_000
_CELLS = 2_000_000


@dataclass(frozen=True)
class Resampling:
    """How rows are drawn. At most one of `clusters` (labels [n]) and `horizon` > 0; strata (codes [n]) only without both.

    `horizon`: how many rows ahead a label reaches, for rows in time order (1: each day's label is its own).
    """

    strata: np.ndarray | None = None
    clusters: np.ndarray | None = None
    horizon: int = 0
    draws: int = DRAWS
    seed: int = 0

    def block(self, n: int) -> int:
        return block_length(n, self.horizon)

    def units(self, n: int) -> int:
        """How many independent things are drawn from: what the interval's degrees of freedom count."""
        if self.clusters is not None:
            return len(np.unique(self.clusters))
        return n // self.block(n)

    @property
    def words(self) -> str:
        by = "clusters" if self.clusters is not None else "blocks" if self.horizon else "rows"
        return f"paired bootstrap by {by}"


def block_length(n: int, horizon: int) -> int:
    """Rows a block: 1 without a horizon, else three horizons or n^(1/3), whichever is longer, but at least 8 blocks if
    the horizon leaves room for them; never shorter than the horizon."""
    if horizon <= 0:
        return 1
    return max(horizon, min(max(3 * horizon, math.ceil(n ** (1 / 3))), n // 8))


def weights(n: int, how: Resampling) -> Iterator[np.ndarray]:
    """`how.draws` weight vectors in pieces double[c, n]; each sums to about n."""
    rng = np.random.default_rng(how.seed)
    if how.units(n) < 2:
        raise TooLittleDataError(f"{n} rows hold fewer than two units to resample ({how.words})", "bring in more rows")
    index = np.unique(how.clusters, return_inverse=True)[1] if how.clusters is not None else None
    piece = max(1, _CELLS // n)
    for start in range(0, how.draws, piece):
        c = min(piece, how.draws - start)
        if index is not None:
            yield _drawn(rng, c, int(index.max()) + 1, how.units(n))[:, index]
        elif how.horizon:
            yield _blocks(rng, c, n, how.block(n))
        elif how.strata is not None:
            yield _stratified(rng, c, how.strata)
        else:
            yield _drawn(rng, c, n, n)


def replicas(statistics: Sequence[Statistic], n: int, how: Resampling) -> np.ndarray:
    """Values double[draws, statistics] of several statistics on the same resamples of n rows."""
    return np.concatenate([np.column_stack([s(w) for s in statistics]) for w in weights(n, how)])


def estimate(statistic: Statistic, n: int) -> float:
    """The statistic of the sample itself."""
    return float(statistic(np.ones((1, n)))[0])


def interval(value: float, drawn: np.ndarray, *, units: int, alpha: float, widen: float = 1.0) -> tuple[float, float]:
    """The widened percentile interval of an estimate from its replicas; (NaN, NaN) if more than 1 in 20 have no value.

    With few draws (many rows) their standard deviation is far surer than their outermost values, and takes their place.
    """
    from scipy.special import ndtri, stdtrit

    known = drawn[np.isfinite(drawn)]
    if not math.isfinite(value) or len(known) < 0.95 * len(drawn):
        return math.nan, math.nan
    factor = widen * float(stdtrit(units - 1, 1 - alpha / 2) / ndtri(1 - alpha / 2)) * math.sqrt(units / (units - 1))
    if len(known) < ENOUGH_FOR_PERCENTILES:
        half = -float(ndtri(alpha / 2)) * float(known.std(ddof=1)) * factor
        return value - half, value + half
    low, high = np.quantile(known, [alpha / 2, 1 - alpha / 2])
    return value - (value - float(low)) * factor, value + (float(high) - value) * factor


def widening(n: int, how: Resampling) -> float:
    """The factor that makes good what blocks cannot see of the overlap of labels."""
    return 1 / math.sqrt(1 - how.horizon / (3 * how.block(n))) if how.horizon > 1 else 1.0


def compare(
    a: Statistic,
    b: Statistic,
    n: int,
    *,
    how: Resampling,
    margin: float = 0.0,
    alpha: float = 0.05,
    sign: int = 1,
    span: float = 1.0,
) -> Finding:
    """sign · (b − a) of two statistics on the same n rows; sign −1 for what is better when smaller.

    Where no resample tells the two apart, the interval is ± span · (upper bound on the share of rows that differ), with
    `span` the largest possible difference.
    """
    effect, d = difference(a, b, n, how, sign)
    return of_differences(effect, d, n, how=how, margin=margin, alpha=alpha, span=span)


def difference(a: Statistic, b: Statistic, n: int, how: Resampling, sign: int = 1) -> tuple[float, np.ndarray]:
    """sign · (b − a) on the sample and on every resample."""
    drawn = replicas([a, b], n, how)
    return sign * (estimate(b, n) - estimate(a, n)), sign * (drawn[:, 1] - drawn[:, 0])


def of_differences(
    effect: float, drawn: np.ndarray, n: int, *, how: Resampling, margin: float, alpha: float, span: float = 1.0
) -> Finding:
    """The finding of an estimated difference and its resamples."""
    if effect == 0 and not np.any(drawn):
        slack = span * no_exception(how.units(n), alpha)
        return decide(0.0, -slack, slack, margin=margin, alpha=alpha, n=n, method="no row differs")
    low, high = interval(effect, drawn, units=how.units(n), alpha=alpha, widen=widening(n, how))
    return decide(effect, low, high, margin=margin, alpha=alpha, n=n, method=how.words)


def mean_difference(
    loss_a: np.ndarray,
    loss_b: np.ndarray,
    *,
    how: Resampling = Resampling(),
    margin: float = 0.0,
    alpha: float = 0.05,
    span: float = 1.0,
) -> Finding:
    """Mean of loss_a − loss_b over the same rows: positive means that B loses less.

    Where no row differs, resampling sees nothing: the interval is then ± span · (upper bound on the share of rows that
    differ), with `span` the largest possible difference of one row.
    """
    d = np.asarray(loss_a, dtype=float) - np.asarray(loss_b, dtype=float)
    n = len(d)
    drawn = replicas([lambda w: (w @ d) / w.sum(axis=1)], n, how)[:, 0]
    return of_differences(float(d.mean()), drawn, n, how=how, margin=margin, alpha=alpha, span=span)


def long_run_error(d: np.ndarray, block: int) -> float:
    """Standard error of the mean of a series from its overlapping block means; of independent rows for block = 1."""
    n = len(d)
    if n // block < 2:
        raise TooLittleDataError(f"{n} rows in blocks of {block} cannot show how much they vary", "bring in more rows")
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([d, d[: block - 1]]))])
    means = (sums[block:] - sums[:-block])[:n] / block
    units = n / block
    return float(math.sqrt(means.var() / units * units / (units - 1)))


def _drawn(rng: np.random.Generator, c: int, n: int, times: int) -> np.ndarray:
    picks = rng.integers(0, n, size=(c, times), dtype=np.int32)
    picks += np.arange(c, dtype=np.int32)[:, None] * np.int32(n)
    return np.bincount(picks.ravel(), minlength=c * n).reshape(c, n).astype(float)


def _stratified(rng: np.random.Generator, c: int, strata: np.ndarray) -> np.ndarray:
    out = np.empty((c, len(strata)))
    for code in np.unique(strata):
        rows = np.flatnonzero(strata == code)
        out[:, rows] = _drawn(rng, c, len(rows), len(rows))
    return out


def _blocks(rng: np.random.Generator, c: int, n: int, block: int) -> np.ndarray:
    """Floor(n / block) wrapped blocks: one fewer rather than one more, since more would narrow the interval."""
    starts = _drawn(rng, c, n, n // block)
    sums = np.concatenate(
        [np.zeros((c, 1)), np.cumsum(np.concatenate([starts[:, n - block + 1 :], starts], axis=1), axis=1)], axis=1
    )
    return sums[:, block:] - sums[:, :-block]
