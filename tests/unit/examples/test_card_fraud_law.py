"""Our windows against the book's: equal where every label is known after exactly seven days, and where they differ, why.

The book computes a terminal's risk from all payments between the delay and the window before, whatever is known of them. Our
law counts those whose label had arrived at the decision. `by_the_book` is the book's rule written down once more, in pandas.
"""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest
from examples.card_fraud.city import BOOK
from examples.card_fraud.faults import NONE, Faults
from examples.card_fraud.project import PROJECT
from examples.card_fraud.simulate import simulate
from examples.card_fraud.stream import BOOK_DELAYS, LABELS, Delays, payment_row, stream_of, valued

from modelway.features.ibis import IbisEngine
from modelway.features.plan import Plan, plan_of
from modelway.spec.load import load_spec

TOWN = replace(BOOK.scaled(0.02), days=60, radius=12.0)
MADE = simulate(TOWN, 7)
DAYS = (1, 7, 30)
DELAY = 7


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of(load_spec(PROJECT / "modelway.yaml"))


def by_the_book(made: pl.DataFrame) -> pl.DataFrame:
    """The fifteen columns of the book's baseline, by transaction."""
    frame = made.to_pandas().set_index("at")
    columns = {
        "transaction": frame["transaction"],
        "amount": frame["amount"],
        "night": (frame.index.hour <= 6).astype(float),
        "weekend": (frame.index.weekday >= 5).astype(float),
    }
    out = pd.DataFrame(columns).set_index("transaction")
    for who, name in (("customer", "customer"), ("terminal", "terminal")):
        for _, mine in frame.groupby(who):
            keys = mine["transaction"].to_numpy()
            for days in DAYS:
                if name == "customer":
                    window = mine["amount"].rolling(f"{days}D")
                    out.loc[keys, f"customer_count_{days}d"] = window.count().to_numpy()
                    out.loc[keys, f"customer_mean_{days}d"] = window.mean().to_numpy()
                else:
                    fraud = mine["fraud"].astype(float)
                    near, far = fraud.rolling(f"{DELAY}D"), fraud.rolling(f"{DELAY + days}D")
                    count = (far.count() - near.count()).to_numpy()
                    frauds = (far.sum() - near.sum()).to_numpy().round()
                    out.loc[keys, f"terminal_count_{days}d"] = count
                    out.loc[keys, f"terminal_risk_{days}d"] = np.where(count > 0, frauds / np.maximum(count, 1), 0)
    return pl.from_pandas(out.reset_index()).sort("transaction")


def by_our_law(made: pl.DataFrame, faults: Faults, delays: Delays, plan: Plan) -> pl.DataFrame:
    """The same columns out of a stream: every event with its arrival, every label with its own, and when each first came."""
    events = stream_of(made, faults, delays, 2).events.filter(pl.col("becomes").is_in(["row", "correction"]))
    paid, told = events.filter(pl.col("topic") != LABELS), events.filter(pl.col("topic") == LABELS)
    rows = pl.DataFrame([valued(row["what"], payment_row(row)) for row in paid.iter_rows(named=True)])
    known = told.select("transaction", pl.col("fraud").cast(pl.Int8).alias("_target"), _label_arrived="arrives")
    world = (
        rows.with_columns(
            paid["transaction"], paid["at"].alias("_at"), paid["arrives"].alias("_arrived"), _key="transaction_id"
        )
        .sort("_arrived", maintain_order=True)
        .join(known, on="transaction", how="left", maintain_order="left")
        .with_row_index("_offset")
    )
    made_by_us = IbisEngine().compute(world.unique("_key", keep="first"), world, plan)
    return made_by_us.select("transaction", "_arrived", *(c.name for c in plan.columns)).sort("transaction")


def differing(ours: pl.DataFrame, books: pl.DataFrame, name: str) -> pl.Series:
    """The transactions in which a column differs."""
    apart = np.abs(ours[name].to_numpy() - books[name].to_numpy())
    return ours.filter(pl.Series(apart > 1e-9))["transaction"]


@pytest.fixture(scope="module")
def books() -> pl.DataFrame:
    return by_the_book(MADE)


def test_no_two_payments_of_a_card_or_a_terminal_share_an_instant():
    """Else the book, which counts in the order of the rows, would see one of them only."""
    for who in ("customer", "terminal"):
        assert MADE.select(who, "at").is_duplicated().sum() == 0


def test_where_labels_take_exactly_seven_days_our_law_gives_what_the_book_gives(plan, books):
    ours = by_our_law(MADE, NONE, BOOK_DELAYS, plan)
    assert ours["transaction"].equals(books["transaction"])
    assert [c.name for c in plan.columns] == [n for n in ours.columns if n not in ("transaction", "_arrived")]
    assert len(plan.columns) == 15
    for column in plan.columns:
        assert differing(ours, books, column.name).to_list() == [], column.name
    assert (books["terminal_risk_30d"] > 0).sum() > 100


def test_a_label_that_takes_longer_is_missing_from_our_risk_and_leaks_into_the_books(plan, books):
    ours = by_our_law(MADE, NONE, Delays(spread=0.5), plan)
    for days in DAYS:
        assert differing(ours, books, f"terminal_count_{days}d").to_list() == []
    apart = set(differing(ours, books, "terminal_risk_30d").to_list())
    assert len(apart) > 50
    told = stream_of(MADE, NONE, Delays(spread=0.5), 2).events.filter(pl.col("topic") == LABELS)
    known = dict(told.select("transaction", "arrives").iter_rows())
    by_terminal = MADE.partition_by("terminal", as_dict=True)
    for row in MADE.filter(pl.col("transaction").is_in(apart)).iter_rows(named=True):
        window = by_terminal[(row["terminal"],)].filter(
            (pl.col("at") > row["at"] - timedelta(days=37)) & (pl.col("at") <= row["at"] - timedelta(days=7))
        )
        assert any(known[one] > row["at"] for one in window["transaction"])


def test_what_had_not_arrived_is_missing_from_our_counts_and_nothing_else_differs(plan, books):
    ours = by_our_law(MADE, replace(NONE, late=0.05), BOOK_DELAYS, plan)
    arrived = dict(ours.select("transaction", "_arrived").iter_rows())
    by_customer = MADE.partition_by("customer", as_dict=True)
    apart = differing(ours, books, "customer_count_30d")
    assert 0 < apart.len() < ours.height / 2
    for row in MADE.iter_rows(named=True):
        window = by_customer[(row["customer"],)].filter(
            (pl.col("at") > row["at"] - timedelta(days=30)) & (pl.col("at") <= row["at"])
        )
        missing = sum(arrived[one] > arrived[row["transaction"]] for one in window["transaction"])
        place = row["transaction"]
        assert ours["customer_count_30d"][place] == books["customer_count_30d"][place] - missing
    assert differing(ours, books, "terminal_risk_30d").len() == 0  # two days late is not seven
