"""Runs and steps: opened once, each step kept once, nothing written by a process that lost its lease."""

from datetime import UTC, datetime, timedelta

import pytest

from modelway.errors import LeaseLostError, NotFoundError
from modelway.records import Trigger
from modelway.state import leases, ledger, runs

AT = datetime(2024, 1, 1, tzinfo=UTC)
MANUAL = Trigger("manual", "by hand", "ann")


def test_a_run_is_opened_once_and_stands_in_the_ledger(database):
    first = runs.open_run(database, "r1", "loans", MANUAL, AT)
    again = runs.open_run(database, "r1", "loans", Trigger("drift", "other"), AT + timedelta(days=1))
    assert again == first
    assert [(e.action, e.subject, e.who) for e in ledger.history(database)] == [("run", "r1", "ann")]


def test_a_step_that_stands_is_never_replaced(database):
    runs.open_run(database, "r1", "loans", MANUAL, AT)
    assert runs.step(database, "r1", "train") is None
    assert runs.keep_step(database, "r1", "train", '{"a":1}', 0.5, None) == '{"a":1}'
    assert runs.keep_step(database, "r1", "train", '{"a":2}', 0.5, None) == '{"a":1}'
    assert runs.step(database, "r1", "train") == '{"a":1}'


def test_open_runs_are_listed_oldest_first_until_they_are_finished(database):
    for n in (2, 1, 3):
        runs.open_run(database, f"r{n}", "loans", MANUAL, AT + timedelta(hours=n))
    runs.open_run(database, "other", "cards", MANUAL, AT)
    assert [r.id for r in runs.pending(database, "loans")] == ["r1", "r2", "r3"]
    assert runs.start(database, "r1", None).attempts == 1
    assert runs.start(database, "r1", None).attempts == 2
    runs.finish(database, "r1", AT)
    runs.finish(database, "r2", AT, error="no rows", kind="DataError")
    assert [r.id for r in runs.pending(database, "loans")] == ["r3"]
    assert [(r.id, r.state, r.error) for r in runs.recent(database, "loans", 2)] == [
        ("r3", "pending", ""),
        ("r2", "failed", "no rows"),
    ]
    told = ledger.history(database, "loans")
    assert [e.action for e in told] == ["run", "run", "run", "run_failed"]
    assert told[-1].reason == "DataError: the text is kept with the run"


def test_a_finished_run_stays_finished(database):
    runs.open_run(database, "r1", "loans", MANUAL, AT)
    runs.start(database, "r1", None)
    runs.finish(database, "r1", AT)
    assert runs.start(database, "r1", None).state == "done"
    runs.finish(database, "r1", AT, error="late")
    assert (runs.get(database, "r1").state, runs.get(database, "r1").error) == ("done", "")


def test_who_lost_the_lease_writes_nothing(database):
    lost = leases.take(database, "run/r1", "a", AT, timedelta(seconds=1))
    runs.open_run(database, "r1", "loans", MANUAL, AT, lost)
    mine = leases.take(database, "run/r1", "b", AT + timedelta(seconds=2), timedelta(seconds=1))
    assert mine.fence == lost.fence + 1
    for write in (
        lambda: runs.start(database, "r1", lost),
        lambda: runs.keep_step(database, "r1", "train", "{}", 1.0, lost),
        lambda: runs.finish(database, "r1", AT, lease=lost),
        lambda: runs.open_run(database, "r2", "loans", MANUAL, AT, lost),
    ):
        with pytest.raises(LeaseLostError):
            write()
    assert runs.get(database, "r1").attempts == 0
    assert runs.keep_step(database, "r1", "train", "{}", 1.0, mine) == "{}"


def test_an_unknown_run_is_not_found(database):
    with pytest.raises(NotFoundError, match="nope"):
        runs.get(database, "nope")
    with pytest.raises(NotFoundError, match="nope"):
        runs.start(database, "nope", None)
