"""Gates that compare two models on the same rows: paired, so that what both find hard cancels out.

**Baseline**: knows only how the target was distributed in training. The candidate must be *shown* to be better.

**Champion**: the candidate must be shown to be not worse by more than the margin. Without a margin in the spec, it is the
smallest that these rows have the power to show (`evidence.power`: an equal candidate passes in four of five cases), but
never more than half of what the champion gains over the baseline: the usual limit in drug trials, without which few and
noisy rows would let any model through. A candidate that is worse by a margin of the spec passes in about 2.5 % of cases
(average_precision of a few hundred rows: up to 3.5 %; `tools/prove_evidence.py`).

AUC of independent rows by DeLong's method, everything else by the paired bootstrap of `judged.resampling`.

FDA, Non-Inferiority Clinical Trials to Establish Effectiveness, 2016 (the share of the effect that must be kept).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelway.errors import TooLittleDataError
from modelway.evidence import bootstrap, delong, power
from modelway.evidence.bootstrap import Resampling
from modelway.evidence.decide import decide
from modelway.records import Answer, Finding, Outcome, Verdict
from modelway.validation.intervals import ALPHA
from modelway.validation.metrics import Definition, Sample
from modelway.validation.words import count, number, signed, span

KEPT = 0.5
"""Share of the champion's gain over the baseline that a candidate must keep, unless the spec gives the margin."""
_OUTCOME: Mapping[Answer, Outcome] = {"better": "pass", "not_worse": "pass", "worse": "fail", "undecided": "undecided"}
FEWEST_ROWS = 30
FEWEST_UNITS = 8


@dataclass(frozen=True)
class Pair:
    """A metric of two models on the same rows: reference `a`, candidate `b`, and the baseline."""

    metric: Definition
    a: Sample
    b: Sample
    how: Resampling

    def value(self, sample: Sample) -> float:
        return bootstrap.estimate(self.metric.statistic(sample), len(sample))


def baseline(name: str, pair: Pair, *, warn_only: bool = False, hint: str = "") -> Verdict:
    """Better than the model that knows only the target's distribution; `hint` is added when it is not."""
    try:
        finding, _ = _compared(pair)
    except TooLittleDataError as error:
        return _unknown(name, pair, f"cannot be compared with the baseline: {error.problem}", warn_only)
    mine, theirs = pair.value(pair.b), pair.value(pair.a)
    outcome: Outcome = "pass" if finding.answer == "better" else "fail" if finding.answer == "worse" else "undecided"
    told = {
        "pass": "shown to be better",
        "fail": "shown to be worse",
        "undecided": f"not shown to be better{_needed(finding)}",
    }[outcome]
    reason = (
        f"{pair.metric.name} {number(mine)} against {number(theirs)} of the baseline, which knows only how the target is "
        f"distributed: {told} ({_effect(finding)}, {count(len(pair.b))} rows){hint if outcome != 'pass' else ''}"
    )
    evidence = {**_evidence(pair, finding), "candidate": _plain(mine), "baseline": _plain(theirs)}
    return Verdict(name, outcome, reason, finding, evidence, warn_only)


def champion(name: str, pair: Pair, base: Sample, *, margin: float | None = None, warn_only: bool = False) -> Verdict:
    """Not worse than the champion by more than the margin, on rows that are new to both."""
    n, units = len(pair.b), pair.how.units(len(pair.b))
    if n < FEWEST_ROWS or units < FEWEST_UNITS:
        more = max(
            FEWEST_ROWS - n, math.ceil((FEWEST_UNITS - units) * n / max(units, 1)) if units < FEWEST_UNITS else 0
        )
        return _unknown(
            name, pair, f"{_few(pair, n, units)}: about {count(max(more, 1))} more are needed", warn_only, more
        )
    try:
        compared, error = _compared(pair)
    except TooLittleDataError as found:
        return _unknown(name, pair, f"cannot be compared with the champion: {found.problem}", warn_only)
    chosen = _margin(pair, base, error, margin)
    finding = _within(compared, chosen.margin, n)
    mine, theirs = pair.value(pair.b), pair.value(pair.a)
    outcome = _OUTCOME[finding.answer]
    told = {
        "better": "shown to be better",
        "not_worse": f"shown to be not worse by more than {number(chosen.margin)}, {chosen.words}",
        "worse": "shown to be worse",
        "undecided": f"may be worse by more than {number(chosen.margin)}, {chosen.words}{_needed(finding)}",
    }[finding.answer]
    reason = (
        f"{pair.metric.name} {number(mine)} against the champion's {number(theirs)} on {count(n)} rows new to both: "
        f"{told} ({_effect(finding)})"
    )
    evidence = {
        **_evidence(pair, finding),
        "candidate": _plain(mine),
        "champion": _plain(theirs),
        "margin": chosen.margin,
        "margin_from": chosen.source,
        "margin_of_power": chosen.of_power,
    }
    return Verdict(name, outcome, reason, finding, evidence, warn_only)


