"""A release as it goes, at the command line: what is drawn, line by line, and as JSON; and the numbers behind each decision."""

import io
import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from modelway.cli.following import follow, follow_latest, shown
from modelway.cli.interrupt import Interrupted
from modelway.errors import StateError, UsageError
from modelway.records import Release
from modelway.rollout import store
from modelway.rollout.evidence import Arm, Evidence, Move
from modelway.rollout.release import next_move
from modelway.rollout.telling import summary, told_of
from modelway.spec.model import Guard, Rollout
from tests.unit.serving.made import becomes, make_workspace

T0 = datetime(2026, 1, 5, tzinfo=UTC)
SETTINGS = Rollout(promote_on="errors", guard=Guard(latency_p99=0.2, scores=0.05))
EVIDENCE = Evidence(
    challenger=Arm(1_400, 1, 0, (14,)),
    champion=Arm(26_600, 20, 3, (266,)),
    slow_ms=((20.0, 24.0),),
    scores=((0.01, -0.02) * 50,),
    losses=(0.01,) * 40,
    margin=0.1,
)


def looked_at(evidence: Evidence = EVIDENCE, **changes) -> Release:
    """A canary at 5 % after a look."""
    basis = {"basis": "errors", "slow_ms": [[20.0, 24.0]]}
    before = Release(7, "loans", 4, 3, "canary", 0, 0.05, T0, T0, "begun", basis)
    move = next_move(before, evidence, SETTINGS, T0 + timedelta(minutes=10))
    return replace(before, state=move.state, reason=move.reason, evidence=dict(move.evidence), **changes)


def drawn(release: Release) -> str:
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(shown(told_of(release)))
    return console.export_text()


def test_what_is_drawn_has_share_evidence_verdict_and_what_is_missing():
    text = drawn(looked_at())
    assert "loans@4 against @3: canary, 5% asked, 5.00% came" in text
    for words in ("errors", "1 of 1,400", "20 of 26,600", "14 above 24 ms", "266 above 20 ms", "stops at 20"):
        assert words in text, text
    assert "better by 0.01 on 40 pairs" in text
    assert "moved by -0.005 on 100 pairs" in text
    assert "undecided: about" in text
    assert "more requests" in text
    assert "at this rate" in text


def test_a_broken_split_and_a_wait_are_told():
    uneven = replace(EVIDENCE, challenger=Arm(14_000, 10), champion=Arm(14_000, 10))
    assert "ROUTING BROKEN" in drawn(looked_at(uneven))
    waiting = Release(7, "loans", 1, None, "waiting", 0, 0.0, T0, T0, "asked\x1b[2J", {})
    assert drawn(waiting).startswith("loans@1: waiting, 0 of the requests")
    assert "\x1b" not in drawn(waiting)


def test_as_a_record_it_is_whole():
    told = told_of(looked_at())
    assert (told.verdict, told.share, told.seen, told.stops_at) == ("undecided", 0.05, 0.05, pytest.approx(20))
    assert [one.guard for one in told.guards] == ["errors", "invalid", "latency", "scores", "losses"]
    assert 0 < told.e < 20
    assert (len(told.missing), told.over) == (1, False)


def test_the_numbers_of_a_decision_are_one_line():
    stopped = looked_at(replace(EVIDENCE, challenger=Arm(1_400, 200)))
    assert stopped.state == "rolled_back"
    text = summary(stopped.evidence)
    assert text.startswith(
        "challenger: 200 errors of 1,400 requests; champion: 20 errors, 3 unusable of 26,600 requests"
    )
    assert text.endswith("of 20")
    assert summary({"asked_by": "ann"}) == ""


@pytest.fixture
def workspace(tmp_path):
    made = make_workspace(tmp_path)
    yield made
    made.close()


def asked(workspace) -> Release:
    return store.ask(workspace.database, "loans", 4, 3, T0, "ann", "newer", "r1", accepted=True)


def test_it_ends_with_the_release_and_prints_a_line_a_change(workspace, capsys):
    release, found = asked(workspace), list[Release]()
    follower = threading.Thread(target=lambda: found.append(follow(workspace, release.id, json=True)))
    follower.start()
    printed: list[str] = []

    def read() -> int:
        printed.extend(capsys.readouterr().out.splitlines())
        return len(printed)

    becomes(read)
    store.move(workspace.database, release, Move("shadow", 0, 0.0, "passed", "answers in shadow"), T0)
    becomes(lambda: read() == 2)
    store.rollback(workspace.database, "loans", "bob", "no", T0)
    follower.join(15)
    read()
    lines = [json.loads(line) for line in printed]
    assert [one["state"] for one in lines] == ["waiting", "shadow", "rolled_back"]
    assert [one["over"] for one in lines] == [False, False, True]
    assert found[0].state == "rolled_back"


def test_ctrl_c_ends_the_showing_and_not_the_release(workspace, capsys, monkeypatch):
    release = asked(workspace)

    def pressed(seconds: float) -> None:
        raise Interrupted

    monkeypatch.setattr("modelway.cli.following.time.sleep", pressed)
    with pytest.raises(Interrupted):
        follow(workspace, release.id, json=False)
    told = capsys.readouterr()
    assert told.out == "loans@4: waiting 0%; newer\n"
    assert "the release goes on; modelway status loans --follow" in told.err
    assert store.open_release(workspace.database, "loans") == release


def test_one_model_that_had_a_release_can_be_followed(workspace):
    with pytest.raises(UsageError):
        follow_latest(workspace, "*", json=False)
    with pytest.raises(StateError, match="no release"):
        follow_latest(workspace, "loans", json=False)
