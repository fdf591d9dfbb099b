"""How a release stands, as one tells it: read off the record that the last look left; pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelway.records import Release
from modelway.rollout.standing import OPEN, watched

_LARGEST = 700.0
"""Of a log, so that its e-value is a number."""


@dataclass(frozen=True, slots=True)
class Against:
    """What speaks against a version at one guard: its e-value, and the numbers that it rests on."""

    guard: str
    e: float
    challenger: str
    champion: str


@dataclass(frozen=True, slots=True)
class Told:
    """A release at its last look. It is stopped when `e`, the mean over the guards, reaches `stops_at`."""

    model: str
    version: int
    champion: int | None
    state: str
    verdict: str
    """`undecided`, `passed` (it is full) or `failed` (rolled back, or superseded)."""
    reason: str
    share: float
    """Asked for, of the requests."""
    seen: float | None
    """That came to the challenger; None before there is any."""
    broken: bool
    """Whether these two differ beyond chance."""
    guards: tuple[Against, ...]
    e: float | None
    stops_at: float | None
    missing: tuple[str, ...]
    """What must still be seen before it gets more weight: how much, and how long that takes at this rate."""
    over: bool


def told_of(release: Release) -> Told:
    """What the last look found."""
    found: Mapping[str, Any] = release.evidence
    log_e: Mapping[str, float] = found.get("log_e", {})
    split: Mapping[str, Any] = found.get("split", {}) if release.state != "full" else {}
    is_open = release.state in OPEN
    alpha = found.get("alpha")
    return Told(
        release.model,
        release.version,
        release.champion,
        release.state,
        "undecided" if is_open else "passed" if release.state == "full" else "failed",
        release.reason,
        release.weight,
        split.get("seen"),
        bool(split.get("broken")),
        tuple(Against(name, _e(value), *_numbers(name, found)) for name, value in log_e.items() if name != "stop"),
        _e(log_e["stop"]) if "stop" in log_e else None,
        1 / alpha if alpha else None,
        tuple(found.get("missing", ())) if is_open else (),
        not is_open and not watched(release),
    )


def summary(evidence: Mapping[str, Any]) -> str:
    """The numbers of a decision in one line; "" where there were none."""
    log_e = evidence.get("log_e", {})
    if "challenger" not in evidence:
        return ""
    parts = [f"{name}: {_failed(evidence, name)}" for name in ("challenger", "champion")]
    if evidence.get("pairs"):
        parts.append(f"{evidence['pairs']:,} pairs, mean difference {evidence['mean_difference']:.3g}")
    if "stop" in log_e:
        stops_at = f" of {1 / evidence['alpha']:.3g}" if "alpha" in evidence else ""
        parts.append(f"against it e = {e_text(_e(log_e['stop']))}{stops_at}")
    return "; ".join(parts)


def e_text(e: float) -> str:
    """Three digits; what is next to nothing is 0."""
    return f"{e:.3g}" if e >= 0.001 else "0"


def _failed(evidence: Mapping[str, Any], arm: str) -> str:
    told, unit = evidence[arm], evidence.get("unit", "requests")
    invalid = f", {told['invalid']:,} unusable" if told.get("invalid") else ""
    return f"{told['errors']:,} errors{invalid} of {told['requests']:,} {unit}"


def _numbers(guard: str, found: Mapping[str, Any]) -> tuple[str, str]:
    arms = found.get("challenger", {}), found.get("champion", {})
    if guard in ("errors", "invalid"):
        ours, theirs = (f"{arm.get(guard, 0):,} of {arm.get('requests', 0):,}" for arm in arms)
        return ours, theirs
    if guard == "latency" and "slow" in arms[0]:
        places = list(zip(*found.get("slow_ms", []), strict=True))
        ours, theirs = (_slow(arm, ms) for arm, ms in zip(arms, reversed(places), strict=False)) if places else ("", "")
        return ours, theirs
    if guard == "losses" and found.get("pairs"):
        return f"better by {found['mean_difference']:.3g} on {found['pairs']:,} pairs", ""
    if guard == "scores" and found.get("scored"):
        return f"moved by {found['moved']:.3g} on {found['scored']:,} pairs", ""
    return "", ""


def _slow(arm: Mapping[str, Any], ms: tuple[float, ...]) -> str:
    """At the threshold in the middle, and at the highest."""
    middle = len(ms) // 2
    places = dict.fromkeys((middle, len(ms) - 1))
    return ", ".join(f"{arm['slow'][place]:,} above {ms[place]:.3g} ms" for place in places if place < len(arm["slow"]))


def _e(log_e: float) -> float:
    return math.exp(min(log_e, _LARGEST))