@dataclass(frozen=True, slots=True)
class _Margin:
    margin: float
    source: str
    words: str
    of_power: float


def _margin(pair: Pair, base: Sample, error: float, given: float | None) -> _Margin:
    n = len(pair.b)
    block = max(1, n // pair.how.units(n))
    shown = power.margin_of_error(error, n, block, ALPHA, unit=pair.metric.name).margin
    if given is not None:
        return _Margin(given, "spec", "the margin of the spec", shown)
    kept = max(0.0, KEPT * pair.metric.sign * (pair.value(pair.a) - pair.value(base)))
    if kept < shown:
        return _Margin(kept, "half of the champion's gain", "half of what the champion gains over the baseline", shown)
    return _Margin(shown, "power", "the margin that these rows have the power to show", shown)


def _compared(pair: Pair) -> tuple[Finding, float]:
    """The finding at margin 0, and the standard error of the difference."""
    n, how = len(pair.b), pair.how
    if pair.metric.name == "roc_auc" and how.clusters is None and not how.horizon:
        y, old, new = pair.b.target, pair.a.scores[:, -1], pair.b.scores[:, -1]
        return delong.compare(y, old, new, alpha=ALPHA), delong.difference_error(y, old, new)
    a, b = pair.metric.statistic(pair.a), pair.metric.statistic(pair.b)
    effect, drawn = bootstrap.difference(a, b, n, how, pair.metric.sign)
    scale = 1.0 if pair.metric.kind != "open" else max(abs(pair.value(pair.a)), 1e-12)
    finding = bootstrap.of_differences(effect, drawn, n, how=how, margin=0.0, alpha=ALPHA, span=scale)
    if finding.low is None:
        raise TooLittleDataError(f"there is no value on {count(n)} rows, or on too many resamples of them")
    error = float(np.nanstd(drawn)) * bootstrap.widening(n, how)
    return finding, error or scale * delong.no_exception(how.units(n), ALPHA) / 1.96


def _within(found: Finding, margin: float, n: int) -> Finding:
    """The same interval, judged at a margin."""
    if found.effect is None or found.low is None or found.high is None:
        return found
    return decide(found.effect, found.low, found.high, margin=margin, alpha=found.alpha, n=n, method=found.method)


def _few(pair: Pair, n: int, units: int) -> str:
    if n >= FEWEST_ROWS and units < n:
        return f"{pair.metric.name}: only {count(n)} rows are new to both models, which is {units} independent pieces"
    return f"{pair.metric.name}: only {count(n)} rows are new to both models"


def _unknown(name: str, pair: Pair, reason: str, warn_only: bool, needed: int | None = None) -> Verdict:
    finding = Finding("undecided", None, None, None, ALPHA, needed, "")
    evidence = {"metric": pair.metric.name, "rows": len(pair.b)}
    told = reason if reason.startswith(pair.metric.name) else f"{pair.metric.name} {reason}"
    return Verdict(name, "undecided", told, finding, evidence, warn_only)


def _effect(finding: Finding) -> str:
    if finding.effect is None:
        return "no estimate"
    return f"difference {signed(finding.effect)}, positive is better; 95 % interval {_ends(finding)}"


def _ends(finding: Finding) -> str:
    if finding.low is None or finding.high is None:
        return span(finding.low, finding.high)
    return f"{signed(finding.low)} to {signed(finding.high)}"


def _needed(finding: Finding) -> str:
    return f"; about {count(finding.needed)} more rows would settle it" if finding.needed else ""


def _evidence(pair: Pair, finding: Finding) -> Mapping[str, Any]:
    how, n = pair.how, len(pair.b)
    return {
        "metric": pair.metric.name,
        "rows": n,
        "units": how.units(n),
        "block": how.block(n) if how.horizon else 1,
        "draws": how.draws if "bootstrap" in finding.method else 0,
        "seed": how.seed,
    }


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
