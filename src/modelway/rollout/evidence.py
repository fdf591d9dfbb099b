"""What a release is judged on, and what is concluded from it; records only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from modelway.records import ReleaseState

Passage = Literal["passed", "failed", "undecided"]


@dataclass(frozen=True, slots=True)
class Arm:
    """What one version did since the step began; a request with any failed row is one error, `slow` counts late answers."""

    requests: int = 0
    errors: int = 0
    slow: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known about an open release at one look.

    In shadow both arms are the same requests, each answered by both versions; in a canary each arm has its own share of them.
    """

    challenger: Arm = Arm()
    champion: Arm = Arm()
    losses: tuple[float, ...] = ()
    """loss(champion) − loss(challenger) since the release began: one for each independent block of rows that both answered."""
    span: float = 1.0
    """Size that these differences rarely reach, fixed before the first of them was seen."""
    margin: float = 0.0
    """How much worse the challenger's loss may be and still count as not worse, fixed likewise."""
    requests_per_day: float = 0.0
    """Of the model, lately: decides on what a release is promoted."""
    approved: tuple[str, ...] = ()
    """The people who stand behind the release: who asked for it, if a person did, and who approved it."""


@dataclass(frozen=True, slots=True)
class Move:
    """The next safe step: where the release stands after it. `verdict` "undecided" leaves state, step and weight as they are."""

    state: ReleaseState
    step: int
    weight: float
    verdict: Passage
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
