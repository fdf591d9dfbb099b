"""What stops a release: five questions with one error rate; pure.

    errors    of the requests that failed, does more than its share fall to the challenger?           `evidence/counts.py`
    invalid   the same of outputs that nobody can use
    latency   the same of slow answers, at thresholds all over the distribution (where declared)      `evidence/slower.py`
    scores    has the mean score moved by more than is declared, on the same rows? (where declared)   `evidence/betting.py`
    losses    is its loss worse, on the same labelled rows? (not of detectors of anomalies, whose scores have none)

Each has an e-process: those on counts are multiplied over the steps of the weight, those on pairs run through all steps. The
release is stopped when their *mean* reaches 1/α. A mean of e-processes is one, whatever hangs together, so over all guards and
looks a harmless release is stopped with probability ≤ α; and it stops sooner than the guard that gets α/k would.

Those on counts rest on the share of the traffic. If the challenger gets more than was asked for, more of all that is slow falls to
it, and the test of latency, which sees nearly every request, would find that before the sample-ratio test does. So what speaks
against the split is taken off what speaks against the version (never added), and once the split is called broken, counts are held
against the largest share that it can have been. Neither makes a harmless release more likely to be stopped.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modelway.evidence import betting, counts, slower, split
from modelway.evidence.multiply import NEVER, mean, product, reached
from modelway.records import Release
from modelway.rollout.evidence import Arm, Evidence
from modelway.spec.model import Guard, Rollout

SPLIT_ALPHA = 0.001
"""How often an even split may be called broken, over all steps and looks: it stops nothing, so it has an error rate of its own."""
_SAME_REQUESTS = 0.5
"""The share of errors that falls to a challenger which fails as often, where both answer each request."""
_BY_STEP = ("errors", "invalid", "latency")


@dataclass(frozen=True, slots=True)
class Guarded:
    """Log e-values by guard, over all steps; `stop` is the log of their mean, `split` that of the sample-ratio test."""

    log_e: Mapping[str, float]
    stop: float
    split: float
    share: float
    """With which the guards on counts reckon: what was asked for, or, where the split is broken, the most that it can be."""

    @property
    def broken(self) -> bool:
        """Whether the traffic is not split as it was asked for."""
        return reached(self.split, SPLIT_ALPHA)

    @property
    def carried(self) -> dict[str, float]:
        """What the next step goes on from."""
        return {**{name: self.log_e[name] for name in _BY_STEP if name in self.log_e}, "split": self.split}


def asked(guard: Guard) -> tuple[str, ...]:
    """The guards that share α."""
    latency = ("latency",) if guard.latency is not None or guard.latency_p99 is not None else ()
    scores = ("scores",) if guard.scores is not None else ()
    return ("errors", "invalid", *latency, *scores, "losses")


def guarded(release: Release, evidence: Evidence, settings: Rollout) -> Guarded:
    """All guards at one look."""
    carried: Mapping[str, float] = release.evidence.get("carried", {})
    here, a, b = release.state == "canary", evidence.champion, evidence.challenger
    fresh = _split(release, evidence, split.CONCENTRATION) if here else 0.0
    uneven = product([carried.get("split", 0.0), fresh])
    share, doubt = release.weight if here else _SAME_REQUESTS, 0.0
    if here and reached(uneven, SPLIT_ALPHA):
        share = split.most(b.requests, a.requests, share, alpha=SPLIT_ALPHA)
    elif here:
        doubt = max(0.0, fresh, _split(release, evidence, counts.CONCENTRATION))
    now = {"errors": counts.log_e_worse(b.errors, a.errors, share)}
    now["invalid"] = counts.log_e_worse(b.invalid, a.invalid, share)
    now["latency"] = slower.log_e_slower(b.slow, a.slow, share) if here else 0.0
    found = {name: product([carried.get(name, 0.0), value, -doubt]) for name, value in now.items()}
    found["scores"], found["losses"] = _scores(evidence, settings), _losses(evidence, settings)
    log_e = {name: found[name] for name in asked(settings.guard) if evidence.has_losses or name != "losses"}
    return Guarded(log_e, mean(log_e.values()), uneven, share)


def slow_at(earlier_ms: np.ndarray, guard: Guard) -> tuple[tuple[float, float], ...]:
    """Thresholds for champion and challenger, in milliseconds, from what the champion took earlier."""
    pairs = []
    for growth, quantiles in ((guard.latency, slower.QUANTILES), (guard.latency_p99, (0.99,))):
        if growth is not None:
            pairs += [(t, t * (1 + growth)) for t in slower.thresholds(earlier_ms, quantiles)]
    return tuple(pairs)


def why(found: Guarded, evidence: Evidence, settings: Rollout) -> str:
    """What stops the release, the strongest guard's words; "" when nothing does."""
    if not reached(found.stop, settings.alpha):
        return ""
    a, b, unit = evidence.champion, evidence.challenger, evidence.unit
    name = max(found.log_e, key=lambda name: found.log_e[name])
    if name == "errors":
        return f"it fails more: {b.errors} of {b.requests} {unit}, the champion {a.errors} of {a.requests}"
    if name == "invalid":
        said = f"{b.invalid} of {b.requests} {unit}, of the champion's {a.invalid} of {a.requests}"
        return f"more of its outputs cannot be used: {said}"
    if name == "latency":
        return _slower(found, evidence)
    if name == "scores":
        moved = most_moved(evidence.scores)
        return f"its scores have moved by {moved:.3g} on {_rows(evidence.scores)} pairs (allowed {settings.guard.scores:.3g})"
    worse = -float(np.mean(evidence.losses))
    return f"its loss is worse by {worse:.3g} on {len(evidence.losses)} pairs (allowed {evidence.margin:.3g})"


