"""Experiments of a real workspace: asked for, answered by their arms, looked at, ended and reported, each with a ledger entry."""

import os
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
import yaml

from modelway.errors import RefusedError, StateError, UsageError
from modelway.flow import experimenting, releasing, routing
from modelway.flow.gathered import forget
from modelway.rollout import experiments, store
from modelway.state import freezes, ledger
from modelway.workspace import Workspace
from tests.unit.rollout.test_flow import (
    NAN,
    SPEC,
    HandClock,
    answer,
    champion,
    first_champion,
    log_answers,
    shares,
    version,
)
from tests.unit.serving.made import make_workspace

pytestmark = pytest.mark.filterwarnings(
    "ignore::polars.exceptions.PolarsInefficientMapWarning"
)  # ingestion's, of lists
DAY = timedelta(days=1)
THREE = {2: 0.25, 3: 0.25}


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def workspace(tmp_path, clock):
    made = make_workspace(tmp_path, clock)
    made.places.project("loans").mkdir()
    write(made, SPEC)
    first_champion(made, made.spec("loans"))
    clock.at += 2 * DAY  # the first release is over
    yield made
    made.close()


def write(workspace: Workspace, given: dict) -> None:
    workspace.places.spec("loans").write_text(yaml.safe_dump(given))


def start(workspace, arms=None, lasts=DAY, requests=None):
    return experimenting.start(workspace, "loans", arms or THREE, lasts, requests, "ann", "which one?")


def look(workspace, clock, hours=1.0):
    clock.at += timedelta(hours=hours)
    releasing.roll_out(workspace, workspace.spec("loans"))
    clock.at += timedelta(seconds=1)
    return experiments.latest(workspace.database, "loans")


def entries(workspace):
    ledger.verify(workspace.database)
    told = ledger.history(workspace.database, "loans")
    return [(e.data["state"], e.reason) for e in told if e.action == "experiment"]


def test_from_the_start_to_the_report(workspace, clock):
    """Rows of 3 are good, those of 0 bad; a bias of 1.5 tells them apart best, 2.5 worse; NaN answers nothing that can be used."""
    version(workspace, bias=2.5)
    version(workspace, bias=NAN)
    asked = start(workspace)
    assert start_is_refused(workspace) == "an experiment of loans is on"
    on = to_run(workspace, clock)
    assert on.ends - DAY < on.moved < on.ends
    assert shares(workspace) == {"1": 0.5, "2": 0.25, "3": 0.25}
    assert workspace.traffic.routes()["loans"].shadow is None
    answer(workspace, 240)
    stopped = look(workspace, clock)
    assert (stopped.state, list(stopped.stopped)) == ("running", ["3"])
    assert "more of its outputs cannot be used" in stopped.stopped["3"]
    assert shares(workspace) == {"1": 0.75, "2": 0.25}
    answer(workspace, 240, name="s")
    forget(workspace, "loans")  # a loop that starts again reads all
    going = look(workspace, clock)
    assert going.state == "running"
    assert sum(one["requests"] for one in going.evidence["arms"].values()) == 480
    assert not going.evidence["split"]["broken"]
    ended = look(workspace, clock, hours=24)
    assert (ended.state, champion(workspace), shares(workspace)) == ("ended", 1, {"1": 1.0})
    assert "report" not in ended.evidence
    done = look(workspace, clock)
    report = done.evidence["report"]
    assert (report["basis"], report["best"], report["unit"]) == ("loss", 1, "requests")
    assert report["conclusion"].startswith("the champion @1 is shown to be better")
    assert [one["requests"] for one in report["arms"]] == [
        going.evidence["arms"][number]["requests"] for number in ("1", "2", "3")
    ]
    assert report["arms"][2]["failed"] == report["arms"][2]["units"] > 30
    assert report["arms"][0]["p50_ms"] > 0
    measured = {d["measure"] for d in report["differences"] if d["value"] is not None}
    assert measured == {"errors", "score", "loss"}
    assert look(workspace, clock) == done
    told = entries(workspace)
    assert [state for state, _ in told] == ["waiting", "starting", "running", "running", "ended", "ended"]
    assert told[0][1] == asked.reason
    assert told[3][1].startswith("@3 is stopped: more of its outputs")
    assert champion(workspace) == 1  # nobody is promoted by itself


