"""The decision to train again, from facts alone: start, refuse (there is a cause, and something forbids it), or nothing.

Causes, the first of the policy's that holds: other versions of a composition's `members` serve than it asks, `performance` shown
to be worse, `drift`, enough `new_labels` at the last look, `every` so long since the last run. A look gives cause to one run only.
What forbids, in this order: automation is frozen, a release is open and ahead (another candidate would have to wait for it), the
cool-down since the last automatic run, the budget of automatic runs. While a run is open nothing is decided at all. Runs that
failed count too: a policy must not try for ever.

The key of a decision names its cause, by day and minute or by the members' versions: the same facts always name the same run.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from modelway.records import Trigger
from modelway.spec.model import Retraining
from modelway.spec.units import parse_count, parse_duration, write_duration

Cause = Literal["drift", "performance", "schedule", "new_labels", "members"]
_ORDER: tuple[Cause, ...] = ("members", "performance", "drift", "new_labels", "schedule")


@dataclass(frozen=True, slots=True)
class PastRun:
    """An earlier run; a refit is part of the run that it repeats and is none of its own."""

    id: str
    kind: str
    created: datetime
    open: bool = False

    @property
    def automatic(self) -> bool:
        return self.kind in _ORDER


@dataclass(frozen=True, slots=True)
class LastLook:
    """What the last look at the champion found; texts are "" where it found nothing."""

    at: datetime
    drift: str = ""
    performance: str = ""
    labels: int = 0
    """Labels that arrived since the champion was trained."""


@dataclass(frozen=True, slots=True)
class Facts:
    """`look` is None without a look at the present champion; `frozen` and `releasing` say why, or are ""."""

    champion: int | None
    look: LastLook | None = None
    runs: tuple[PastRun, ...] = ()
    frozen: str = ""
    releasing: str = ""
    nothing_new: bool = False
    """No label has arrived since the champion was trained, as far as the last look knows."""
    members: tuple[str, ...] = ()
    """Of a composition: the versions that serve, MODEL@VERSION, where the champion asks another of that model."""


@dataclass(frozen=True, slots=True)
class Decision:
    """`key` names cause and moment, `obstacle` what forbids a start: frozen, release, cooldown, budget; "" for a start."""

    answer: Literal["start", "refuse", "nothing"]
    reason: str
    kind: Cause | None = None
    key: str = ""
    obstacle: str = ""

    @property
    def trigger(self) -> Trigger:
        """Of the run that a start opens."""
        return Trigger(self.kind or "manual", self.reason)


def decide(policy: Retraining, facts: Facts, now: datetime) -> Decision:
    """What the policy says now."""
    if facts.champion is None:
        return Decision("nothing", "no version serves yet: the first run is a person's")
    for run in facts.runs:
        if run.open:
            return Decision("nothing", f"run {run.id} is open")
    if "members" in policy.on and facts.members:
        return _of_members(policy, facts, now)
    found = next(_causes(policy, facts, now), None)
    if found is None:
        return Decision("nothing", "no cause to train again")
    kind, moment, reason = found
    key = f"{kind}-{moment:%Y-%m-%d}" + (
        f"-{moment:%H%M}" if moment.time().replace(second=0, microsecond=0) != _MIDNIGHT else ""
    )
    return _unless_hindered(policy, facts, now, Decision("start", reason, kind, key))


def _of_members(policy: Retraining, facts: Facts, now: datetime) -> Decision:
    """Whether new labels are there is no matter: nothing is learned."""
    told = ", ".join(facts.members)
    key = "members-" + "-".join(facts.members).replace("@", "-")
    start = Decision("start", f"{told} now serves, and the champion asks another version", "members", key)
    return _unless_hindered(policy, replace(facts, nothing_new=False), now, start)


def _unless_hindered(policy: Retraining, facts: Facts, now: datetime, start: Decision) -> Decision:
    for obstacle, why in _obstacles(policy, facts, now):
        return replace(start, answer="refuse", reason=f"{start.reason}; but {why}", obstacle=obstacle)
    return start


_MIDNIGHT = datetime.min.time()


def interval(policy: Retraining) -> timedelta | None:
    """The schedule of the policy (`every 7d`), or None."""
    found = [parse_duration(text) for text in policy.on if text.startswith("every ")]
    return min(found) if found else None


def wanted_labels(policy: Retraining) -> int | None:
    """How many new labels are a cause (`new_labels 1000`), or None."""
    found = [parse_count(text.partition(" ")[2]) for text in policy.on if text.startswith("new_labels ")]
    return min(found) if found else None


def budget(policy: Retraining) -> tuple[int, timedelta]:
    """`3 per 7d`: the largest number of automatic runs, and within which time."""
    count, _, duration = policy.at_most.partition(" per ")
    return parse_count(count), parse_duration(duration)


def _causes(policy: Retraining, facts: Facts, now: datetime) -> Iterator[tuple[Cause, datetime, str]]:
    look = facts.look
    if look is not None and not any(run.automatic and run.created >= look.at for run in facts.runs):
        wanted = wanted_labels(policy)
        if "performance" in policy.on and look.performance:
            yield "performance", look.at, look.performance
        if "drift" in policy.on and look.drift:
            yield "drift", look.at, look.drift
        if wanted is not None and look.labels >= wanted:
            yield "new_labels", look.at, f"{look.labels:,} labels arrived since the last training ({wanted:,} wanted)"
    every = interval(policy)
    if every is not None and facts.runs:
        last = max(run.created for run in facts.runs)
        if last + every <= now:
            yield (
                "schedule",
                last + every,
                f"{write_duration(every)} have passed since the last run, of {last:%Y-%m-%d %H:%M}",
            )


def _obstacles(policy: Retraining, facts: Facts, now: datetime) -> Iterator[tuple[str, str]]:
    if facts.frozen:
        yield "frozen", facts.frozen
    if facts.releasing:
        yield "release", facts.releasing
    if facts.nothing_new:
        yield "nothing_new", "there is nothing new to learn from: no label arrived since the last training"
    automatic = sorted(run.created for run in facts.runs if run.automatic)
    if automatic and now < automatic[-1] + policy.cooldown:
        yield "cooldown", f"the cool-down lasts until {automatic[-1] + policy.cooldown:%Y-%m-%d %H:%M}"
    count, within = budget(policy)
    inside = [at for at in automatic if now - within < at]
    if len(inside) >= count:
        since = f"until {inside[len(inside) - count] + within:%Y-%m-%d %H:%M}" if count else "for good"
        yield "budget", f"the budget of {policy.at_most} is spent {since}"
