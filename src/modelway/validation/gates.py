"""A candidate is judged: every metric with its interval, and a verdict for every gate.

The gates are those of the spec and, where the spec has none of the kind: `baseline` (shown to be better than the model that
knows only the target's distribution, by log loss or rmse), `champion` (shown to be not worse than the version that serves)
and `latency_p99_ms`. A gate that fails or cannot be computed refuses the candidate, unless it only warns; a comparison
without a champion is not applicable.

A detector of anomalies is judged on those rows of the holdout that have a label, but for its alerts, which are counted on all of
them. Without labels of both kinds what the spec asks cannot be computed, and what it does not ask is not applicable.

Metrics that depend on decisions are taken at the shipped operating point, but where that was chosen for its cost on these
very rows: then at crossed-over decisions (`operating_point.crossed_decisions`). Group gates judge the shipped decisions.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modelway.evidence.bootstrap import Resampling
from modelway.records import POSITIVE, Metric, OperatingPoint, Outcome, Validation, Verdict
from modelway.spec.model import Gate, Spec
from modelway.validation import absolute, against, fairness
from modelway.validation.intervals import measured
from modelway.validation.judged import Judged, aligned, in_time_order, resampling, taken
from modelway.validation.metrics import ALERT_SHARE, Definition, Sample, definition, main_loss, names, reported
from modelway.validation.operating_point import costs, crossed_decisions, decide
from modelway.validation.words import count

LATENCIES: Mapping[str, str] = {"latency_p50_ms": "p50_ms", "latency_p99_ms": "p99_ms"}


@dataclass(frozen=True)
class _Case:
    """Everything that gates are judged by; rows in time order. `candidate`: on the rows with a label, `whole`: on all."""

    spec: Spec
    whole: Judged
    candidate: Judged
    sample: Sample
    how: Resampling
    metrics: Mapping[str, Metric]
    champion: Judged | None
    comparable: np.ndarray
    latency_ms: Mapping[str, float] | None
    point: OperatingPoint
    seed: int
    unjudged: str
    """Why nothing can be said that asks for labels; "" where it can."""


def validate(
    spec: Spec,
    candidate: Judged,
    *,
    champion: Judged | None = None,
    comparable: np.ndarray | None = None,
    latency_ms: Mapping[str, float] | None = None,
    operating_point: OperatingPoint,
    seed: int = 0,
) -> Validation:
    """All metrics and verdicts of a candidate on its holdout.

    `champion` holds the scores of the version that serves on the same rows (by key); `comparable` bool[N] marks the rows
    that are new to both (None: all). `latency_ms` is what `latency.measure` gives.
    """
    order = in_time_order(candidate)
    whole = held = taken(candidate, order)
    rival = None if champion is None else aligned(champion, held)
    both = np.ones(len(held), dtype=bool) if comparable is None else np.asarray(comparable, dtype=bool)[order]
    if spec.task == "anomaly":
        known = held.target >= 0
        held, rival, both = taken(held, known), rival and taken(rival, known), both[known]
    unjudged = _unjudged(spec, whole, held)
    how = resampling(held, spec.monitoring.horizon, seed)
    sample = _sample(spec, held, operating_point, seed)
    shown = {} if unjudged else measured(_shown(spec), sample, how)
    shown |= _alerts(spec, whole, operating_point, seed)
    case = _Case(spec, whole, held, sample, how, shown, rival, both, latency_ms, operating_point, seed, unjudged)
    verdicts = tuple(_judge(name, gate, case) for name, gate in named(spec))
    return Validation(tuple(shown.values()), verdicts, operating_point)


def named(spec: Spec) -> list[tuple[str, Gate]]:
    """Every gate with its name: the spec's, then those that are always judged unless the spec has one of the kind."""
    gates = [(_name(gate), gate) for gate in spec.gates]
    loss = main_loss(spec.task)
    if not any(gate.against == "baseline" for gate in spec.gates):
        gates.append(("baseline", Gate(metric=loss, against="baseline")))
    if not any(gate.against == "champion" for gate in spec.gates):
        gates.append(("champion", Gate(metric=loss, against="champion")))
    if not any(gate.metric == "latency_p99_ms" for gate in spec.gates):
        gates.append(("latency_p99_ms", Gate(metric="latency_p99_ms")))
    seen: dict[str, int] = {}
    out = []
    for name, gate in gates:
        seen[name] = seen.get(name, 0) + 1
        out.append((name if seen[name] == 1 else f"{name} {seen[name]}", gate))
    return out


def known_gates(spec: Spec) -> tuple[str, ...]:
    """The metrics that gates of this task may name."""
    return (*names(spec.task), *LATENCIES, *(("four_fifths",) if spec.task in POSITIVE else ()))


def _name(gate: Gate) -> str:
    tail = f" against {gate.against}" if gate.against else f" by {gate.by}" if gate.by else ""
    return f"{gate.metric}{tail}"


