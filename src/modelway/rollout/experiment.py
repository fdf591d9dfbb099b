"""What becomes of an experiment at a look; pure.

    waiting ──▶ starting ──▶ running ──▶ ended      at the stated end, or when every arm was shown to be worse
       └───────────┴────────────┴──────▶ stopped    by a person

While it starts, servers load the arms, and the champion answers for those that are not there yet: nothing counts before each arm
has answered, and a little more, so that every server has them.

At each look every arm is held against the champion: its errors, and its outputs that nobody can use, by the exact sequential tests
of `evidence/counts.py`. An arm is stopped when the mean of their e-values reaches k/α, for k arms at the beginning: over all arms,
guards and looks a harmless one is stopped with probability ≤ α. Its share is the champion's from then on, and the others go on: on
new shares a new stretch begins, and the e-values of stretches multiply.

The test rests on the share that an arm has of what falls to it and the champion. Whether the traffic is split as it was asked for
is asked of all arms together (`evidence/split.py`); what speaks against the split is taken off what speaks against an arm, and
once it is called broken, counts are held against the largest share that the arm can have had, as `guards.py` does for a release.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from modelway.evidence import counts, split
from modelway.evidence.multiply import NEVER, mean, product, reached
from modelway.records import Experiment
from modelway.rollout.evidence import Arm, Turn, Unit
from modelway.rollout.guards import SPLIT_ALPHA
from modelway.spec.units import write_duration

GUARDS = ("errors", "invalid")
LOADING = timedelta(seconds=5)
"""How long servers have from the moment when each arm was seen to answer by one of them."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the arms did since the shares changed last, the champion among them, by version."""

    arms: Mapping[int, Arm]
    """In `unit`; a caller counts once in the experiment."""
    requests: Mapping[int, int] = field(default_factory=dict)
    """Answered requests, whoever asked."""
    unit: Unit = "requests"


def begun(experiment: Experiment, sampled: float, alpha: float) -> Turn:
    """The arms get their shares. `sampled` is the share of the requests that is looked at."""
    told = {**experiment.evidence, "sampled": sampled, "alpha": alpha}
    return Turn("starting", {}, "passed", "waits until each arm answers", told)


def answering(experiment: Experiment, seen: Seen, now: datetime) -> Turn:
    """One look at an experiment that starts: it runs when servers have loaded the arms."""
    silent = [f"@{number}" for number in shares_now(experiment) if not seen.requests[number]]
    if experiment.ends is not None and now >= experiment.ends:
        return Turn("ended", {}, "passed", "its time was over before each arm had answered", experiment.evidence)
    since = experiment.evidence.get("answering")
    if silent:
        return held(experiment, f"waits until {', '.join(silent)} answers: no request has come to it")
    if since is None:
        told = {**experiment.evidence, "answering": now.isoformat()}
        return Turn("starting", {}, "undecided", "each arm answers", told)
    if now - datetime.fromisoformat(since) < LOADING:
        return held(experiment, "each arm answers")
    told = {**experiment.evidence, "stretches": [{"since": now.isoformat(), "stopped": []}], "carried": {}}
    return Turn("running", {}, "passed", f"runs until {experiment.ends:%Y-%m-%d %H:%M:%S} UTC", told)


def held(experiment: Experiment, reason: str) -> Turn:
    """It waits."""
    return Turn(experiment.state, experiment.stopped, "undecided", reason, experiment.evidence)


def shares_now(experiment: Experiment) -> dict[int, float]:
    """By version what it is to get now; the champion has the rest, and what stopped arms had."""
    left = {int(name): share for name, share in experiment.shares.items() if name not in experiment.stopped}
    return {experiment.champion: 1.0 - sum(left.values()), **left}


def judged(experiment: Experiment, seen: Seen, now: datetime) -> Turn:
    """One look at an experiment that runs."""
    alpha, arms = float(experiment.evidence["alpha"]), len(experiment.shares)
    found = _figures(experiment, seen)
    told = {**experiment.evidence, **found.told}
    worse = {
        str(number): _why(number, experiment.champion, seen, log_e)
        for number, log_e in found.log_e.items()
        if reached(mean(log_e.values()), alpha / arms)
    }
    total = sum(one["requests"] for one in told["arms"].values()) / float(experiment.evidence["sampled"])
    stopped = {**experiment.stopped, **worse}
    over = _over(experiment, total, len(stopped) == arms, now)
    if worse or over:
        told["carried"] = found.carried
    if worse and not over:
        told["stretches"] = [*experiment.evidence["stretches"], {"since": now.isoformat(), "stopped": sorted(stopped)}]
    ends = "; ".join(f"@{number} is stopped: {why}" for number, why in worse.items())
    if over:
        return Turn("ended", stopped, "passed", "; ".join(part for part in (ends, over) if part), told)
    if worse:
        return Turn("running", stopped, "failed", ends, told)
    if found.broken:
        told_shares = ", ".join(f"@{n} {one['seen']:.3%}" for n, one in told["arms"].items() if "seen" in one)
        reason = f"undecided: routing broken, {told_shares} of the {seen.unit} came; see who routes past the server"
    else:
        reason = f"{total:,.0f} requests; {_left(experiment, total, now)}"
    return Turn("running", stopped, "undecided", reason, told)


