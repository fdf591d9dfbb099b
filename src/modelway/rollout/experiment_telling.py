"""How an experiment stands, as rows of tables: read off the record that the last look left; pure."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from modelway.records import Experiment
from modelway.rollout.telling import e_text

ARMS = ("arm", "share", "came", "requests", "errors", "unusable", "against it", "failed, interval", "p50 ms", "p99 ms")
DIFFERENCES = ("measure", "of", "units", "difference", "from", "to", "better")
_LARGEST = 700.0


def arm_rows(experiment: Experiment) -> Iterator[tuple[Any, ...]]:
    """A row an arm, the champion first: counts by caller where callers are counted; the e-value against it, and where it stops."""
    told: Mapping[str, Any] = experiment.evidence.get("arms", {})
    report: Mapping[str, Any] = experiment.evidence.get("report", {})
    figures = {str(one["version"]): one for one in report.get("arms", ())}
    asked = {str(experiment.champion): 1 - sum(experiment.shares.values()), **experiment.shares}
    for number, share in asked.items():
        one, by_itself = told.get(number, {}), figures.get(number, {})
        name = f"@{number}" + (" (champion)" if number == str(experiment.champion) else "")
        now = 0.0 if number in experiment.stopped else one.get("share", share)
        came = f"{one['seen']:.1%}" if "seen" in one and number not in experiment.stopped else None
        yield (
            name,
            f"{now:.4g}",
            came,
            by_itself.get("requests", one.get("requests")),
            one.get("errors"),
            one.get("invalid"),
            _against(one, experiment),
            _interval(by_itself.get("low"), by_itself.get("high")),
            by_itself.get("p50_ms"),
            by_itself.get("p99_ms"),
        )


def difference_rows(report: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """A row a pair and measure."""
    for d in report["differences"]:
        better = None if d["better"] is None else f"@{d['better']}"
        units = " / ".join(f"{n:,}" for n in d["units"])
        yield d["measure"], f"@{d['one']} − @{d['other']}", units, d["value"], d["low"], d["high"], better


def _against(one: Mapping[str, Any], experiment: Experiment) -> str | None:
    if "stop" not in one:
        return None
    stops_at = len(experiment.shares) / experiment.evidence["alpha"]
    return f"{e_text(math.exp(min(one['stop'], _LARGEST)))} of {stops_at:.3g}"


def _interval(low: float | None, high: float | None) -> str | None:
    return None if low is None or high is None else f"{low:.2%} to {high:.2%}"
