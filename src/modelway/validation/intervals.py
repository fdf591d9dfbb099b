"""How sure a metric is: its 95 % interval on the rows of the holdout.

    shares (accuracy, precision, recall)   Clopper and Pearson's exact interval; where rows hang together, at the effective
                                           number of rows that the bootstrap shows (Korn and Graubard)
    roc_auc of independent rows            DeLong, on the logit
    everything else                        bootstrap: percentiles, or with fewer than 1,000 draws (many rows) the
                                           estimate ± t · sd of the draws

Percentiles alone would call 29 hits of 30 "at least 90 %" far too often; that is why shares have their own interval.

C. Clopper, E. Pearson, Biometrika 26 (1934) 404. E. Korn, B. Graubard, Survey Methodology 24 (1998) 193.
"""

import math
from collections.abc import Sequence

import numpy as np

from modelway.errors import TooLittleDataError
from modelway.evidence import bootstrap, delong
from modelway.evidence.bootstrap import Resampling
from modelway.records import Metric
from modelway.validation.metrics import Definition, Sample

ALPHA = 0.05


def measured(definitions: Sequence[Definition], sample: Sample, how: Resampling) -> dict[str, Metric]:
    """Every metric with its interval, all on the same resamples; None where there is no value or no interval."""
    n = len(sample)
    statistics = [d.statistic(sample) for d in definitions]
    values = [bootstrap.estimate(statistic, n) for statistic in statistics]
    independent = how.clusters is None and not how.horizon
    exact = [_exact(d, value, sample) if independent else None for d, value in zip(definitions, values, strict=True)]
    sampled = [s for s, e in zip(statistics, exact, strict=True) if e is None]
    try:
        columns = iter(bootstrap.replicas(sampled, n, how).T if sampled else ())
    except TooLittleDataError:
        columns = iter(np.full((len(sampled), 1), math.nan))
    out = {}
    for d, value, ends in zip(definitions, values, exact, strict=True):
        low, high = ends or _of_draws(d, value, next(columns), sample, how)
        out[d.name] = Metric(d.name, _finite(value), _finite(low), _finite(high), n)
    return out


def share_interval(share: float, rows: float, alpha: float = ALPHA) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share seen in `rows` rows (not whole: effective ones)."""
    from scipy.special import betaincinv

    hits = share * rows
    low = float(betaincinv(hits, rows - hits + 1, alpha / 2)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, rows - hits, 1 - alpha / 2)) if hits < rows else 1.0
    return low, high


def _exact(d: Definition, value: float, sample: Sample) -> tuple[float, float] | None:
    """The interval that needs no resampling, for independent rows."""
    if not math.isfinite(value):
        return math.nan, math.nan
    if d.support is not None:
        return share_interval(value, int(d.support(sample).sum()))
    if d.name == "roc_auc":
        try:
            area = delong.area(sample.target, sample.scores[:, -1], ALPHA)
        except TooLittleDataError:
            return math.nan, math.nan
        return area.low, area.high
    return None


def _of_draws(d: Definition, value: float, drawn: np.ndarray, sample: Sample, how: Resampling) -> tuple[float, float]:
    n = len(sample)
    units, widen = how.units(n), bootstrap.widening(n, how)
    if not math.isfinite(value) or units < 2 or np.isfinite(drawn).mean() < 0.95:
        return math.nan, math.nan
    spread = float(np.nanstd(drawn, ddof=1)) * widen
    if d.support is not None:
        rows = int(d.support(sample).sum())
        return share_interval(value, _effective(value, rows, spread, units))
    if spread == 0 and d.kind == "unit":
        slack = delong.no_exception(units, ALPHA)
        low, high = value - slack, value + slack
    else:
        low, high = bootstrap.interval(value, drawn, units=units, alpha=ALPHA, widen=widen)
    return (max(0.0, low), min(1.0, high)) if d.kind == "unit" else (low, high)


def _effective(share: float, rows: int, spread: float, units: int) -> float:
    """Independent rows that would vary as much, with the loss of certainty of few units; never more than there are."""
    if not spread or not 0 < share < 1:
        return float(min(rows, units))
    independent = share * (1 - share) / spread**2
    return min(float(rows), independent * (_quantile(10**9) / _quantile(units)) ** 2)


def _quantile(units: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(units - 1, 1 - ALPHA / 2))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
