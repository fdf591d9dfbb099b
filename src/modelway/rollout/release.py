"""The state machine of a release; pure.

    waiting ──▶ shadow ──▶ canary (step 0, 1, …) ──▶ full ··▶ watched for a while     the champion is this version
       │           │          │                                  │
       └───────────┴──────────┴──────────────────────────────────┴──▶ rolled_back
                                                     from every open state; another release supersedes it likewise

Without any canary step the shadow is all: when it has seen its requests for as long as is declared, the release has *ended*, and
the champion stays.

Two kinds of questions are asked at every look, and both may be asked at any time (METHODS M1):

    stop      `guards.py`      errors, invalid outputs, latency, scores, losses: one α for all of them, all steps and all looks
    promote   `promotion.py`   is it shown to be good enough for more weight? α; `undecided` keeps the weight and says what is
                               missing, and how long that takes

The choice on what a release is promoted is made once, when the shadow has seen its requests, and stays. Where the traffic is not
split as it was asked for, nothing is promoted. After the last step the former champion goes on in shadow for `release.watch`, and
the guards may still go back to it. A failed verdict never leads to more weight, and no weight grows without a passed one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from modelway.evidence.multiply import NEVER
from modelway.records import Release
from modelway.rollout.evidence import Evidence, Move
from modelway.rollout.guards import Guarded, guarded, most_moved, plain, why
from modelway.rollout.promotion import basis, lasting, missing, shown, waits
from modelway.rollout.standing import OPEN, lacks_people, rolled_back, same_requests, watched
from modelway.spec.model import Rollout
from modelway.spec.units import write_duration

KEPT = ("basis", "span", "margin", "score_span", "sampled", "slow_ms", "since", "carried", "watch")
"""What a release decided earlier and goes on from, in its evidence; `store.py` adds who asked for it and who approved it."""
_DAY = timedelta(days=1)


def next_move(release: Release, evidence: Evidence, settings: Rollout, now: datetime) -> Move:
    """The next safe step of an open or a watched release; one that is over stays as it is."""
    if watched(release):
        return _watch(release, evidence, settings, now)
    if release.state not in OPEN:
        return _stay(release, "it is over", {})
    move = (
        _begin(release, evidence, settings) if release.state == "waiting" else _judged(release, evidence, settings, now)
    )
    if move.verdict == "undecided" and now - release.started > settings.at_most:
        days = settings.at_most / _DAY
        return rolled_back(release, f"still undecided after {days:g} days: {move.reason}", move.evidence)
    return move


def promising(release: Release) -> bool:
    """Whether automation had better let an open release go on than supersede it by a newer version: its evidence would be lost.

    By losses, while it is ahead of the champion; by errors always, since that does not take long, and by scores, which know no
    better or worse.
    """
    if release.state not in ("shadow", "canary"):
        return False
    if release.evidence.get("basis") in ("errors", "scores"):
        return True
    return (release.evidence.get("mean_difference") or 0.0) > 0


def _begin(release: Release, evidence: Evidence, settings: Rollout) -> Move:
    if evidence.rehearsed:
        return rolled_back(release, f"its rehearsal failed: {evidence.rehearsed}", {})
    if lacking := lacks_people(settings.approval, evidence.approved, release.model):
        return _stay(release, lacking, {})
    if release.champion is None:
        return Move("full", 0, 1.0, "passed", "no champion to compare with: full at once", {})
    told = {
        "span": evidence.span,
        "margin": evidence.margin,
        "score_span": evidence.score_span,
        "sampled": evidence.sampled,
    }
    return Move("shadow", 0, 0.0, "passed", "answers in shadow", told)


def _judged(release: Release, evidence: Evidence, settings: Rollout, now: datetime) -> Move:
    found = _figures(release, evidence, settings)
    if harm := why(found.guards, evidence, settings):
        return rolled_back(release, harm, found.told)
    if found.guards.broken:
        return _stay(release, "undecided: " + _broken(release, evidence), found.told)
    lacking = missing(found.basis, release, evidence, settings, now)
    if not settings.canary and release.state == "shadow" and not waits(release, evidence, settings, now):
        seen = f"shadow only, {evidence.challenger.requests:,} requests that both answered"
        open_ = "; ".join(lacking)
        said = f"not shown: it lacks {open_}" if lacking else shown(found.basis, evidence, settings)
        return Move("ended", release.step, 0.0, "passed", f"{seen}; {said}", found.told)
    if lacking:
        return _stay(release, "undecided: " + "; ".join(lacking), found.told | {"missing": lacking})
    step, weight = _next_step(release, settings)
    told = found.told | {"carried": found.guards.carried}
    if release.state == "shadow":
        told |= {"since": now.isoformat(), "slow_ms": [list(pair) for pair in evidence.slow_ms]}
    reason = shown(found.basis, evidence, settings)
    if weight < 1:
        return Move("canary", step, weight, "passed", f"{reason}: {weight:.0%} of the requests", told)
    if settings.watch:
        told |= {"watch": (now + settings.watch).isoformat()}
        reason += f": all requests, watched for {write_duration(settings.watch)}"
        return Move("full", step, 1.0, "passed", reason, told)
    return Move("full", step, 1.0, "passed", f"{reason}: all requests", told)


def _watch(release: Release, evidence: Evidence, settings: Rollout, now: datetime) -> Move:
    found = _figures(release, evidence, settings)
    if harm := why(found.guards, evidence, settings):
        return rolled_back(release, f"{harm}; back to version {release.champion}", found.told)
    left = datetime.fromisoformat(release.evidence["watch"]) - now
    if left > timedelta(0):
        return _stay(release, f"full; the former champion is in shadow for {lasting(left)} more", found.told)
    told = {name: value for name, value in found.told.items() if name != "watch"}
    pairs = f"{evidence.challenger.requests:,} requests that both answered"
    return Move("full", release.step, 1.0, "passed", f"full; watched to the end, {pairs}", told)


@dataclass(frozen=True, slots=True)
class _Found:
    basis: str
    guards: Guarded
    told: dict[str, Any]


def _figures(release: Release, evidence: Evidence, settings: Rollout) -> _Found:
    found = guarded(release, evidence, settings)
    a, b, d = evidence.champion, evidence.challenger, evidence.losses
    chosen = str(release.evidence.get("basis") or basis(evidence, settings))
    # before the shadow has seen its requests, the traffic is not known well enough
    settled = release.state != "shadow" or b.requests >= settings.shadow
    told = {
        **{name: release.evidence[name] for name in KEPT if name in release.evidence},
        **({"basis": chosen} if settled else {}),
        "unit": "requests" if same_requests(release) else evidence.unit,
        "challenger": plain(b),
        "champion": plain(a),
        "pairs": len(d),
        "mean_difference": round(float(np.mean(d)), 9) if d else None,
        "alpha": settings.alpha,
        "log_e": {name: _rounded(value) for name, value in (*found.log_e.items(), ("stop", found.stop))},
    }
    if evidence.scores and evidence.scores[0]:
        told |= {"scored": len(evidence.scores[0]), "moved": round(most_moved(evidence.scores), 9)}
    if release.state == "canary":
        told["split"] = {
            "asked": release.weight,
            "seen": round(b.requests / (a.requests + b.requests), 6) if a.requests + b.requests else None,
            "log_e": _rounded(found.split),
            "broken": found.broken,
        }
    return _Found(chosen, found, told)


def _broken(release: Release, evidence: Evidence) -> str:
    ours, whole = evidence.challenger.requests, evidence.challenger.requests + evidence.champion.requests
    return (
        f"routing broken: it got {ours / whole:.3%} of {whole:,} {evidence.unit} instead of {release.weight:.3g}; "
        "see who routes past the server, then release it again"
    )


def _next_step(release: Release, settings: Rollout) -> tuple[int, float]:
    """The first declared share that is greater; the spec may have changed under way."""
    return next(
        ((step, share) for step, share in enumerate(settings.canary) if share > release.weight),
        (len(settings.canary), 1.0),
    )


def _stay(release: Release, reason: str, told: Mapping[str, Any]) -> Move:
    return Move(release.state, release.step, release.weight, "undecided", reason, told)


def _rounded(log_e: float) -> float:
    return round(min(max(log_e, NEVER), -NEVER), 6)
