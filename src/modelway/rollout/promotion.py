"""What lets a release have more weight, and what is missing for it: how much, and how long that takes at this rate; pure.

    errors    its own rate of errors and invalid outputs is bounded, at each weight anew: zero errors pass
    losses    paired, on labelled rows that both versions answered: one process through all steps, whatever the weight
    scores    the mean score on the same rows lies within the declared margin: for few requests whose labels come late or never

Only these ask for more; guards (`guards.py`) only stop.
"""

import math
from datetime import datetime, timedelta

import numpy as np

from modelway.evidence import betting, counts
from modelway.evidence.multiply import needed_log_e, reached
from modelway.records import Release
from modelway.rollout.evidence import Evidence
from modelway.rollout.guards import log_e_same_scores
from modelway.spec.model import Rollout
from modelway.spec.units import write_duration

_DAY = timedelta(days=1)
_SMALLEST = 1e-9
_MOST = 10**9


def basis(evidence: Evidence, settings: Rollout) -> str:
    """On what the release is promoted: what is declared, or what the traffic allows within `at_most`."""
    if settings.promote_on != "auto":
        return settings.promote_on
    first = next((share for share in settings.canary if share < 1), 1.0)
    coming = evidence.requests_per_day * (settings.at_most / _DAY) * first
    if coming >= 1.1 * needed_log_e(settings.alpha) / max(settings.guard.errors, _SMALLEST):
        return "errors"
    if settings.guard.scores is not None:
        return "scores"
    return "losses" if evidence.has_losses else "errors"


def missing(chosen: str, release: Release, evidence: Evidence, settings: Rollout, now: datetime) -> list[str]:
    """What must still be seen before it may have more weight; [] when all was."""
    judge = {"losses": _losses, "scores": _scores, "errors": _errors}[chosen]
    return waits(release, evidence, settings, now) + judge(release, evidence, settings, now)


def waits(release: Release, evidence: Evidence, settings: Rollout, now: datetime) -> list[str]:
    """What must come whatever it says: the shadow's requests, and the time that is declared for a share, or for shadow alone."""
    out = []
    b, passed = evidence.challenger, now - release.moved
    if release.state == "shadow" and b.requests < settings.shadow:
        more = settings.shadow - b.requests
        out.append(f"{more:,} more requests in shadow{_time(more, b.requests, passed)}")
    if release.state == "canary" and not (b.rate.tried or evidence.champion.rate.tried):
        out.append("a request at this weight")
    if (release.state == "canary" or not settings.canary) and passed < settings.at_least:
        where = "at this weight" if settings.canary else "in shadow"
        out.append(f"{lasting(settings.at_least - passed)} more {where} (at least {write_duration(settings.at_least)})")
    return out


def shown(chosen: str, evidence: Evidence, settings: Rollout) -> str:
    """What was shown, for the reason of the step."""
    if chosen == "losses":
        return f"not worse by more than {evidence.margin:.3g} on {len(evidence.losses)} pairs"
    if chosen == "scores":
        return f"scores moved by less than {settings.guard.scores:.3g} on {len(evidence.scores[0])} pairs"
    done = evidence.challenger.rate
    return f"{done.failed} errors of {done.tried} {evidence.unit}"


def lasting(left: timedelta) -> str:
    """A time as one says it: 40 s, 14 min, 3.5 h, 12 days."""
    seconds = max(left.total_seconds(), 0.0)
    for size, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size or (size == 60 and seconds >= 60):
            return f"{seconds / size:.3g} {name}" if seconds < 10 * size else f"{seconds / size:,.0f} {name}"
    return f"{math.ceil(seconds)} s"


def _time(more: float, so_far: int, passed: timedelta) -> str:
    """ ", 14 min at this rate", if as many come in a while as came so far; "" before anything is known of the rate."""
    if so_far <= 0 or passed <= timedelta(0):
        return ""
    seconds = more * passed.total_seconds() / so_far
    return "" if seconds > 1e9 else f", {lasting(timedelta(seconds=seconds))} at this rate"


def _about(more: int | None, what: str, so_far: int, passed: timedelta) -> str:
    if more is None:
        return f"many more {what}"
    rounded = more if more < 100 else round(more, 1 - len(str(more)) + 1)
    return f"about {rounded:,} more {what}{_time(more, so_far, passed)}"


def _losses(release: Release, evidence: Evidence, settings: Rollout, now: datetime) -> list[str]:
    if not evidence.losses:
        return ["labels of rows that both versions answered"]
    d = np.asarray(evidence.losses)
    log_e = betting.log_e_not_worse(d, span=evidence.span, margin=evidence.margin)
    if reached(log_e, settings.alpha):
        return []
    more = _more(log_e, len(d), settings.alpha)
    have = f"{len(d)} so far, mean difference {np.mean(d):.3g}, margin {evidence.margin:.3g}"
    return [f"{_about(more, 'labelled pairs', len(d), now - release.started)} ({have})"]


def _scores(release: Release, evidence: Evidence, settings: Rollout, now: datetime) -> list[str]:
    if settings.guard.scores is None:
        return ["a margin for the scores: release.guard.scores"]
    if not evidence.scores or not evidence.scores[0]:
        return ["scores of rows that both versions answered"]
    log_e, n = log_e_same_scores(evidence, settings), len(evidence.scores[0])
    if reached(log_e, settings.alpha):
        return []
    moved = max((float(np.mean(series)) for series in evidence.scores), key=abs)
    have = f"{n} so far, mean difference {moved:.3g}, margin {settings.guard.scores:.3g}"
    return [f"{_about(_more(log_e, n, settings.alpha), 'pairs of scores', n, now - release.started)} ({have})"]


def _errors(release: Release, evidence: Evidence, settings: Rollout, now: datetime) -> list[str]:
    a, b, margin = evidence.champion.rate, evidence.challenger.rate, max(settings.guard.errors, _SMALLEST)
    if release.state == "shadow":
        allowed = _rate(a.failed, a.tried) + margin
        if (rate := _rate(b.failed, b.tried)) > allowed:
            return [f"an error rate in shadow of at most {allowed:.3%} (now {rate:.3%} of {b.tried})"]
        if any(share < 1 for share in settings.canary):
            return []  # the canary bounds it
    judged = counts.not_worse(b.failed, b.tried, a.failed, a.tried, margin=margin, alpha=settings.alpha, bounded=False)
    if judged.answer == "not_worse":
        return []
    seen = "" if evidence.sampled == 1 else f"; one in {1 / evidence.sampled:.3g} is looked at"
    where, unit = (
        ("in shadow", "requests") if release.state == "shadow" else (f"at {release.weight:.0%}", evidence.unit)
    )
    have = f"{b.failed} errors of {b.tried:,} {where} so far{seen}"
    return [f"{_about(judged.needed, unit, b.tried, now - release.moved)} ({have})"]


def _more(log_e: float, n: int, alpha: float) -> int | None:
    """Further observations until the evidence is enough, if it goes on growing as it has; None when it does not grow."""
    if n == 0 or log_e <= 0:
        return None
    more = (needed_log_e(alpha) - log_e) * n / log_e
    return max(1, math.ceil(more)) if more < _MOST else None


def _rate(errors: int, requests: int) -> float:
    return errors / requests if requests else 0.0
