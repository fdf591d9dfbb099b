"""The state machine of a release; pure.

    waiting ──▶ shadow ──▶ canary (step 0, 1, …) ──▶ full           the champion is this version
       │           │          │
       └───────────┴──────────┴─────▶ rolled_back                   from every open state; another release supersedes it likewise

Two kinds of questions are asked at every look, and both may be asked at any time (METHODS M1):

    stop      does it fail more, is its loss worse, is it slower?   α shared between them; errors of successive steps: product
    promote   is it shown to be good enough for more weight?        α; `undecided` keeps the weight and says what is missing

Promotion is by `errors` (its own error rate is bounded, at each weight anew) or, where there are too few requests for that, by
`losses` (paired, on rows that both versions answered; they do not depend on the weight, so one process runs through all steps).
The choice is made once, when the shadow has seen its requests, and stays.
A failed verdict never leads to more weight, and no weight grows without a passed one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from modelway.evidence import betting, counts
from modelway.evidence.multiply import needed_log_e, product, reached, shares
from modelway.records import Release
from modelway.rollout.evidence import Evidence, Move
from modelway.spec.model import Rollout

OPEN = ("waiting", "shadow", "canary")
_DAY = timedelta(days=1)
_SAME_REQUESTS = 0.5
"""The share of errors that falls to a challenger which fails as often, where both answer each request."""
_SMALLEST = 1e-9


def next_move(release: Release, evidence: Evidence, settings: Rollout, now: datetime) -> Move:
    """The next safe step of an open release; one that is over stays as it is."""
    if release.state not in OPEN:
        return _stay(release, "it is over", {})
    look = _begin if release.state == "waiting" else _judged
    move = look(release, evidence, settings)
    if move.verdict == "undecided" and now - release.started > settings.at_most:
        days = settings.at_most / _DAY
        return _back(release, f"still undecided after {days:g} days: {move.reason}", move.evidence)
    return move


def basis(evidence: Evidence, settings: Rollout) -> str:
    """On what the release is promoted: what is declared, or what the traffic allows within `at_most`."""
    if settings.promote_on != "auto":
        return settings.promote_on
    first = next((share for share in settings.canary if share < 1), 1.0)
    coming = evidence.requests_per_day * (settings.at_most / _DAY) * first
    return (
        "errors" if coming >= 1.1 * needed_log_e(settings.alpha) / max(settings.guard.errors, _SMALLEST) else "losses"
    )


def promising(release: Release) -> bool:
    """Whether automation had better let an open release go on than supersede it by a newer version: its evidence would be lost.

    By losses, while it is ahead of the champion; by errors always, since that does not take long.
    """
    if release.state not in ("shadow", "canary"):
        return False
    if release.evidence.get("basis") == "errors":
        return True
    return (release.evidence.get("mean_difference") or 0.0) > 0


def _begin(release: Release, evidence: Evidence, settings: Rollout) -> Move:
    missing = {"none": 0, "one_person": 1, "two_people": 2}[settings.approval] - len(set(evidence.approved))
    if missing > 0:
        who = "one person" if missing == 1 else "two people"
        return _stay(release, f"waits for the approval of {who}: modelway approve {release.model}", {})
    if release.champion is None:
        return Move("full", 0, 1.0, "passed", "no champion to compare with: full at once", {})
    told = {"span": evidence.span, "margin": evidence.margin}
    return Move("shadow", 0, 0.0, "passed", "answers in shadow", told)


def _judged(release: Release, evidence: Evidence, settings: Rollout) -> Move:
    found = _figures(release, evidence, settings)
    if harm := _harm(found, evidence, settings):
        return _back(release, harm, found.told)
    missing = _missing(found, release, evidence, settings)
    if missing:
        return _stay(release, "undecided: " + "; ".join(missing), found.told)
    step, weight = _next_step(release, settings)
    carried = {"errors": found.errors, "slow": found.slow}
    told = found.told | {"carried": carried}
    shown = _shown(found, evidence)
    if weight >= 1:
        return Move("full", step, 1.0, "passed", f"{shown}: all requests", told)
    return Move("canary", step, weight, "passed", f"{shown}: {weight:.0%} of the requests", told)


@dataclass(frozen=True, slots=True)
class _Found:
    """Log e-values: `errors` and `slow` to stop, over all steps; `harm` to stop and `losses` to promote, over all pairs."""

    basis: str
    errors: float
    slow: float
    harm: float
    losses: float
    told: dict[str, Any]


def _figures(release: Release, evidence: Evidence, settings: Rollout) -> _Found:
    carried: Mapping[str, float] = release.evidence.get("carried", {})
    share = release.weight if release.state == "canary" else _SAME_REQUESTS
    a, b, d = evidence.champion, evidence.challenger, np.asarray(evidence.losses, dtype=float)
    errors = product([carried.get("errors", 0.0), counts.log_e_worse(b.errors, a.errors, share)])
    slow = carried.get("slow", 0.0)
    if settings.guard.latency_p99 is not None and release.state == "canary":
        slow = product([slow, counts.log_e_worse(b.slow, a.slow, share)])
    chosen = str(release.evidence.get("basis") or basis(evidence, settings))
    settled = release.state == "canary" or b.requests >= settings.shadow  # before, the traffic is not known well enough
    harm = losses = 0.0
    if len(d):
        harm = betting.log_e_harm(d, span=evidence.span)
        losses = betting.log_e_not_worse(d, span=evidence.span, margin=evidence.margin)
    told = {
        **{name: release.evidence[name] for name in ("span", "margin", "carried") if name in release.evidence},
        **({"basis": chosen} if settled else {}),
        "challenger": _plain(b),
        "champion": _plain(a),
        "pairs": len(d),
        "mean_difference": round(float(d.mean()), 9) if len(d) else None,
        "log_e": {n: round(v, 6) for n, v in (("errors", errors), ("slow", slow), ("harm", harm), ("losses", losses))},
    }
    return _Found(chosen, errors, slow, harm, losses, told)


def _harm(found: _Found, evidence: Evidence, settings: Rollout) -> str:
    """Why it must be stopped; "" when nothing says so."""
    asked = ["errors", "losses", *(["slow"] if settings.guard.latency_p99 is not None else [])]
    alpha = shares(settings.alpha, dict.fromkeys(asked, 1.0))
    a, b = evidence.champion, evidence.challenger
    if reached(found.errors, alpha["errors"]):
        return f"it fails more: {b.errors} of {b.requests} requests, the champion {a.errors} of {a.requests}"
    if "slow" in asked and reached(found.slow, alpha["slow"]):
        return f"it is slower: {b.slow} of {b.requests} answers late, the champion's {a.slow} of {a.requests}"
    if reached(found.harm, alpha["losses"]) and not reached(found.losses, settings.alpha):
        mean = -float(np.mean(evidence.losses))
        return f"its loss is worse by {mean:.3g} on {len(evidence.losses)} pairs (allowed {evidence.margin:.3g})"
    return ""


def _missing(found: _Found, release: Release, evidence: Evidence, settings: Rollout) -> list[str]:
    """What must still be seen before it may have more weight; [] when all was."""
    out = []
    b = evidence.challenger
    if release.state == "shadow" and b.requests < settings.shadow:
        out.append(f"{settings.shadow - b.requests} more requests in shadow")
    if release.state == "canary" and not (b.requests or evidence.champion.requests):
        out.append("a request at this weight")
    if found.basis == "losses":
        return out + _losses_missing(found, evidence, settings)
    return out + _errors_missing(release, evidence, settings)


def _losses_missing(found: _Found, evidence: Evidence, settings: Rollout) -> list[str]:
    if reached(found.losses, settings.alpha):
        return []
    if not evidence.losses:
        return ["labels of rows that both versions answered"]
    judged = betting.compare(
        np.asarray(evidence.losses), span=evidence.span, margin=evidence.margin, alpha=settings.alpha
    )
    more = f"about {judged.needed:,}" if judged.needed else "many"
    have = (
        f"{len(evidence.losses)} so far, mean difference {np.mean(evidence.losses):.3g}, margin {evidence.margin:.3g}"
    )
    return [f"{more} more labelled pairs ({have})"]


def _errors_missing(release: Release, evidence: Evidence, settings: Rollout) -> list[str]:
    a, b, margin = evidence.champion, evidence.challenger, max(settings.guard.errors, _SMALLEST)
    if release.state == "shadow":
        allowed = _rate(a.errors, a.requests) + margin
        if (rate := _rate(b.errors, b.requests)) > allowed:
            return [f"an error rate in shadow of at most {allowed:.3%} (now {rate:.3%} of {b.requests})"]
        return []
    judged = counts.not_worse(b.errors, b.requests, a.errors, a.requests, margin=margin, alpha=settings.alpha)
    if judged.answer == "not_worse":
        return []
    more = f"about {judged.needed:,}" if judged.needed else "many"
    return [f"{more} more requests at {release.weight:.0%} ({b.errors} errors of {b.requests} so far)"]


def _shown(found: _Found, evidence: Evidence) -> str:
    if found.basis == "losses":
        return f"not worse by more than {evidence.margin:.3g} on {len(evidence.losses)} pairs"
    return f"{evidence.challenger.errors} errors of {evidence.challenger.requests} requests"


def _next_step(release: Release, settings: Rollout) -> tuple[int, float]:
    """The first declared share that is greater; the spec may have changed under way."""
    return next(
        ((step, share) for step, share in enumerate(settings.canary) if share > release.weight),
        (len(settings.canary), 1.0),
    )


def _stay(release: Release, reason: str, told: Mapping[str, Any]) -> Move:
    return Move(release.state, release.step, release.weight, "undecided", reason, told)


def _back(release: Release, reason: str, told: Mapping[str, Any]) -> Move:
    return Move("rolled_back", release.step, 0.0, "failed", reason, told)


def rolled_back(release: Release, reason: str) -> Move:
    """A person's own way out; open to every release that is not over."""
    return replace(_back(release, reason, {}), evidence=dict(release.evidence))


def _rate(errors: int, requests: int) -> float:
    return errors / requests if requests else 0.0


def _plain(arm: Any) -> dict[str, int]:
    return {"requests": arm.requests, "errors": arm.errors, "slow": arm.slow}
