"""What may become of a release, by where it stands; pure, and quick to import: a person's way back must not wait for NumPy."""

from collections.abc import Collection, Mapping
from typing import Any

from modelway.records import Release
from modelway.rollout.evidence import Move

OPEN = ("waiting", "shadow", "canary")


def watched(release: Release) -> bool:
    """Whether the release is full, and the former champion still goes on in shadow."""
    return release.state == "full" and bool(release.evidence.get("watch"))


def same_requests(release: Release) -> bool:
    """Whether both versions answer each request, one of them unheard: then they are compared on these."""
    return release.state in ("shadow", "full")


def lacks_people(approval: str, approved: Collection[str], model: str) -> str:
    """For whose approval it waits (`release.approval` of the spec), and how to give it; "" for nobody's."""
    missing = {"none": 0, "one_person": 1, "two_people": 2}[approval] - len(set(approved))
    who = "one person" if missing == 1 else "two people"
    return f"waits for the approval of {who}: modelway approve {model}" if missing > 0 else ""


def rolled_back(release: Release, reason: str, told: Mapping[str, Any] | None = None) -> Move:
    """The way out, with what was `told` of it, by default at the last look.

    Open to every release that is not over, and to the one that made the champion.
    """
    found = release.evidence if told is None else told
    kept = {name: value for name, value in found.items() if name != "watch"}
    return Move("rolled_back", release.step, 0.0, "failed", reason, kept)