@dataclass(frozen=True, slots=True)
class _Found:
    log_e: Mapping[int, Mapping[str, float]]
    broken: bool
    told: dict[str, Any]
    carried: dict[str, Any]


def _figures(experiment: Experiment, seen: Seen) -> _Found:
    carried: Mapping[str, Any] = experiment.evidence["carried"]
    shares = shares_now(experiment)
    champion, rest = seen.arms[experiment.champion], shares[experiment.champion]
    given = [seen.arms[number].requests for number in shares]
    fresh = split.log_e_split(given, list(shares.values()))
    uneven = product([carried.get("split", 0.0), fresh])
    broken, log_e = reached(uneven, SPLIT_ALPHA), dict[int, dict[str, float]]()
    for number, arm in seen.arms.items():
        if number == experiment.champion or number not in shares:
            continue
        share, doubt = shares[number] / (shares[number] + rest), 0.0
        if broken:
            share = split.most(arm.requests, champion.requests, share, alpha=SPLIT_ALPHA)
        else:
            both = arm.requests, champion.requests
            doubt = max(0.0, fresh, split.log_e_split(both, (share, 1 - share), counts.CONCENTRATION))
        before: Mapping[str, float] = carried.get("log_e", {}).get(str(number), {})
        now = {name: counts.log_e_worse(getattr(arm, name), getattr(champion, name), share) for name in GUARDS}
        log_e[number] = {name: product([before.get(name, 0.0), value, -doubt]) for name, value in now.items()}
    totals = {str(number): _total(number, seen, carried) for number in seen.arms}
    for number, count in zip(shares, given, strict=True):
        totals[str(number)] |= {"share": shares[number], **({"seen": count / sum(given)} if sum(given) else {})}
        if number in log_e:
            totals[str(number)] |= {"log_e": {name: _rounded(value) for name, value in log_e[number].items()}}
            totals[str(number)] |= {"stop": _rounded(mean(log_e[number].values()))}
    told = {"unit": seen.unit, "arms": totals, "split": {"log_e": _rounded(uneven), "broken": broken}}
    kept = {str(number): {name: _rounded(value) for name, value in of.items()} for number, of in log_e.items()}
    return _Found(log_e, broken, told, {"split": _rounded(uneven), "log_e": kept, "arms": _plain(totals)})


def _total(number: int, seen: Seen, carried: Mapping[str, Any]) -> dict[str, Any]:
    """Counts over all stretches; `units` are what the guards count."""
    before: Mapping[str, int] = carried.get("arms", {}).get(str(number), {})
    arm = seen.arms[number]
    now = {
        "requests": seen.requests.get(number, arm.requests),
        "units": arm.requests,
        "errors": arm.errors,
        "invalid": arm.invalid,
    }
    return {name: value + before.get(name, 0) for name, value in now.items()}


def _plain(totals: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    counted = ("requests", "units", "errors", "invalid")
    return {number: {name: one[name] for name in counted} for number, one in totals.items()}


def _why(number: int, champion: int, seen: Seen, log_e: Mapping[str, float]) -> str:
    name = max(log_e, key=lambda name: log_e[name])
    ours, theirs, unit = seen.arms[number], seen.arms[champion], seen.unit
    a, b = getattr(ours, name), getattr(theirs, name)
    what = "it fails more" if name == "errors" else "more of its outputs cannot be used"
    return f"{what}: {a:,} of {ours.requests:,} {unit}, of the champion's {b:,} of {theirs.requests:,}"


def _over(experiment: Experiment, total: float, no_arm_left: bool, now: datetime) -> str:
    """Why it is over; "" while it is not."""
    if no_arm_left:
        return "no arm is left; all goes back to the champion"
    if experiment.ends is not None and now >= experiment.ends:
        return "its time is over; all goes back to the champion"
    if experiment.requests is not None and total >= experiment.requests:
        return f"it has seen its {experiment.requests:,} requests; all goes back to the champion"
    return ""


def _left(experiment: Experiment, total: float, now: datetime) -> str:
    left = timedelta(0) if experiment.ends is None else experiment.ends - now
    text = f"{write_duration(timedelta(seconds=round(left.total_seconds())))} left"
    return text if experiment.requests is None else f"{text}, or {max(experiment.requests - total, 0):,.0f} requests"


def _rounded(log_e: float) -> float:
    return round(min(max(log_e, NEVER), -NEVER), 6)
