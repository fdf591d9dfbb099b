"""What the replay came to, read back from where it is kept: the event log, the lake, the registry and the ledger."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import orjson
import polars as pl
import sqlalchemy as sa

from examples.market_risk.bars import AHEAD
from modelway.evidence.bootstrap import Resampling, mean_difference
from modelway.features.plan import Plan
from modelway.flow import frames
from modelway.flow.scoring import graph_scores
from modelway.flow.sources import predictions_topic
from modelway.records import Entry, Finding, Manifest, Sources, loads
from modelway.registry import versions
from modelway.spec.model import Spec
from modelway.state import ledger
from modelway.state.schema import alerts, runs
from modelway.workspace import Workspace

if TYPE_CHECKING:
    from rich.console import RenderableType


class Seen(Protocol):
    """What the outside world counted (see `replay.Asked`)."""

    requests: int
    failed: int
    refused: int
    looks: int


@dataclass(frozen=True)
class Year:
    """One year of service; losses are log losses of the answered days whose outcome is known."""

    year: int
    predictions: int
    turbulent: float
    alarms: int
    retrainings: int
    promoted: int
    refused: int
    loop_loss: float
    first_loss: float
    gain: Finding
    """First − loop: positive when the loop loses less."""


@dataclass(frozen=True)
class Told:
    """The whole story. `days`: one row an answered day (`at`, `version`, `score`, `first`, `outcome`, `largest`)."""

    years: tuple[Year, ...]
    days: pl.DataFrame
    gain: Finding
    logged: int
    in_lake: int
    in_shadow: int
    recomputed: int
    worst_parity: float
    entries: tuple[Entry, ...]
    alarms: tuple[tuple[datetime, str, str], ...]

    def reconciled(self, seen: Seen) -> bool:
        """Requests sent = predictions in the event log = rows in the lake."""
        return seen.requests == self.logged == self.in_lake

    def lines(self, seen: Seen, seconds: Mapping[str, float]) -> list["RenderableType"]:
        """For the terminal."""
        return [self.table(), "", *self.summary(seen, seconds)]

    def table(self) -> "RenderableType":
        """The table of the years."""
        from rich import box
        from rich.table import Table

        heads = (
            "year", "predictions", "turbulent", "alarms", "retrainings", "promoted", "refused", "loss: loop", "first", "gain (95 %)",
        )  # fmt: skip
        shown = Table(*heads, box=box.SIMPLE_HEAD, pad_edge=False)
        for y in self.years:
            counts = (y.alarms, y.retrainings, y.promoted, y.refused)
            losses = (f"{y.loop_loss:.3f}", f"{y.first_loss:.3f}", interval(y.gain))
            shown.add_row(str(y.year), str(y.predictions), f"{y.turbulent:.0%}", *map(str, counts), *losses)
        return shown

    def summary(self, seen: Seen, seconds: Mapping[str, float]) -> list[str]:
        """What follows from it, in words."""
        held = "reconciled" if self.reconciled(seen) else "NOT RECONCILED"
        return [
            f"requests {seen.requests} = predictions logged {self.logged} = rows in the lake {self.in_lake}: {held};"
            f" {seen.failed} failed, {seen.refused} rows refused, {self.in_shadow} answers in shadow",
            f"{self.recomputed} answers computed again from the lake, as of their moment: worst difference {self.worst_parity:.1g}",
            f"the loop against the frozen first model, log loss over all years: gain {interval(self.gain)} ({self.gain.answer})",
            f"ledger: {len(self.entries)} decisions, unbroken; {seen.looks} looks of the control loop;"
            f" {seconds['whole replay']:.0f} s",
        ]


def interval(finding: Finding) -> str:
    """`+0.012 (−0.003 to +0.027)`."""
    if finding.effect is None or finding.low is None or finding.high is None:
        return "–"
    return f"{finding.effect:+.3f} ({finding.low:+.3f} to {finding.high:+.3f})"


def told(workspace: Workspace, model: str) -> Told:
    """Read the story; raises LedgerError when the ledger is broken."""
    spec = workspace.spec(model)
    ledger.verify(workspace.database)
    entries = ledger.history(workspace.database, model)
    predictions = frames.predictions(workspace, spec)
    answered = predictions.filter(~pl.col("shadow") & (pl.col("status") == "ok")).sort("at")
    known = rows_again(workspace, spec, answered)
    worst, recomputed = parity(workspace, spec, answered, known)
    days = judged_days(workspace, spec, answered, known)
    logged = list(_log_events(workspace, spec))
    return Told(
        years=tuple(_years(workspace, model, days, entries)),
        days=days,
        gain=_gain(days),
        logged=sum(not event["shadow"] for event in logged),
        in_lake=predictions.filter(~pl.col("shadow")).height,
        in_shadow=predictions.filter(pl.col("shadow")).height,
        recomputed=recomputed,
        worst_parity=worst,
        entries=entries,
        alarms=tuple(_alarms(workspace, model)),
    )


def rows_again(workspace: Workspace, spec: Spec, answered: pl.DataFrame) -> dict[int, pl.DataFrame]:
    """By version that answered, or is to be compared: the rows with their columns, computed from the lake as of the request."""
    sources = Sources(workspace.clock.now(), frames.tables_of(workspace, spec), "")
    events = frames.known(workspace, spec, sources).events
    found = {}
    for number in sorted({1, *answered["version"].to_list()}):
        plan = Plan.from_plain(_manifest(workspace, spec.model, number).features)
        rows = answered if number == 1 else answered.filter(pl.col("version") == number)
        decisions = frames.served_rows(rows, spec)
        found[number] = workspace.features.compute(decisions, events, plan, plan.same_instant)
    return found


def parity(
    workspace: Workspace, spec: Spec, answered: pl.DataFrame, again: Mapping[int, pl.DataFrame]
) -> tuple[float, int]:
    """The largest difference between a logged score and the one computed again, and how many were compared."""
    worst, count = 0.0, 0
    for number, rows in again.items():
        mine = answered.filter(pl.col("version") == number)
        same = mine.select(pl.col("key").alias("_key")).join(rows, on="_key", how="left", maintain_order="left")
        if same.height == 0:
            continue
        scores = _scores(workspace, spec.model, number, same)
        logged = np.array(mine["scores"].to_list(), dtype=np.float64)
        worst, count = max(worst, float(np.abs(scores - logged).max())), count + mine.height
    return worst, count


def judged_days(
    workspace: Workspace, spec: Spec, answered: pl.DataFrame, again: Mapping[int, pl.DataFrame]
) -> pl.DataFrame:
    """Answered days with their outcomes: the loop's score, and what the first model would have said."""
    first = again[1].select("_key").with_columns(pl.Series("first", _scores(workspace, spec.model, 1, again[1])[:, -1]))
    labels = frames.labels(workspace, spec).select("_key", pl.col("_label").cast(pl.Float64).alias("outcome"))
    loop = answered.select(pl.col("key").alias("_key"), "at", "version", pl.col("scores").list.last().alias("score"))
    return loop.join(first, on="_key", how="left").join(labels, on="_key", how="left").sort("at")


