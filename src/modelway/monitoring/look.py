"""One look at a version that serves, and what follows from it.

A cause is a text that stays the same while it lasts: `drift`, `performance`, `errors`, `refused`, `volume`. Drift of many columns
is one cause: nobody is helped by thirty alerts on one table. Drift alone is a note as long as performance is shown to be as it
was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from modelway.monitoring.performance import Performance
from modelway.monitoring.quality import Quality, Volume, at_least
from modelway.records import DriftFinding
from modelway.spec.model import Spec

Severity = Literal["note", "ticket", "page"]
MOST_REFUSED = 0.05
"""Larger shares of refused rows are an alert: a caller sends what the contract forbids."""
FEWEST_REQUESTS = 20.0
"""Requests that were to be expected since the last look: from so many on, their absence is an alert."""
LEAST_VOLUME = 0.1
"""Share of the usual requests below which they count as absent."""
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Look:
    """What monitoring saw of one version at one moment; `rows` are the latest requests that drift was judged on.

    `labels` counts those that arrived after the moment as of which the version was trained.
    """

    model: str
    version: int
    at: datetime
    rows: int
    drift: tuple[DriftFinding, ...]
    performance: Performance
    quality: Quality
    volume: Volume
    labels: int = 0
    causes: Mapping[str, tuple[Severity, str]] = field(default_factory=dict)

    @property
    def drifted(self) -> tuple[DriftFinding, ...]:
        """The columns that drifted, the farthest first."""
        return tuple(sorted((d for d in self.drift if d.drifted), key=lambda d: (-d.distance, d.column)))


def causes(look: Look, spec: Spec) -> dict[str, tuple[Severity, str]]:
    """By cause its severity and a text for people."""
    found: dict[str, tuple[Severity, str]] = {}
    who = f"{look.model}@{look.version}"
    urgent: Severity = "page" if spec.tier == "high" else "ticket"
    if look.drifted:
        found["drift"] = (_severity_of_drift(look), f"{who}: {drift_words(look)}")
    if look.performance.answer == "worse":
        found["performance"] = (urgent, f"{who}: {look.performance.reason}")
    q = look.quality
    budget = 1 - spec.monitoring.slo.availability
    if (shown := at_least(q.errors, q.rows)) > budget:
        text = f"{q.errors:,} of {q.rows:,} answers failed: at least {shown:.2%}, and {budget:.2%} are allowed"
        found["errors"] = ("page", f"{who}: {text}")
    if (shown := at_least(q.refused, q.rows)) > MOST_REFUSED:
        text = f"{q.refused:,} of {q.rows:,} rows were refused: at least {shown:.0%} break the contract"
        found["refused"] = ("ticket", f"{who}: {text}")
    if _absent(look):
        text = f"{look.volume.per_day:,.1f} requests a day, where {look.volume.usual:,.1f} are usual"
        found["volume"] = ("ticket", f"{who}: {text}")
    return found


def judged(look: Look, before: Look | None) -> frozenset[str]:
    """The causes that this look could tell about: an alert of another one stays as it is.

    With a new version all that was said of the former one is over.
    """
    if before is not None and before.version != look.version:
        return frozenset({"drift", "performance", "errors", "refused", "volume"})
    told = {"volume"}
    told |= {"drift"} if look.drift else set()
    told |= {"performance"} if look.performance.answer != "not_applicable" else set()
    told |= {"errors", "refused"} if look.quality.rows else set()
    return frozenset(told)


def drift_words(look: Look) -> str:
    """The drifted columns in a line, with size and evidence of the farthest."""
    found = look.drifted
    named = ", ".join(f"{d.column} ({d.statistic} {d.distance:.2f}, p {d.p_value:.1g})" for d in found[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f"{len(found)} of {len(look.drift)} columns drifted in the last {look.rows:,} requests: {named}{more}"


def _severity_of_drift(look: Look) -> Severity:
    return "note" if look.performance.answer in ("better", "not_worse") else "ticket"


def _absent(look: Look) -> bool:
    usual = look.volume.usual
    if usual is None or usual * look.volume.days < FEWEST_REQUESTS:
        return False
    return look.volume.per_day < LEAST_VOLUME * usual
