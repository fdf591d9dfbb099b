"""The stream says what each event must come to, and ingestion comes to just that."""

from collections import Counter
from dataclasses import fields, replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest
from examples.card_fraud.city import BOOK
from examples.card_fraud.faults import BROKEN, LIMIT, NONE, Faults
from examples.card_fraud.project import MODEL, founded
from examples.card_fraud.reckoning import reckon
from examples.card_fraud.simulate import simulate
from examples.card_fraud.stream import (
    BOOK_DELAYS,
    DRAWN_DELAYS,
    LABELS,
    PAYMENTS,
    event_of,
    payment_row,
    play,
    stream_of,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelway import lifecycle
from modelway.testing.clock import ManualClock
from modelway.workspace import open_workspace

TOWN = replace(BOOK.scaled(0.02), days=45)
MADE = simulate(TOWN, 3)
MUCH = Faults(0.1, 0.1, 0.05, 0.05, 0.03, 0.03, 0.03, 0.05, labels_doubled=0.05)
END = TOWN.start + timedelta(days=200)
SHARES = st.floats(0, 0.12)


@pytest.fixture
def workspace(tmp_path: Path):
    founded(tmp_path / "bank")
    opened = open_workspace(tmp_path / "bank", clock=ManualClock(TOWN.start))
    yield opened
    opened.close()


def ingested(workspace, stream, until=END):
    """By topic, what the passes counted."""
    play(stream, until, workspace.log, workspace.clock.set)
    return {one.topic: one for one in lifecycle.ingest(workspace, workspace.spec(MODEL))}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    def sent(seed):
        return [(at, topic, events) for at, topic, events in stream_of(MADE, MUCH, DRAWN_DELAYS, seed).until(END)]

    assert sent(1) == sent(1)
    assert sent(1) != sent(2)


def test_without_faults_every_payment_arrives_as_it_happens_and_every_label_seven_days_later():
    stream = stream_of(MADE, NONE, BOOK_DELAYS)
    events = stream.events
    assert events.height == 2 * MADE.height
    delay = (events["arrives"] - events["at"]).dt.total_seconds()
    assert set(delay.filter(events["topic"] == PAYMENTS)) == {0}
    assert set(delay.filter(events["topic"] == LABELS)) == {7 * 86_400}
    assert events["arrives"].is_sorted()


def test_events_come_in_order_each_once_however_often_they_are_asked_for():
    stream = stream_of(MADE, MUCH, BOOK_DELAYS)
    first = list(stream.until(TOWN.start + timedelta(days=10)))
    assert list(stream.until(TOWN.start + timedelta(days=10))) == []
    every = [*first, *stream.until(END)]
    assert sum(len(events) for _, _, events in every) == stream.events.height == stream.sent().height
    assert all(a <= b for (a, _, _), (b, _, _) in pairwise(every))
    assert first[-1][0] <= TOWN.start + timedelta(days=10)


def test_each_fault_befalls_its_share_and_shows_in_the_bytes():
    events = stream_of(MADE, MUCH, BOOK_DELAYS).events.filter(pl.col("topic") == PAYMENTS)
    counts = Counter(events["what"].to_list())
    for name, share in MUCH.shares().items():
        spread = np.sqrt(share * (1 - share) / MADE.height)
        assert counts[name] / MADE.height == pytest.approx(share, abs=5 * spread), name
    rows = {what: event_of(events.filter(pl.col("what") == what).row(0, named=True)) for what in counts}
    whole = {what: payment_row(events.filter(pl.col("what") == what).row(0, named=True)) for what in counts}
    assert orjson.loads(rows["wrong type"].value)["amount"] == f"{whole['wrong type']['amount']:.2f} EUR"
    assert orjson.loads(rows["in cents"].value)["amount"] == round(100 * whole["in cents"]["amount"])
    assert "transaction_id" not in orjson.loads(rows["without key"].value)
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(rows["cut short"].value)
    assert orjson.loads(rows["correction"].value)["amount"] > whole["correction"]["amount"]
    again = events.filter(pl.col("what") == "again").row(0, named=True)
    once = events.filter((pl.col("what") == "doubled") & (pl.col("transaction") == again["transaction"]))
    assert event_of(again) == event_of(once.row(0, named=True))


def test_drawn_delays_lie_within_a_day_and_sixty_and_some_labels_never_come():
    events = stream_of(MADE, NONE, DRAWN_DELAYS).events.filter(pl.col("topic") == LABELS)
    days = (events["arrives"] - events["at"]).dt.total_seconds() / 86_400
    assert days.min() >= 1
    assert days.max() <= 60
    assert days.median() == pytest.approx(7, rel=0.1)
    assert events.height / MADE.height == pytest.approx(0.98, abs=0.01)


def test_a_stream_with_every_fault_is_reconciled_to_the_last_event(workspace):
    stream = stream_of(MADE, MUCH, DRAWN_DELAYS, 5)
    done = ingested(workspace, stream)
    found = reckon(workspace.lake, stream.sent())
    assert found.holds, found
    assert set(found.quarantined) == set(BROKEN)
    assert (done[PAYMENTS].doubles, done[PAYMENTS].corrections) == (found.kinds["double"], found.corrections)
    assert done[PAYMENTS].quarantined == found.kinds["quarantine"]
    assert done[LABELS].doubles == found.labels_sent - found.labels > 0
    assert "NOT" not in " ".join(found.lines())


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(shares=st.tuples(*[SHARES] * 8), mended=st.floats(0, 1), days=st.integers(1, 60), seed=st.integers(0, 9))
def test_whatever_goes_wrong_and_whenever_one_looks_it_reconciles(tmp_path_factory, shares, mended, days, seed):
    root = tmp_path_factory.mktemp("any")
    founded(root)
    workspace = open_workspace(root, clock=ManualClock(TOWN.start))
    few = MADE.filter(pl.col("customer") < 12)
    stream = stream_of(few, Faults(*shares, mended=mended), BOOK_DELAYS, seed)
    for part in (days / 3, days):
        ingested(workspace, stream, TOWN.start + timedelta(days=part))
        found = reckon(workspace.lake, stream.sent())
        assert found.holds, found
    workspace.close()


def test_what_is_lost_doubled_or_changed_is_noticed(workspace):
    stream = stream_of(MADE.head(400), NONE, BOOK_DELAYS)
    ingested(workspace, stream)
    sent = stream.sent()
    assert reckon(workspace.lake, sent).holds
    lost = reckon(workspace.lake, pl.concat([sent, sent.head(1).with_columns(amount=pl.lit(1.0))]))
    assert not lost.holds
    assert lost.missing["amount"].to_list() == [1.0]
    assert not reckon(workspace.lake, sent.filter(pl.col("transaction") != 3)).holds
    assert not reckon(workspace.lake, sent.with_columns(fraud=~pl.col("fraud"))).holds
    broken = sent.head(1).with_columns(what=pl.lit("cut short"), becomes=pl.lit("quarantine"))
    assert not reckon(workspace.lake, pl.concat([sent, broken])).holds


def test_the_limit_that_betrays_cents_is_the_contracts(workspace):
    assert workspace.spec(MODEL).contract["amount"].max == LIMIT
    assert {field.name for field in fields(Faults)} >= {what.replace(" ", "_") for what in BROKEN}
