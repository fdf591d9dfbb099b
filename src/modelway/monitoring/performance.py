"""Is the version that serves still as good as it was on its holdout? Losses of matured answers against losses of the holdout.

The two samples are of different rows, so nothing can be paired: each is resampled by itself, a series in moving blocks no
shorter than the horizon of its labels (`evidence.bootstrap`), and the interval is that of the difference of the means. The loss
is the one on which releases are judged: half the Brier sum for classes (0–1), the absolute error for numbers.

How odd a row is has no loss. Of a detector the alerts alone are looked at, since often nobody looks at other rows: the loss of an
alert is 1 where the label says normal, so that the mean is the share of false alerts.

How much worse matters, the margin, is `release.guard.loss_margin` where the spec has it. Else it is what these rows have the
power to show (`evidence.power`), held between a tenth and a half of what the model gained on its holdout over the best constant
answer: many rows would show a loss that nobody minds, few would excuse a model that has become useless.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from modelway.evidence import bootstrap, power
from modelway.evidence.bootstrap import DRAWS, Resampling
from modelway.evidence.decide import decide
from modelway.records import Answer, Finding, Metric, Task

FEWEST_ROWS = 30
FEWEST_UNITS = 8
ALPHA = 0.05
LEAST_GAIN, MOST_GAIN = 0.1, 0.5
_CELLS = 10_000_000
_FEWEST_DRAWS = 200


@dataclass(frozen=True)
class Sample:
    """The mean loss of some rows, with its resamples; `constant` is the loss of the best constant answer to them."""

    rows: int
    units: int
    mean: float
    drawn: np.ndarray
    widen: float
    constant: float


@dataclass(frozen=True, slots=True)
class Performance:
    """The answer, with its finding (effect: holdout's loss − present loss, positive is better) and both figures."""

    answer: Answer | Literal["not_applicable"]
    reason: str
    finding: Finding | None = None
    metric: Metric | None = None
    held: Metric | None = None
    margin: float | None = None
    margin_from: str = ""


def losses(target: np.ndarray, scores: np.ndarray, task: Task) -> np.ndarray:
    """double[N]. `target`: places of the classes, or numbers; a row whose target or scores are not finite is NaN.

    Of anomalies: −1 without a label, and the rows are alerts.
    """
    if task == "regression":
        return np.asarray(np.abs(scores[:, 0] - target), dtype=float)
    if task == "anomaly":
        return np.where(target >= 0, 1.0 - target, math.nan)
    there = np.isfinite(target)
    codes = np.where(there, target, 0).astype(np.int64)
    found = ((scores - np.eye(scores.shape[1])[codes]) ** 2).sum(axis=1) / 2
    return np.where(there, found, math.nan)


def constant_losses(target: np.ndarray, task: Task) -> float:
    """The mean loss of the best constant answer: the shares of the classes, or the median. Alerts alone know of no other answer."""
    if task == "regression":
        return float(np.abs(target - np.median(target)).mean())
    if task == "anomaly":
        return float(losses(target, target, task).mean())  # to the last bit their mean: no gain
    shares = np.unique(target, return_counts=True)[1] / len(target)
    return float(1 - (shares**2).sum()) / 2


def sampled(target: np.ndarray, scores: np.ndarray, task: Task, *, horizon: int = 0, seed: int = 0) -> Sample | None:
    """Rows in time order, unusable ones left out; `horizon`: how many rows ahead a label reaches. None for too few."""
    found = losses(target, scores, task)
    usable = np.isfinite(found)
    loss, n = found[usable], int(usable.sum())
    how = Resampling(horizon=horizon, draws=min(DRAWS, max(_FEWEST_DRAWS, _CELLS // max(n, 1))), seed=seed)
    if n < FEWEST_ROWS or how.units(n) < FEWEST_UNITS:
        return None
    drawn = drawn_means(loss, how)
    constant = constant_losses(target[usable], task)
    return Sample(n, how.units(n), float(loss.mean()), drawn, bootstrap.widening(n, how), constant)


def drawn_means(values: np.ndarray, how: Resampling) -> np.ndarray:
    """The mean in each resample: what `bootstrap.replicas` draws, but by the means of the blocks and not by weights.

    For a mean alone that is many times faster, and a look must cost little.
    """
    n, block = len(values), how.block(len(values))
    sums = np.cumsum(np.concatenate([[0.0], values, values[: block - 1]]))
    means = (sums[block:] - sums[:-block]) / block
    picks = np.random.default_rng(how.seed).integers(0, n, size=(how.draws, n // block), dtype=np.int32)
    return means[picks].mean(axis=1)


def performance(held: Sample | None, now: Sample | None, task: Task, *, margin: float | None = None) -> Performance:
    """The present sample against the holdout's, at error rate 5 % a look; `margin` from the spec (None: found as above)."""
    name = {"regression": "mae", "anomaly": "false_alerts"}.get(task, "brier")
    if held is None or now is None:
        where = "the holdout" if held is None else "the matured answers"
        few = (
            f"{where} hold fewer than {FEWEST_ROWS} rows, or {FEWEST_UNITS} independent pieces: nothing can be told yet"
        )
        return Performance(
            "not_applicable",
            few,
            metric=_metric(name, now, "matured") if now else None,
            held=_metric(name, held, "holdout") if held else None,
        )
    draws = min(len(held.drawn), len(now.drawn))
    drawn = _wide(held)[:draws] - _wide(now)[:draws]
    effect, units = held.mean - now.mean, min(held.units, now.units)
    low, high = bootstrap.interval(effect, effect + drawn, units=units, alpha=ALPHA)
    chosen, source = _margin(held, now, float(drawn.std(ddof=1)), name) if margin is None else (margin, "spec")
    finding = decide(effect, low, high, margin=chosen, alpha=ALPHA, n=now.rows, method="bootstrap of two samples")
    metric, before = _metric(name, now, "matured"), _metric(name, held, "holdout")
    return Performance(
        finding.answer, _reason(finding, metric, before, chosen), finding, metric, before, chosen, source
    )


def _wide(sample: Sample) -> np.ndarray:
    """How far the resamples lie from the mean, with what blocks cannot see made good."""
    return (sample.drawn - sample.mean) * sample.widen


def _margin(held: Sample, now: Sample, error: float, name: str) -> tuple[float, str]:
    shown = power.margin_of_error(error, now.rows, max(1, now.rows // now.units), ALPHA, unit=name).margin
    gain = held.constant - held.mean
    if gain <= 0:
        return shown, "power"
    if shown < LEAST_GAIN * gain:
        return LEAST_GAIN * gain, "a tenth of the model's gain"
    return (shown, "power") if shown <= MOST_GAIN * gain else (MOST_GAIN * gain, "half of the model's gain")


def _metric(name: str, sample: Sample, part: str) -> Metric:
    low, high = bootstrap.interval(sample.mean, sample.drawn, units=sample.units, alpha=ALPHA, widen=sample.widen)
    return Metric(name, sample.mean, _finite(low), _finite(high), sample.rows, part)


def _reason(finding: Finding, now: Metric, held: Metric, margin: float) -> str:
    told = {
        "better": "better than there",
        "not_worse": f"not worse by more than {margin:.3g}",
        "worse": f"shown to be worse, and not shown to be within {margin:.3g}",
        "undecided": "undecided",
    }[finding.answer]
    more = f"; about {finding.needed:,} more rows would settle it" if finding.needed else ""
    return (
        f"{now.name} {now.value:.4g} on {now.rows:,} matured answers against {held.value:.4g} on the holdout: {told}"
        f" (difference {finding.effect:+.3g}, 95 % interval {finding.low:+.3g} to {finding.high:+.3g}){more}"
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