def log_e_same_scores(evidence: Evidence, settings: Rollout) -> float:
    """Log e-value against "the mean score has moved by the margin or more", up or down, of any class: large values promote."""
    if not _rows(evidence.scores) or settings.guard.scores is None:
        return 0.0
    margin, span = settings.guard.scores, evidence.score_span
    sides = [sign * np.asarray(series, dtype=float) for series in evidence.scores for sign in (1, -1)]
    return min(betting.log_e_not_worse(d, span=span, margin=min(margin, span)) for d in sides)


def most_moved(scores: tuple[tuple[float, ...], ...]) -> float:
    """The mean difference of the class whose scores have moved most."""
    return max((float(np.mean(series)) for series in scores if series), key=abs, default=0.0)


def _split(release: Release, evidence: Evidence, concentration: float) -> float:
    seen = evidence.challenger.requests, evidence.champion.requests
    return split.log_e_split(seen, (release.weight, 1 - release.weight), concentration)


def _scores(evidence: Evidence, settings: Rollout) -> float:
    if not _rows(evidence.scores) or settings.guard.scores is None:
        return 0.0
    margin, span = min(settings.guard.scores, evidence.score_span), evidence.score_span
    sides = [sign * np.asarray(series, dtype=float) for series in evidence.scores for sign in (1, -1)]
    return mean(betting.log_e_harm(d, span=span, tolerated=margin) for d in sides)


def _losses(evidence: Evidence, settings: Rollout) -> float:
    """A loss that is shown to be worse, but by no more than is allowed, stops nothing."""
    if not evidence.losses:
        return 0.0
    d = np.asarray(evidence.losses, dtype=float)
    harm = betting.log_e_harm(d, span=evidence.span)
    if harm > 0 and reached(betting.log_e_not_worse(d, span=evidence.span, margin=evidence.margin), settings.alpha):
        return NEVER
    return harm


def _slower(found: Guarded, evidence: Evidence) -> str:
    a, b = evidence.champion, evidence.challenger
    if not b.slow:
        return "it is slower, as the steps before have shown"
    place = slower.slowest(b.slow, a.slow, found.share)
    theirs, ours = evidence.slow_ms[place] if place < len(evidence.slow_ms) else (math.nan, math.nan)
    said = f"{b.slow[place]} of {b.requests} answers took more than {ours:.3g} ms"
    return f"it is slower: {said}, the champion's {a.slow[place]} of {a.requests} more than {theirs:.3g} ms"


def _rows(scores: tuple[tuple[float, ...], ...]) -> int:
    return len(scores[0]) if scores else 0


def plain(arm: Arm) -> dict[str, int | list[int]]:
    """An arm for the ledger."""
    told: dict[str, int | list[int]] = {"requests": arm.requests, "errors": arm.errors, "invalid": arm.invalid}
    if arm.slow:
        told["slow"] = list(arm.slow)
    if arm.callers is not None:
        told |= {"callers": arm.callers.tried, "callers_failed": arm.callers.failed}
    return told