def _judge(name: str, gate: Gate, case: _Case) -> Verdict:
    if gate.metric in LATENCIES:
        limit = case.spec.monitoring.slo.latency_p99_ms
        return absolute.latency(name, gate, case.latency_ms, LATENCIES[gate.metric], limit)
    if gate.metric == "four_fifths" and case.spec.task in POSITIVE:
        called = decide(case.point, case.whole.scores) == 1
        return fairness.four_fifths(name, gate, called, case.whole.audit)
    metric = definition(gate.metric, case.spec.task)
    if metric is None:
        reason = f"{case.spec.task} has no metric {gate.metric!r}; write one of {', '.join(known_gates(case.spec))}"
        return Verdict(name, "fail", reason, warn_only=gate.warn_only)
    rivalless = gate.against == "champion" and case.champion is None
    if case.unjudged and gate.metric != ALERT_SHARE and not rivalless:
        outcome: Outcome = "undecided" if gate in case.spec.gates else "not_applicable"
        return Verdict(name, outcome, f"{gate.metric} {case.unjudged}", warn_only=gate.warn_only)
    if gate.against == "baseline":
        return _baseline(name, gate, metric, case)
    if gate.against == "champion":
        return _champion(name, gate, metric, case)
    if gate.min is None and gate.max is None:
        reason = f"the gate on {gate.metric} has no bound: write min, max or against"
        return Verdict(name, "fail", reason, warn_only=gate.warn_only)
    return absolute.bounded(name, gate, case.metrics[gate.metric])


def _unjudged(spec: Spec, whole: Judged, held: Judged) -> str:
    if spec.task != "anomaly" or len(np.unique(held.target)) == 2:
        return ""
    if not spec.data.target:
        return "needs labels, and data.target names no column that holds them"
    told = " and ".join(f"{int((held.target == n).sum())} that say {what}" for n, what in enumerate(held.classes))
    return f"needs labels of both kinds, and the {count(len(whole))} rows of the holdout have {told}"


def _alerts(spec: Spec, whole: Judged, point: OperatingPoint, seed: int) -> dict[str, Metric]:
    """The share of all rows that are alerts, with a label or without."""
    share = definition(ALERT_SHARE, spec.task)
    if share is None:
        return {}
    sample = Sample(whole.target, whole.scores, decide(point, whole.scores))
    return measured([share], sample, resampling(whole, spec.monitoring.horizon, seed))


def _baseline(name: str, gate: Gate, metric: Definition, case: _Case) -> Verdict:
    pair = against.Pair(metric, _baseline_sample(case.candidate, case.sample), case.sample, case.how)
    return against.baseline(name, pair, warn_only=gate.warn_only, hint=_ranks_well(metric, case))


def _ranks_well(metric: Definition, case: _Case) -> str:
    """What to do when a model tells the classes apart but its probabilities are no probabilities."""
    area = case.metrics.get("roc_auc")
    if metric.name != "log_loss" or area is None or area.low is None or area.low <= 0.5:
        return ""
    return (
        f". It does rank the rows (roc_auc {area.value:.3f}), so its probabilities are what is wrong: calibrate it "
        "(CalibratedClassifierCV), leave out class weights, or judge it by {metric: roc_auc, against: baseline}"
    )


def _champion(name: str, gate: Gate, metric: Definition, case: _Case) -> Verdict:
    if case.champion is None:
        return Verdict(name, "not_applicable", "there is no champion yet", warn_only=gate.warn_only)
    rows = case.comparable
    mine, rival = taken(case.candidate, rows), taken(case.champion, rows)
    how = resampling(mine, case.spec.monitoring.horizon, case.seed)
    b = _sample(case.spec, mine, case.point, case.seed)
    a = _sample(case.spec, rival, rival.operating_point or case.point, case.seed, audit_of=mine)
    base = _baseline_sample(case.candidate, b)
    return against.champion(name, against.Pair(metric, a, b, how), base, margin=gate.margin, warn_only=gate.warn_only)


def _sample(spec: Spec, judged: Judged, point: OperatingPoint, seed: int, audit_of: Judged | None = None) -> Sample:
    audit = (audit_of or judged).audit
    if spec.task == "regression":
        return Sample(judged.target, judged.scores, judged.scores[:, 0])
    if point.rule == "by_cost" and audit_of is None and len(judged) >= 4:
        decided = crossed_decisions(spec.decision, judged.target, judged.scores, judged.classes, audit, seed)
    else:
        decided = decide(point, judged.scores)
    if not _costs_wanted(spec):
        return Sample(judged.target, judged.scores, decided)
    return Sample(judged.target, judged.scores, decided, *costs(spec.decision, len(judged), audit))


def _baseline_sample(judged: Judged, like: Sample) -> Sample:
    """The scores of the model that knows only the target's distribution, on the rows of `like`."""
    n, known = len(like), judged.train_target
    if not judged.classes:
        mean = float(np.mean(judged.target) if known is None else np.asarray(known).ravel()[0])
        return Sample(like.target, np.full((n, 1), mean), np.full(n, mean))
    if judged.scores.shape[1] == 1:
        none = np.zeros((n, 1))
        return Sample(like.target, none, np.zeros(n, np.int64), like.false_positive, like.false_negative)
    counts = (
        np.bincount(judged.target, minlength=len(judged.classes)) if known is None else np.asarray(known, dtype=float)
    )
    shares = np.maximum(counts / counts.sum(), 1e-15)
    scores = np.tile(shares, (n, 1))
    return Sample(like.target, scores, np.argmax(scores, axis=1), like.false_positive, like.false_negative)


def _costs_wanted(spec: Spec) -> bool:
    return spec.task in POSITIVE and (
        spec.decision.threshold == "by_cost" or any(gate.metric == "cost" for gate in spec.gates)
    )


def _shown(spec: Spec) -> list[Definition]:
    wanted = reported(spec.task, with_cost=_costs_wanted(spec))
    return [d for name in wanted if name != ALERT_SHARE and (d := definition(name, spec.task)) is not None]
