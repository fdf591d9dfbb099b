"""Gates with a bound: `min` or `max` of a metric on the holdout, or of a latency.

    pass        the whole 95 % interval meets the bound: it is shown that the metric is good enough
    fail        the whole interval lies beyond the bound
    undecided   the interval contains the bound: more rows are needed, and their number is told; the candidate is refused

A point compared with a bound would pass or fail a retrained model by luck: with the true value on the bound, half of the
time. Here a model at or beyond the bound passes in at most 2.5 % of cases. A latency is a measurement of this machine, not
a sample of rows, and is compared as it is.
"""

import math
from collections.abc import Mapping

from modelway.evidence.decide import decide
from modelway.records import Finding, Metric, Outcome, Verdict
from modelway.spec.model import Gate
from modelway.validation.intervals import ALPHA
from modelway.validation.words import count, number, span

_OUTCOME: Mapping[str, Outcome] = {"better": "pass", "not_worse": "pass", "worse": "fail", "undecided": "undecided"}
_WORST: tuple[Outcome, ...] = ("fail", "undecided", "pass")


def bounded(name: str, gate: Gate, metric: Metric, parts: str = "holdout rows") -> Verdict:
    """The verdict on a metric with its interval."""
    if metric.value is None or metric.low is None or metric.high is None:
        told = "has no value" if metric.value is None else f"is {number(metric.value)} but has no interval"
        return _verdict(name, gate, "undecided", f"{metric.name} {told} on {count(metric.rows)} {parts}", None, metric)
    judged = [_against(bound, sign, metric) for bound, sign in _bounds(gate)]
    outcome, finding, bound, sign = min(judged, key=lambda j: _WORST.index(j[0]))
    rows = f"{count(metric.rows)} {parts}"
    figure = f"{metric.name} is {number(metric.value)} (95 % interval {span(metric.low, metric.high)}, {rows})"
    limit = f"{'at least' if sign > 0 else 'at most'} {number(bound)}"
    told = {
        "pass": f"shown to be {limit}",
        "fail": f"the whole interval misses {limit}",
        "undecided": f"the interval contains {number(bound)}, so it is not shown to be {limit}"
        + (f"; about {count(finding.needed)} more rows would settle it" if finding.needed else ""),
    }[outcome]
    return _verdict(name, gate, outcome, f"{figure}: {told}", finding, metric)


def latency(name: str, gate: Gate, measured: Mapping[str, float] | None, key: str, default_max: float) -> Verdict:
    """The verdict on a latency in milliseconds, as measured; `default_max` is taken without a bound in the gate."""
    limit = default_max if gate.max is None else gate.max
    value = (measured or {}).get(key)
    if value is None or not math.isfinite(value):
        reason = f"{gate.metric} was not measured"
        return Verdict(name, "undecided", reason, warn_only=gate.warn_only, evidence={"max": limit})
    outcome: Outcome = "pass" if value <= limit else "fail"
    told = f"{gate.metric} is {number(value)} on this machine, {'at most' if outcome == 'pass' else 'more than'} {number(limit)}"
    evidence = {"max": limit, **{k: float(v) for k, v in (measured or {}).items()}}
    return Verdict(name, outcome, told, evidence=evidence, warn_only=gate.warn_only)


def _bounds(gate: Gate) -> list[tuple[float, int]]:
    return [(bound, sign) for bound, sign in ((gate.min, 1), (gate.max, -1)) if bound is not None]


def _against(bound: float, sign: int, metric: Metric) -> tuple[Outcome, Finding, float, int]:
    assert metric.value is not None
    assert metric.low is not None
    assert metric.high is not None
    ends = sorted((sign * (metric.low - bound), sign * (metric.high - bound)))
    finding = decide(
        sign * (metric.value - bound), ends[0], ends[1], alpha=ALPHA, n=metric.rows, method="interval and bound"
    )
    return _OUTCOME[finding.answer], finding, bound, sign


def _verdict(name: str, gate: Gate, outcome: Outcome, reason: str, finding: Finding | None, metric: Metric) -> Verdict:
    evidence = {"value": metric.value, "low": metric.low, "high": metric.high, "rows": metric.rows}
    evidence |= {"min": gate.min, "max": gate.max}
    return Verdict(name, outcome, reason, finding, evidence, gate.warn_only)
