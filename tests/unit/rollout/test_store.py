"""Releases in the control database: asked once, moved once, rolled back, always with a ledger entry."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from modelway.errors import LeaseLostError, RefusedError, StateError
from modelway.rollout import store
from modelway.rollout.evidence import Move
from modelway.rollout.routes import route_for
from modelway.state import champions, leases, ledger
from modelway.state.database import Database

T0 = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def database(tmp_path):
    opened = Database(f"sqlite:///{tmp_path / 'control.db'}")
    opened.migrate()
    yield opened
    opened.close()


def ask(database, version=2, champion=1, who="modelway", request=None, accepted=True):
    return store.ask(
        database, "loans", version, champion, T0, who, "newest", request or f"r{version}", accepted=accepted
    )


def full(database, version, champion=None):
    opened = ask(database, version, champion)
    return store.move(database, opened, Move("full", 0, 1.0, "passed", "good"), T0)


def champion(database):
    with database.read() as connection:
        return champions.champion(connection, "loans")


def actions(database):
    return [(e.action, e.data.get("state")) for e in ledger.history(database, "loans")]


def test_asked_twice_is_one_release(database):
    assert ask(database) == ask(database)
    assert actions(database) == [("release", "waiting")]
    assert store.open_release(database, "loans") == store.latest(database, "loans")


def test_a_refused_version_cannot_be_asked_for(database):
    with pytest.raises(RefusedError, match="loans@2"):
        ask(database, accepted=False)
    assert store.latest(database, "loans") is None


def test_a_newer_one_supersedes_the_open_one(database):
    first = ask(database)
    second = ask(database, 3)
    assert store.open_release(database, "loans").id == second.id
    assert [r.state for r in store.history_of(database, "loans")] == ["waiting", "superseded"]
    assert "loans@3" in store.history_of(database, "loans")[1].reason
    again = store.move(database, first, Move("canary", 0, 0.05, "passed", "late"), T0)
    assert (again.state, again.weight) == ("superseded", 0.0)


def test_the_latest_release_is_the_one_that_changed_last(database):
    for version in (1, 2, 3):
        full(database, version, version - 1 or None)
    for hours, undone in ((1, 3), (2, 2)):
        store.rollback(database, "loans", "ann", "complaints", T0 + hours * HOUR)
        assert (store.latest(database, "loans").version, champion(database)) == (undone, undone - 1)


def test_full_makes_the_champion_in_the_same_transaction(database):
    done = full(database, 1)
    assert (done.state, champion(database)) == ("full", 1)
    assert actions(database) == [("release", "waiting"), ("release", "full"), ("champion", None)]
    assert ledger.verify(database) == 3


def test_moving_twice_is_moving_once(database):
    opened = ask(database)
    step = Move("shadow", 0, 0.0, "passed", "in shadow", {"basis": "losses"})
    moved = store.move(database, opened, step, T0 + HOUR)
    assert store.move(database, opened, step, T0 + 2 * HOUR) == moved
    assert moved.moved == T0 + HOUR
    assert len(actions(database)) == 2


def test_what_is_missing_is_kept_and_is_no_decision(database):
    opened = ask(database, who="ann")
    told = store.move(database, opened, Move("waiting", 0, 0.0, "undecided", "waits for bob", {"pairs": 3}), T0 + HOUR)
    assert (told.reason, told.moved, told.evidence) == ("waits for bob", T0, {"asked_by": "ann", "pairs": 3})
    assert len(actions(database)) == 1


def test_a_lost_lease_moves_nothing(database):
    opened = ask(database)
    lease = leases.take(database, "model/loans", "a", T0, HOUR)
    leases.take(database, "model/loans", "b", T0 + 2 * HOUR, HOUR)
    with pytest.raises(LeaseLostError):
        store.move(database, opened, Move("shadow", 0, 0.0, "passed", "x"), T0, lease)
    assert store.open_release(database, "loans") == opened


@pytest.mark.parametrize("state", ["waiting", "shadow", "canary"])
def test_a_rollback_ends_the_open_release_from_every_state(database, state):
    full(database, 1)
    opened = ask(database)
    if state != "waiting":
        store.move(database, opened, Move(state, 0, 0.05 if state == "canary" else 0.0, "passed", "on"), T0)
    done = store.rollback(database, "loans", "ann", "complaints", T0 + HOUR)
    assert (done.state, done.weight, done.reason) == ("rolled_back", 0.0, "complaints")
    assert champion(database) == 1


def test_with_none_open_the_former_champion_comes_back(database):
    full(database, 1)
    full(database, 2, champion=1)
    full(database, 3, champion=2)
    assert store.rollback(database, "loans", "ann", "complaints", T0).version == 3
    assert champion(database) == 2
    assert store.rollback(database, "loans", "ann", "more", T0).version == 2
    assert champion(database) == 1
    with pytest.raises(StateError, match="no earlier champion"):
        store.rollback(database, "loans", "ann", "again", T0)
    assert ledger.verify(database) == len(ledger.history(database))


def test_approvals_are_by_person_and_survive_a_move(database):
    ask(database, who="ann")
    store.approve(database, "loans", "ann", T0)
    release = store.approve(database, "loans", "bob", T0)
    assert store.approve(database, "loans", "bob", T0 + HOUR) == release
    assert store.approvers(release) == ("ann", "bob")
    moved = store.move(database, release, Move("shadow", 0, 0.0, "passed", "in shadow"), T0)
    assert store.approvers(moved) == ("ann", "bob")
    assert [a for a, _ in actions(database)] == ["release", "approve", "release"]


def test_automation_does_not_approve_and_nothing_open_is_said(database):
    assert store.approvers(ask(database)) == ()
    store.rollback(database, "loans", "ann", "no", T0)
    with pytest.raises(StateError, match="no release of loans is open"):
        store.approve(database, "loans", "bob", T0)


def test_routes_follow_the_release(database):
    digests = {1: "a" * 64, 2: "b" * 64}
    assert route_for("loans", None, None, digests) is None
    full(database, 1)
    opened = ask(database)
    assert route_for("loans", opened, 1, digests).shares == {"1": 1.0}
    shadow = store.move(database, opened, Move("shadow", 0, 0.0, "passed", "on"), T0)
    route = route_for("loans", shadow, 1, digests)
    assert (route.shares, route.shadow, set(route.manifests)) == ({"1": 1.0}, 2, {"1", "2"})
    assert route.names == {"champion": 1, "challenger": 2}
    canary = store.move(database, shadow, Move("canary", 0, 0.25, "passed", "on"), T0)
    route = route_for("loans", canary, 1, digests)
    assert (route.shares, route.shadow) == ({"1": 0.75, "2": 0.25}, 2)
    assert route.names == {"champion": 1, "challenger": 2}
    done = store.move(database, canary, Move("full", 3, 1.0, "passed", "on"), T0)
    assert route_for("loans", done, 2, digests).shares == {"2": 1.0}
    back = store.rollback(database, "loans", "ann", "no", T0)
    assert route_for("loans", back, 1, digests).shares == {"1": 1.0}
    assert route_for("loans", back, 1, digests).names == {"champion": 1}


WATCH = {"watch": (T0 + HOUR).isoformat()}


def test_a_full_release_is_looked_at_while_it_is_watched(database):
    digests = {1: "a" * 64, 2: "b" * 64}
    full(database, 1)
    assert store.judged_release(database, "loans") is None
    done = store.move(database, ask(database), Move("full", 0, 1.0, "passed", "good", WATCH), T0)
    assert store.judged_release(database, "loans") == done
    assert store.open_release(database, "loans") is None
    route = route_for("loans", done, 2, digests)
    assert (route.shares, route.shadow, set(route.manifests)) == ({"2": 1.0}, 1, {"1", "2"})
    assert route.names == {"champion": 2, "former": 1}
    over = store.move(database, done, Move("full", 0, 1.0, "passed", "watched to the end"), T0 + HOUR)
    assert (over.reason, "watch" in over.evidence) == ("watched to the end", False)
    assert store.judged_release(database, "loans") is None
    assert route_for("loans", over, 2, digests).shadow is None
    assert champion(database) == 2


def test_a_guard_that_fires_in_the_watch_brings_the_former_champion_back(database):
    full(database, 1)
    done = store.move(database, ask(database), Move("full", 0, 1.0, "passed", "good", WATCH), T0)
    back = store.move(database, done, Move("rolled_back", 0, 0.0, "failed", "it fails more"), T0 + HOUR)
    assert (back.state, champion(database)) == ("rolled_back", 1)
    assert actions(database)[-2:] == [("release", "rolled_back"), ("champion", None)]
    assert store.judged_release(database, "loans") is None
    assert ledger.verify(database) == len(ledger.history(database))


def test_an_open_release_comes_before_the_watched_one(database):
    full(database, 1)
    store.move(database, ask(database), Move("full", 0, 1.0, "passed", "good", WATCH), T0)
    newer = ask(database, 3, 2)
    assert store.judged_release(database, "loans") == newer


KILLED = """
import sys
from datetime import UTC, datetime
from modelway.rollout import store
from modelway.rollout.evidence import Move
from modelway.state.database import Database
now, database = datetime(2026, 1, 5, tzinfo=UTC), Database(sys.argv[1])
asked = store.ask(database, "loans", 2, 1, now, "modelway", "newest", "r2", accepted=True)
if asked.state == "waiting":
    asked = store.move(database, asked, Move("full", 0, 1.0, "passed", "good"), now)
if asked.state == "full":
    store.rollback(database, "loans", "ann", "complaints", now)
"""


@pytest.mark.parametrize(
    "point",
    [
        "release.before-ask",
        "ledger.after-write",
        "release.after-ask",
        "release.before-move",
        "champion.before-write",
        "ledger.before-write:4",
        "release.after-move",
        "release.before-rollback",
        "ledger.after-write:4",
        "release.after-rollback",
    ],
)
def test_killed_anywhere_and_begun_again_it_ends_the_same(database, point):
    full(database, 1)
    command = [sys.executable, "-c", KILLED, str(database.engine.url)]
    killed = subprocess.run(command, env={**os.environ, "MODELWAY_KILL_AT": point}, check=False)
    assert killed.returncode == -signal.SIGKILL
    if store.latest(database, "loans").state != "rolled_back":
        subprocess.run(command, check=True)
    assert champion(database) == 1
    release = [("release", "waiting"), ("release", "full"), ("champion", None)]
    assert actions(database) == [*release, *release, ("release", "rolled_back"), ("champion", None)]
    assert ledger.verify(database) == 8
