"""What a release is judged on, and what is concluded from it; records only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from modelway.records import ExperimentState, ReleaseState

Passage = Literal["passed", "failed", "undecided"]
Unit = Literal["requests", "callers"]


@dataclass(frozen=True, slots=True)
class Tried:
    """What a rate is bounded on: `failed` counts errors and invalid outputs among `tried`."""

    tried: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Arm:
    """What one version did since the step began.

    By request: `requests` that it was given; a request with any failed row is one of `errors`, else one with an output that
    nobody can use is one of `invalid`; `slow[j]` took longer than its threshold j.

    By caller, where a caller stays with one version, each one counts *once in the release*, in the step and for the version of
    its first: `requests` callers first seen since the canary began, `errors` and `invalid` callers with a first such one,
    `slow[j]` callers whose first request was slow. So successive steps rest on different callers, and their e-values multiply.
    """

    requests: int = 0
    errors: int = 0
    invalid: int = 0
    slow: tuple[int, ...] = ()
    callers: Tried | None = None
    """By caller: those asked in this step, each by its first request in it, whoever it was before; None by request."""

    @property
    def rate(self) -> Tried:
        """What its own error rate is bounded on."""
        return self.callers or Tried(self.requests, self.errors + self.invalid)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known about a release at one look.

    In shadow, and while a release that is full is watched, both arms are the same requests, each answered by both versions; in
    a canary each arm has its own share of them.
    """

    challenger: Arm = Arm()
    champion: Arm = Arm()
    losses: tuple[float, ...] = ()
    """loss(champion) − loss(challenger) since the release began: one for each independent block of rows that both answered."""
    span: float = 1.0
    """Size that these differences rarely reach, fixed before the first of them was seen."""
    margin: float = 0.0
    """How much worse the challenger's loss may be and still count as not worse, fixed likewise."""
    unit: Unit = "requests"
    """What the arms count in a canary."""
    slow_ms: tuple[tuple[float, float], ...] = ()
    """Thresholds of latency for champion and challenger: those in force in a canary, before it those that would be now."""
    scores: tuple[tuple[float, ...], ...] = ()
    """score(challenger) − score(champion) on the same rows: by class (all but the first) one a row, or one series of numbers."""
    score_span: float = 1.0
    """Size that these rarely reach; 1 for classes."""
    sampled: float = 1.0
    """Share of the requests that is looked at, fixed before the first of them: 1 but for a busy model."""
    requests_per_day: float = 0.0
    """Of the model, lately: decides on what a release is promoted."""
    rehearsed: str = ""
    """Why its rehearsal failed; empty when it did not, or none is asked for."""
    approved: tuple[str, ...] = ()
    """The people who stand behind the release: who asked for it, if a person did, and who approved it."""
    has_losses: bool = True
    """Whether an answer has a loss at all: how odd a row is has none, since no label says how odd it should have been."""


@dataclass(frozen=True, slots=True)
class Move:
    """The next safe step: where the release stands after it. `verdict` "undecided" leaves state, step and weight as they are."""

    state: ReleaseState
    step: int
    weight: float
    verdict: Passage
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """How an experiment stands after a look, or as a person says. `verdict` "undecided": as before."""

    state: ExperimentState
    stopped: Mapping[str, str]
    verdict: Passage
    reason: str
    evidence: Mapping[str, Any]