def _scores(workspace: Workspace, model: str, number: int, rows: pl.DataFrame) -> np.ndarray:
    manifest = _manifest(workspace, model, number)
    return graph_scores(workspace, manifest, rows, f"{model}@{number}")


def _manifest(workspace: Workspace, model: str, number: int) -> Manifest:
    return loads(Manifest, workspace.artifacts.get(versions.get(workspace.database, model, number).digest))


def log_loss(outcome: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Row by row."""
    right = np.where(outcome == 1, score, 1 - score)
    return -np.log(np.clip(right, 1e-15, 1))


def _gain(days: pl.DataFrame) -> Finding:
    known = days.drop_nulls("outcome")
    outcome = known["outcome"].to_numpy()
    first, loop = (log_loss(outcome, known[name].to_numpy()) for name in ("first", "score"))
    return mean_difference(first, loop, how=Resampling(horizon=AHEAD, seed=1))


def _years(workspace: Workspace, model: str, days: pl.DataFrame, entries: Iterable[Entry]) -> Iterable[Year]:
    with workspace.database.read() as connection:
        started = connection.execute(sa.select(runs.c.created, runs.c.trigger).where(runs.c.model == model)).all()
    retrained = Counter(at.year for at, trigger in started if trigger["kind"] not in ("manual", "refit"))
    alarmed = Counter(at.year for at, _, cause in _alarms(workspace, model) if "drift" in cause)
    promoted = Counter(e.at.year for e in entries if e.action == "champion" and e.data.get("before") is not None)
    refused = Counter(e.at.year for e in entries if e.action == "refused" or _rolled_back(e))
    for (year,), part in days.with_columns(pl.col("at").dt.year().alias("year")).group_by("year", maintain_order=True):
        known = part.drop_nulls("outcome")
        outcome = known["outcome"].to_numpy()
        yield Year(
            year=int(str(year)),
            predictions=part.height,
            turbulent=float(outcome.mean()) if len(outcome) else float("nan"),
            alarms=alarmed[int(str(year))],
            retrainings=retrained[int(str(year))],
            promoted=promoted[int(str(year))],
            refused=refused[int(str(year))],
            loop_loss=float(log_loss(outcome, known["score"].to_numpy()).mean()),
            first_loss=float(log_loss(outcome, known["first"].to_numpy()).mean()),
            gain=_gain(part) if known.height > 10 * AHEAD else Finding("undecided", None, None, None, 0.05),
        )


def _rolled_back(entry: Entry) -> bool:
    return entry.action == "release" and entry.data.get("state") == "rolled_back"


def _alarms(workspace: Workspace, model: str) -> list[tuple[datetime, str, str]]:
    """When, severity, cause."""
    with workspace.database.read() as connection:
        rows = connection.execute(sa.select(alerts).where(alerts.c.model == model).order_by(alerts.c.opened)).all()
    return [(row.opened.astimezone(UTC), row.severity, row.cause) for row in rows]


def _log_events(workspace: Workspace, spec: Spec) -> Iterable[dict[str, Any]]:
    topic, position = predictions_topic(spec), 0
    while events := workspace.log.read(topic, {0: position}):
        position = events[-1].offset + 1
        yield from (orjson.loads(event.value) for event in events)
