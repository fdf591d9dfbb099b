"""Both arms of a release as counts: by request, by caller, and on the same requests."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import yaml

from modelway.clock import WallClock
from modelway.events.log import NewEvent
from modelway.evidence.multiply import reached
from modelway.flow.arms import SETTLING, TIMED_A_SECOND, arms
from modelway.flow.feeding import ingest
from modelway.flow.release_rows import SCHEMA, answered, caller_of, looked_at, requests_per_day
from modelway.records import Release
from modelway.rollout.evidence import Arm, Evidence, Tried
from modelway.rollout.guards import guarded
from modelway.spec.model import Rollout
from tests.unit.serving.made import LOANS, make_workspace

T0 = datetime(2026, 1, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def release(state="canary", moved=T0, **evidence) -> Release:
    return Release(1, "loans", 2, 1, state, 0, 0.25 if state == "canary" else 0.0, T0, moved, "asked", evidence)


def rows(*given) -> pl.DataFrame:
    common = {
        "index": 0,
        "key": "k",
        "at": T0,
        "shadow": False,
        "status": "ok",
        "scores": [0.5],
        "ms": 1.0,
        "pinned": False,
    }
    made = [{"request": f"r{n}", "caller": None, **common, "served": T0 + MINUTE, **one} for n, one in enumerate(given)]
    return pl.DataFrame(made, SCHEMA)


def test_a_request_with_a_failed_row_is_one_error_and_with_an_unusable_one_invalid():
    given = rows(
        {"version": 2, "request": "a"},
        {"version": 2, "request": "a", "index": 1, "status": "error"},
        {"version": 2, "request": "a", "index": 2, "status": "invalid"},
        {"version": 2, "request": "b", "status": "invalid"},
        {"version": 2, "request": "c", "ms": 30.0},
        {"version": 1, "request": "d", "ms": 21.0},
    )
    ours, theirs = arms(given, release(), ((20.0, 24.0),), sticky=False)
    assert ours == Arm(3, 1, 1, (1,))
    assert theirs == Arm(1, 0, 0, (1,))
    assert ours.rate == Tried(3, 2)


def test_a_row_that_only_one_of_both_refuses_is_its_invalid_output():
    given = rows(
        {"version": 2, "request": "a", "status": "refused"},
        {"version": 1, "request": "a", "shadow": True},
        {"version": 2, "request": "b", "status": "refused"},
        {"version": 1, "request": "b", "shadow": True, "status": "refused"},
    )
    assert arms(given, release(), (), sticky=False)[0] == Arm(2, 0, 1)


def test_what_was_answered_before_servers_knew_of_the_share_and_what_was_pinned_does_not_count():
    given = rows(
        {"version": 2, "served": T0 + SETTLING / 2},
        {"version": 2, "pinned": True},
        {"version": 2},
        {"version": 7},
    )
    assert arms(given, release(), (), sticky=False) == (Arm(1), Arm(0))


def test_of_a_busy_second_the_latency_of_a_few_requests_counts_whoever_answered():
    """A stall of one version makes all its requests slow at once: it is one event, not five hundred."""
    busy = rows(*({"version": 2 if n % 4 == 0 else 1, "ms": 50.0} for n in range(2_000)))
    quiet = busy.head(8)
    ours, theirs = arms(busy, release(), ((20.0, 20.0),), sticky=False)
    assert (ours.requests, theirs.requests) == (500, 1_500)
    assert ours.slow[0] + theirs.slow[0] == TIMED_A_SECOND
    ours, theirs = arms(quiet, release(), ((20.0, 20.0),), sticky=False)
    assert (ours.slow, theirs.slow) == ((2,), (6,))
    spread = busy.with_columns(pl.col("served") + pl.duration(seconds=pl.int_range(pl.len()) // 100))
    ours, theirs = arms(spread, release(), ((20.0, 20.0),), sticky=False)
    assert ours.slow[0] + theirs.slow[0] == 20 * TIMED_A_SECOND
    assert 25 <= ours.slow[0] <= 75  # a quarter, as of the requests


def test_of_a_busy_model_a_share_is_looked_at():
    assert looked_at(86_400 * 50, Rollout()) == 1.0
    assert looked_at(86_400 * 1000, Rollout()) == pytest.approx(0.1)
    two_weeks = Rollout(canary=(0.5, 1.0), at_least=timedelta(days=14))
    assert looked_at(86_400 * 50, two_weeks) == pytest.approx(2e6 / (86_400 * 50 * 14))
    assert looked_at(0.0, two_weeks) == 1.0


def test_a_step_counts_only_its_own_requests():
    """What came at 5 % would look like a broken split at 25 %."""
    second = T0 + timedelta(hours=1)
    given = rows(
        *({"version": 2 if n % 20 == 0 else 1} for n in range(100)),
        {"version": 1, "served": second + MINUTE},
        {"version": 2, "served": second + MINUTE},
    )
    assert arms(given, release(moved=second, since=T0.isoformat()), (), sticky=False) == (Arm(1), Arm(1))


def test_in_shadow_requests_that_both_answered_count():
    given = rows(
        {"version": 1, "request": "a"},
        {"version": 2, "request": "a", "shadow": True, "status": "error"},
        {"version": 1, "request": "b"},
    )
    assert arms(given, release("shadow"), (), sticky=False) == (Arm(1, 1), Arm(1))


def test_in_shadow_a_caller_fails_once():
    both = [
        {
            "version": number,
            "request": f"q{n}",
            "caller": "ann",
            "shadow": number == 2,
            "status": "error" if number == 2 else "ok",
        }
        for n in range(5)
        for number in (1, 2)
    ]
    assert arms(rows(*both), release("shadow"), (), sticky=True) == (Arm(5, 1), Arm(5))


def test_a_caller_counts_once_in_the_release_in_the_step_of_its_first():
    second = T0 + timedelta(hours=1)
    early, late = T0 + MINUTE, second + MINUTE
    given = rows(
        {"version": 2, "caller": "ann", "served": early, "status": "error", "ms": 50.0},
        {"version": 2, "caller": "ann", "served": late, "status": "error", "ms": 50.0},
        {"version": 1, "caller": "bob", "served": early},
        {"version": 2, "caller": "bob", "served": late, "status": "error"},
        {"version": 2, "caller": "bob", "served": late + MINUTE, "status": "error"},
        {"version": 2, "caller": "cid", "served": late, "ms": 50.0},
        {"version": 2, "caller": None, "served": late},
        {"version": 1, "caller": "dan", "served": late, "ms": 50.0},
    )
    standing = release(moved=second, since=T0.isoformat())
    ours, theirs = arms(given, standing, ((20.0, 24.0),), sticky=True)
    # ann and bob were seen before; bob's first error is in this step; one request names nobody and is its own caller
    assert ours == Arm(2, 1, 0, (1,), Tried(4, 2))
    assert theirs == Arm(1, 0, 0, (1,), Tried(1, 0))


@pytest.mark.parametrize("column", ["customer", "a b", "o'x", "a.b", "ü"])
def test_the_caller_is_read_out_of_the_row_as_it_was_sent(column):
    sent = pl.DataFrame(
        {"row": [json.dumps({column: "x1"}), json.dumps({column: 5}), json.dumps({column: ""}), "{}", None]}
    )
    assert sent.select(caller_of(column)).to_series().to_list() == ["x1", "5", None, None, None]


def test_customers_whose_every_request_fails_do_not_stop_a_harmless_canary_when_callers_count():
    """Each failing customer makes thirty errors. Singly counted they break the test; by caller they do not (METHODS M1)."""
    rng, stopped = np.random.default_rng(0), {True: 0, False: 0}
    standing = replace(release(), weight=0.1)
    for _ in range(100):
        of = np.where(rng.random(20) < 0.1, 2, 1)
        order = rng.permutation(np.repeat(np.arange(20), 30))
        at = [T0 + MINUTE + timedelta(seconds=n) for n in range(len(order))]
        failed = [
            {"version": of[c], "caller": f"c{c}", "status": "error", "served": when}
            for c, when in zip(order.tolist(), at, strict=True)
        ]
        given = rows(*failed)
        for sticky in stopped:
            ours, theirs = arms(given, standing, (), sticky)
            ours, theirs = replace(ours, requests=10_000), replace(theirs, requests=90_000)  # most do not fail
            found = guarded(standing, Evidence(ours, theirs), Rollout())
            stopped[sticky] += reached(found.log_e["errors"], 0.05)
    assert stopped[True] <= 5
    assert stopped[False] >= 8


def test_the_share_that_is_looked_at_is_the_same_for_both_answers_and_at_each_look(tmp_path):
    workspace = make_workspace(tmp_path, WallClock())
    workspace.places.project("loans").mkdir()
    workspace.places.spec("loans").write_text(yaml.safe_dump(LOANS))
    spec = workspace.spec("loans")
    assert answered(workspace, spec, T0).height == 0
    told = [
        {"request": f"q{n}", "index": 0, "key": f"k{n}", "version": version, "shadow": version == 2, "digest": "d"}
        | {
            "served": (T0 + timedelta(seconds=n // 100)).isoformat(),
            "status": "ok",
            "scores": [0.5, 0.5],
            "ms": 1.0,
        }
        for n in range(2_000)
        for version in (1, 2)
    ]
    workspace.log.append("loans_predictions", [NewEvent(one["request"], json.dumps(one).encode()) for one in told])
    ingest(workspace, spec)
    whole, tenth = answered(workspace, spec, T0), answered(workspace, spec, T0, 0.1)
    assert whole.height == 4_000
    assert requests_per_day(workspace, spec, T0 + timedelta(days=2)) == pytest.approx(1_000, rel=0.01)
    assert 300 <= tenth.height <= 500
    assert set(tenth.group_by("request").len()["len"].to_list()) == {2}
    assert tenth["served"].n_unique() == 20  # of each batch of a hundred some, never a whole one
    assert tenth.equals(answered(workspace, spec, T0, 0.1))
    workspace.close()