def to_run(workspace, clock):
    """Past the start, with some requests that count for nothing."""
    begun = look(workspace, clock)
    assert begun.state == "starting"
    arms = [1, *map(int, begun.shares)]
    told = [{"request": f"start{n}", "version": number, "caller": f"start{n}"} for n, number in enumerate(arms)]
    log_answers(workspace, clock, workspace.spec("loans"), told)
    assert look(workspace, clock, hours=0).state == "starting"
    running = look(workspace, clock, hours=0.01)
    assert running.state == "running"
    return running


def start_is_refused(workspace) -> str:
    with pytest.raises(StateError) as refused:
        start(workspace)
    assert "modelway" in refused.value.fix
    return refused.value.problem


def test_a_release_and_an_experiment_wait_for_each_other(workspace, clock):
    version(workspace, bias=1.4)
    version(workspace, bias=1.3)
    releasing.release(workspace, "loans", 2, "ann", "newer")
    assert start_is_refused(workspace) == "loans@2 is being released"
    routing.rollback(workspace, "loans", "ann", "not yet")
    start(workspace)
    to_run(workspace, clock)
    with pytest.raises(StateError, match="an experiment of loans is on until"):
        releasing.release(workspace, "loans", 2, "ann", "newer")
    version(workspace, bias=1.2, kind="drift")  # automation waits
    look(workspace, clock)
    assert store.open_release(workspace.database, "loans") is None
    over = routing.rollback(workspace, "loans", "bob", "complaints")
    assert (over.state, over.reason, shares(workspace)) == ("stopped", "complaints", {"1": 1.0})
    look(workspace, clock)
    assert store.open_release(workspace.database, "loans").version == 4
    report = experiments.latest(workspace.database, "loans").evidence["report"]
    assert (report["best"], report["conclusion"]) == (None, "stopped before its end: nothing is concluded")


def test_one_that_was_full_is_watched_first(workspace, clock):
    version(workspace, bias=1.4)
    version(workspace, bias=1.3)
    asked = releasing.release(workspace, "loans", 2, "ann", "newer")
    evidence = {"watch": (clock.at + DAY).isoformat()}
    store.move(workspace.database, asked, store.Move("full", 0, 1.0, "passed", "good", evidence), clock.at)
    with pytest.raises(StateError, match="still watched until"):
        start(workspace, {1: 0.2, 3: 0.2})


def test_people_stand_behind_it_and_a_freeze_holds_its_beginning_alone(workspace, clock):
    version(workspace, bias=1.4)
    version(workspace, bias=1.3)
    write(workspace, {**SPEC, "release": {**SPEC["release"], "approval": "two_people"}})
    start(workspace)
    waiting = look(workspace, clock)
    assert (waiting.state, waiting.reason) == (
        "waiting",
        "waits for the approval of one person: modelway approve loans",
    )
    for _ in range(2):
        assert releasing.approve(workspace, "loans", "bob").evidence["approved"] == ["bob"]
    freezes.freeze(workspace.database, "loans", "bob", "year end", clock.now())
    assert "frozen: " in look(workspace, clock).reason
    freezes.thaw(workspace.database, "loans", "bob", "over", clock.now())
    assert look(workspace, clock).state == "starting"
    freezes.freeze(workspace.database, "loans", "bob", "year end", clock.now())
    assert look(workspace, clock, hours=24).state == "ended"
    assert shares(workspace) == {"1": 1.0}


def test_what_cannot_be_asked_for(workspace):
    version(workspace)
    version(workspace, accepted=False)
    for arms in ({2: 0.5, 3: 0.5}, {2: 0.0}, {}):
        with pytest.raises(UsageError, match="leave some"):
            experimenting.start(workspace, "loans", arms, DAY, None, "ann", "x")
    with pytest.raises(UsageError, match="loans@1 is the champion"):
        start(workspace, {1: 0.2})
    with pytest.raises(RefusedError, match="loans@3"):
        start(workspace)
    with pytest.raises(StateError, match="no experiment of loans is on"):
        experimenting.stop(workspace, "loans", "ann", "x")
    with pytest.raises(StateError, match="has had no experiment"):
        experimenting.latest(workspace, "loans")


