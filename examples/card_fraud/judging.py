"""The weeks of the protocol as tables out of the lake, and what five classifiers and the served version make of them."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from examples.card_fraud.book import classifiers
from examples.card_fraud.city import City
from examples.card_fraud.protocol import Protocol
from examples.card_fraud.quality import Quality, quality, without_known
from modelway.features.plan import Plan, plan_of
from modelway.flow import frames
from modelway.flow.scoring import graph_scores
from modelway.records import Manifest, Sources, loads
from modelway.registry import versions
from modelway.workspace import Workspace


@dataclass(frozen=True)
class Weeks:
    """`train` and `test`: `_key`, day, customer, fraud and the plan's columns; `frauds`: customer, known."""

    train: pl.DataFrame
    test: pl.DataFrame
    frauds: pl.DataFrame
    names: tuple[str, ...]
    unlabelled: int
    """Payments of the test days whose label never came."""


def weeks(workspace: Workspace, model: str, city: City, protocol: Protocol) -> Weeks:
    """Training days with the labels known when the test began; test days with those known by now."""
    spec = workspace.spec(model)
    plan = plan_of(spec)
    start, tested = protocol.moment(city, protocol.test_first), protocol.moment(city, protocol.test_end)
    known = _known(workspace, model, start)
    train = _featured(workspace, plan, known, protocol.moment(city, protocol.train_first), start, city)
    later = _known(workspace, model, workspace.clock.now())
    test = _featured(workspace, plan, later, start, tested, city)
    told = later.decisions.filter(
        (pl.col("_target") == "1") & (pl.col("_at") >= protocol.moment(city, protocol.train_first))
    )
    frauds = told.select(_customer(), known=_day("_label_arrived", city))
    taught, judged_on = (rows.filter(pl.col("fraud").is_not_null()) for rows in (train, test))
    return Weeks(taught, judged_on, frauds, tuple(c.name for c in plan.columns), test.height - judged_on.height)


def _known(workspace: Workspace, model: str, as_of: datetime) -> frames.Known:
    spec = workspace.spec(model)
    return frames.known(workspace, spec, Sources(as_of, frames.tables_of(workspace, spec), ""))


def _featured(
    workspace: Workspace, plan: Plan, known: frames.Known, since: datetime, until: datetime, city: City
) -> pl.DataFrame:
    mine = known.decisions.filter((pl.col("_at") >= since) & (pl.col("_at") < until))
    made = workspace.features.compute(mine, known.events, plan)
    fraud = (pl.col("_target").cast(pl.String) == "1").alias("fraud")
    return made.select("_key", _day("_at", city), _customer(), fraud, *(c.name for c in plan.columns)).sort("_key")


def _day(column: str, city: City) -> pl.Expr:
    return (pl.col(column) - pl.lit(city.start)).dt.total_days().alias("day")


def _customer() -> pl.Expr:
    return pl.col("customer_id").str.slice(1).cast(pl.Int64).alias("customer")


def book_classifiers(found: Weeks, cards: int) -> dict[str, Quality]:
    """Each fitted on the training days, columns scaled as in the book, and judged on the test days."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(_matrix(found, found.train))
    x, y = scaler.transform(_matrix(found, found.train)), found.train["fraud"].to_numpy()
    tested = scaler.transform(_matrix(found, found.test))
    made = {}
    for name, make in classifiers().items():
        score = make().fit(x, y).predict_proba(tested)[:, 1]
        made[name] = judged(found, pl.Series("score", score), cards)
    return made


def judged(found: Weeks, score: pl.Series, cards: int) -> Quality:
    """Scores of the test days' rows, without the cards that were known to be compromised."""
    return quality(without_known(found.test.with_columns(score.alias("score")), found.frauds), cards)


def version_quality(workspace: Workspace, model: str, number: int, found: Weeks, cards: int) -> Quality:
    """A version's own graph on the test days' rows."""
    digest = versions.get(workspace.database, model, number).digest
    manifest = loads(Manifest, workspace.artifacts.get(digest))
    scores = graph_scores(workspace, manifest, found.test, f"{model}@{number}")
    return judged(found, pl.Series(scores[:, -1]), cards)


def served_quality(workspace: Workspace, model: str, found: Weeks, cards: int) -> Quality | None:
    """What the server answered on the test days, out of the prediction log; None where it was not asked of every payment."""
    said = frames.predictions(workspace, workspace.spec(model))
    if said.height == 0:
        return None
    own = said.filter(~pl.col("shadow") & (pl.col("status") == "ok"))
    score = own.select(pl.col("key").alias("_key"), pl.col("scores").list.last().alias("score")).unique("_key")
    beside = found.test.select("_key").join(score, on="_key", how="left", maintain_order="left")["score"]
    return None if beside.null_count() else judged(found, beside, cards)


def _matrix(found: Weeks, rows: pl.DataFrame) -> np.ndarray:
    return rows.select(found.names).to_numpy()


def parity(workspace: Workspace, model: str) -> tuple[int, float]:
    """How many answers were computed again from the lake as of their moment, and the largest difference."""
    spec = workspace.spec(model)
    said = frames.predictions(workspace, spec).filter(~pl.col("shadow") & (pl.col("status") == "ok"))
    events = _known(workspace, model, workspace.clock.now()).events
    worst, count = 0.0, 0
    for (number,), mine in said.group_by("version"):
        digest = versions.get(workspace.database, model, int(str(number))).digest
        manifest = loads(Manifest, workspace.artifacts.get(digest))
        plan = Plan.from_plain(manifest.features)
        rows = workspace.features.compute(frames.served_rows(mine, spec), events, plan, plan.same_instant)
        scores = graph_scores(workspace, manifest, rows, f"{model}@{number}")
        again = rows.select("_key").with_columns(pl.Series("again", scores[:, -1]))
        both = mine.select(pl.col("key").alias("_key"), pl.col("scores").list.last().alias("said")).join(
            again, on="_key"
        )
        count += both.height
        worst = max(worst, float((both["said"] - both["again"]).abs().max() or 0.0))  # type: ignore[arg-type]
    return count, worst