def test_callers_count_once_and_stay_counted_where_they_were_when_their_arm_is_stopped(workspace, clock):
    """Each of 300 callers asks three times before and after; the callers of the stopped arm are not new ones of the champion."""
    write(workspace, {**SPEC, "release": {**SPEC["release"], "sticky": "id"}})
    version(workspace, bias=1.4)
    version(workspace, bias=1.3)
    start(workspace)
    to_run(workspace, clock)
    with_arm = lambda n: (1, 1, 2, 3)[n % 4]  # noqa: E731

    def ask(name, by):
        rows = [
            {"request": f"{name}{n}-{k}", "version": by(n), "caller": f"c{n}"} for n in range(300) for k in range(3)
        ]
        log_answers(workspace, clock, workspace.spec("loans"), [one | fate(one) for one in rows])

    def fate(one):
        return {"status": "error"} if one["version"] == 3 else {}

    ask("a", with_arm)
    first = look(workspace, clock)
    assert list(first.stopped) == ["3"]
    assert "75 of 75 callers" in first.stopped["3"]
    ask("b", lambda n: 1 if with_arm(n) == 3 else with_arm(n))
    for _ in range(2):
        then = look(workspace, clock, hours=0.1)
        assert {n: one["units"] for n, one in then.evidence["arms"].items()} == {"1": 150, "2": 75, "3": 75}
        assert {n: one["requests"] for n, one in then.evidence["arms"].items()} == {"1": 1_125, "2": 450, "3": 225}
        forget(workspace, "loans")
    look(workspace, clock, hours=24)
    report = look(workspace, clock).evidence["report"]
    assert [(one["units"], one["failed"]) for one in report["arms"]] == [(150, 0), (75, 0), (75, 75)]
    assert (report["unit"], report["best"]) == ("callers", None)


def test_routing_that_is_broken_concludes_nothing(workspace, clock):
    version(workspace, bias=1.4)
    version(workspace, bias=1.3)
    start(workspace, requests=2_000)
    to_run(workspace, clock)
    told = [
        {"request": f"c{n}", "version": 2 if n % 2 else 1, "status": "ok" if n % 2 else "error"} for n in range(600)
    ]
    log_answers(workspace, clock, workspace.spec("loans"), told)
    broken = look(workspace, clock)
    assert (broken.state, broken.stopped) == ("running", {})
    assert broken.reason.startswith("undecided: routing broken")
    look(workspace, clock, hours=24)
    report = look(workspace, clock).evidence["report"]
    assert (report["best"], report["conclusion"]) == (None, "routing broken: nothing is concluded")


KILLED = """
import sys
from datetime import UTC, datetime
from modelway.flow import experimenting, releasing
from modelway.workspace import open_workspace
from pathlib import Path
workspace = open_workspace(Path(sys.argv[1]))
if len(sys.argv) > 2:
    from datetime import timedelta
    experimenting.start(workspace, "loans", {2: 0.25, 3: 0.25}, timedelta(days=1), None, "ann", "which one?")
releasing.roll_out(workspace, workspace.spec("loans"))
"""


@pytest.mark.parametrize(
    "point",
    [
        "experiment.before-ask",
        "experiment.after-ask",
        "experiment.before-turn",
        "experiment.after-turn",
        "traffic.before-rename",
    ],
)
def test_killed_anywhere_and_begun_again_it_starts_once(workspace, point):
    version(workspace, bias=1.4)
    version(workspace, bias=1.3)
    command = [sys.executable, "-c", KILLED, str(workspace.places.root)]
    killed = subprocess.run([*command, "start"], env={**os.environ, "MODELWAY_KILL_AT": point}, check=False)
    assert killed.returncode == -signal.SIGKILL
    there = experiments.on(workspace.database, "loans")
    subprocess.run([*command, *([] if there else ["start"])], check=True)
    assert shares(workspace) == {"1": 0.5, "2": 0.25, "3": 0.25}
    assert [state for state, _ in entries(workspace)] == ["waiting", "starting"]
