"""Releases of a real workspace: answered rows in the log, ingested, judged, and the routes that follow."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import yaml

from modelway.clock import Clock
from modelway.errors import RefusedError, StateError
from modelway.events.log import NewEvent
from modelway.flow import releasing, routing
from modelway.flow.feeding import ingest
from modelway.flow.serving import server_of
from modelway.records import OperatingPoint, Trigger, Validation, Verdict
from modelway.registry import versions
from modelway.rollout import store
from modelway.state import champions, freezes, ledger, runs
from modelway.training.tracking import Tracking
from tests.support.serving import serving
from tests.unit.serving.made import LOANS, make_workspace, put_version, request

pytestmark = pytest.mark.filterwarnings(
    "ignore::polars.exceptions.PolarsInefficientMapWarning"
)  # ingestion's, of lists
T0 = datetime(2026, 1, 5, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SPEC = {
    **LOANS,
    "release": {"shadow": 10, "canary": [0.5, 1.0], "promote_on": "losses", "guard": {"loss_margin": 0.2}},
}
NAN = float("nan")


class HandClock(Clock):
    def __init__(self) -> None:
        self.at = T0

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def workspace(tmp_path, clock):
    made = make_workspace(tmp_path, clock)
    made.places.project("loans").mkdir()
    made.places.spec("loans").write_text(yaml.safe_dump(SPEC))
    yield made
    made.close()


@pytest.fixture
def spec(workspace):
    return workspace.spec("loans")


def version(workspace, bias=0.0, *, kind="manual", run=None, accepted=True):
    """A registered version; it calls a row good when its income is above the bias."""
    run = run or f"loans-{len(versions.all_versions(workspace.database, 'loans')) + 1:04d}"
    now = workspace.clock.now()
    runs.open_run(workspace.database, run, "loans", Trigger(kind, "because"), now)
    verdicts = () if accepted else (Verdict("baseline", "fail", "worse"),)
    digest = put_version(workspace, SPEC, bias)
    made = versions.register(workspace.database, "loans", run, digest, Validation((), verdicts, OperatingPoint()), now)
    runs.finish(workspace.database, run, now)
    return made


def answer(workspace, count, *, name="q", income=lambda n: 3.0 if n % 2 else -0.0):
    """Requests of one row through a server in this process, then into the lake with their labels."""

    server = server_of(workspace)
    server.models.look()
    server.shadow.start()
    with serving(server) as url, httpx.Client(base_url=url) as client:
        for n in range(count):
            row = {"id": f"{name}{n}", "income": income(n)}
            reply = client.post("/v2/models/loans/infer", json=request([row], id=f"{name}-{n}"))
            assert reply.status_code == 200
    server.shadow.drain(30)
    known = [{"key": f"{name}{n}", "label": "good" if n % 2 else "bad"} for n in range(count)]
    workspace.log.append("loans_labels", [NewEvent(one["key"], json.dumps(one).encode()) for one in known])
    ingest(workspace, workspace.spec("loans"))


def champion(workspace):
    with workspace.database.read() as connection:
        return champions.champion(connection, "loans")


def shares(workspace):
    return workspace.traffic.routes()["loans"].shares


def first_champion(workspace, spec):
    version(workspace, bias=1.5)
    releasing.release(workspace, "loans", None, "ann", "first")
    releasing.roll_out(workspace, spec)


def look(workspace, clock, spec, hours=1):
    clock.at += timedelta(hours=hours)
    releasing.roll_out(workspace, spec)
    clock.at += timedelta(
        seconds=1
    )  # servers have learned of the new shares; what is answered from here on is answered after the move
    return store.latest(workspace.database, "loans")


def test_a_first_version_is_full_at_once_and_lost_routes_come_back(workspace, spec):
    first_champion(workspace, spec)
    assert (champion(workspace), shares(workspace)) == (1, {"1": 1.0})
    workspace.places.routes.unlink()
    releasing.roll_out(workspace, spec)
    assert shares(workspace) == {"1": 1.0}


def test_an_equal_challenger_goes_through_shadow_and_canary_to_full(workspace, clock, spec):
    first_champion(workspace, spec)
    version(workspace, bias=1.4)
    releasing.release(workspace, "loans", None, "ann", "newer")
    assert look(workspace, clock, spec).state == "shadow"
    assert workspace.traffic.routes()["loans"].shadow == 2
    few = look(workspace, clock, spec)
    assert (few.state, "10 more requests in shadow" in few.reason) == ("shadow", True)
    answer(workspace, 60)
    canary = look(workspace, clock, spec)
    assert (canary.state, canary.weight, shares(workspace)) == ("canary", 0.5, {"1": 0.5, "2": 0.5})
    assert look(workspace, clock, spec).state == "canary"
    answer(workspace, 20, name="c")
    done = look(workspace, clock, spec)
    assert (done.state, champion(workspace), shares(workspace)) == ("full", 2, {"2": 1.0})
    assert done.evidence["pairs"] == 80
    assert workspace.traffic.routes()["loans"].shadow == 1
    answer(workspace, 10, name="w")
    watched = look(workspace, clock, spec, hours=0.5)
    assert "in shadow for" in watched.reason
    assert watched.evidence["challenger"]["requests"] == watched.evidence["champion"]["requests"] == 10
    over = look(workspace, clock, spec)
    assert (over.state, "watched to the end" in over.reason) == ("full", True)
    assert workspace.traffic.routes()["loans"].shadow is None
    back = routing.rollback(workspace, "loans", "bob", "complaints")
    assert (back.state, champion(workspace), shares(workspace)) == ("rolled_back", 1, {"1": 1.0})
    releasing.roll_out(workspace, spec)
    assert champion(workspace) == 1
    ledger.verify(workspace.database)


@pytest.mark.parametrize(("bias", "said"), [(-8.0, "its loss is worse"), (NAN, "more of its outputs cannot be used")])
def test_a_bad_challenger_is_rolled_back_in_shadow_frozen_or_not(workspace, clock, spec, bias, said):
    first_champion(workspace, spec)
    version(workspace, bias=bias)
    releasing.release(workspace, "loans", None, "ann", "newer")
    look(workspace, clock, spec)
    answer(workspace, 60)
    freezes.freeze(workspace.database, "loans", "bob", "year end", clock.now())
    done = look(workspace, clock, spec)
    assert (done.state, champion(workspace)) == ("rolled_back", 1)
    assert said in done.reason
    assert shares(workspace) == {"1": 1.0}


def test_a_challenger_that_answers_late_is_stopped_in_the_canary(workspace, clock, spec):
    first_champion(workspace, spec)
    version(workspace, bias=1.4)
    answer(workspace, 30, name="before")
    clock.at += timedelta(hours=1)
    releasing.release(workspace, "loans", None, "ann", "newer")
    look(workspace, clock, spec)
    answer(workspace, 60)
    guard = spec.release.guard.model_copy(update={"latency_p99": 0.2})
    guarded = spec.model_copy(update={"release": spec.release.model_copy(update={"guard": guard})})
    assert look(workspace, clock, guarded).state == "canary"
    late = [
        {"request": f"s{n}", "version": 1 + n % 2, "ms": 1e6 * (n % 2), "served": (clock.at + n * SECOND).isoformat()}
        for n in range(60)
    ]
    log_answers(workspace, clock, spec, late)
    done = look(workspace, clock, guarded)
    assert (done.state, "it is slower" in done.reason) == ("rolled_back", True)
    assert len(done.evidence["slow_ms"]) == 1


def log_answers(workspace, clock, spec, events):
    """Prediction events as a server writes them, straight into the log."""
    common = {"digest": "d", "served": clock.now().isoformat(), "status": "ok", "scores": [0.5, 0.5], "ms": 1.0}
    made = [{**common, "index": 0, "key": event["request"], **event} for event in events]
    workspace.log.append("loans_predictions", [NewEvent(e["request"], json.dumps(e).encode()) for e in made])
    ingest(workspace, spec)


def in_canary(workspace, clock, spec):
    first_champion(workspace, spec)
    version(workspace, bias=1.4)
    releasing.release(workspace, "loans", None, "ann", "newer")
    look(workspace, clock, spec)
    answer(workspace, 60)
    assert look(workspace, clock, spec).state == "canary"


def test_a_version_that_fails_in_the_watch_gives_way_to_the_former_champion(workspace, clock, spec):
    in_canary(workspace, clock, spec)
    answer(workspace, 20, name="c")
    assert look(workspace, clock, spec).state == "full"
    both = [
        {"request": f"w{n}", "version": number, "shadow": number == 1, "status": "error" if number == 2 else "ok"}
        for n in range(30)
        for number in (1, 2)
    ]
    log_answers(workspace, clock, spec, both)
    done = look(workspace, clock, spec, hours=0.25)
    assert (done.state, champion(workspace), shares(workspace)) == ("rolled_back", 1, {"1": 1.0})
    assert "it fails more: 30 of 30 requests, the champion 0 of 30; back to version 1" in done.reason


def test_a_split_that_nobody_asked_for_is_told_and_holds(workspace, clock, spec):
    in_canary(workspace, clock, spec)
    told = [{"request": f"c{n}", "version": 2 if n % 10 else 1} for n in range(400)]
    log_answers(workspace, clock, spec, told)
    held = look(workspace, clock, spec)
    assert (held.state, "routing broken: it got 90.000% of 400 requests" in held.reason) == ("canary", True)
    assert held.evidence["split"] == {
        "asked": 0.5,
        "seen": 0.9,
        "log_e": held.evidence["split"]["log_e"],
        "broken": True,
    }


def test_requests_that_name_their_version_are_no_part_of_the_split(workspace, clock, spec):
    in_canary(workspace, clock, spec)
    log_answers(workspace, clock, spec, [{"request": f"c{n}", "version": 2, "pinned": True} for n in range(400)])
    assert look(workspace, clock, spec).evidence["challenger"]["requests"] == 0


def test_scores_are_compared_where_a_margin_is_declared(workspace, clock, spec):
    guard = spec.release.guard.model_copy(update={"scores": 0.2})
    settings = spec.release.model_copy(update={"guard": guard, "promote_on": "scores"})
    scored = spec.model_copy(update={"release": settings})
    first_champion(workspace, scored)
    version(workspace, bias=1.4)
    releasing.release(workspace, "loans", None, "ann", "newer")
    look(workspace, clock, scored)
    answer(workspace, 60)
    passed = look(workspace, clock, scored)
    assert (passed.state, "scores moved by less than 0.2 on 60 pairs" in passed.reason) == ("canary", True)
    assert passed.evidence["log_e"]["scores"] + 700 > 0


def test_a_freeze_holds_what_would_get_more_weight(workspace, clock, spec):
    first_champion(workspace, spec)
    version(workspace, bias=1.4)
    freezes.freeze(workspace.database, "*", "bob", "year end", clock.now())
    releasing.release(workspace, "loans", None, "ann", "a person may")
    held = look(workspace, clock, spec)
    assert held.state == "waiting"
    assert "year end" in held.reason
    freezes.thaw(workspace.database, "*", "bob", "over", clock.now())
    assert look(workspace, clock, spec).state == "shadow"


def test_what_a_person_asks_for(workspace, spec):
    with pytest.raises(StateError, match="no version yet"):
        releasing.release(workspace, "loans", None, "ann", "x")
    first_champion(workspace, spec)
    with pytest.raises(StateError, match="loans@1 is the champion already"):
        releasing.release(workspace, "loans", 1, "ann", "x")
    version(workspace, accepted=False)
    with pytest.raises(RefusedError, match="loans@2"):
        releasing.release(workspace, "loans", 2, "ann", "x")
    version(workspace)
    once = releasing.release(workspace, "loans", 3, "ann", "x")
    assert releasing.release(workspace, "loans", None, "bob", "y") == once
    assert releasing.approve(workspace, "loans", "bob").evidence["approved"] == ["bob"]


def test_automatic_runs_ask_for_their_release_once(workspace, clock, spec):
    first_champion(workspace, spec)
    made = version(workspace, bias=1.4, kind="drift", run="loans-drift-1")
    look(workspace, clock, spec)
    asked = store.open_release(workspace.database, "loans")
    assert (asked.version, asked.evidence["asked_by"]) == (made.number, "modelway")
    releasing.release_own(workspace, spec, runs.get(workspace.database, made.run), made)
    routing.rollback(workspace, "loans", "ann", "no")
    look(workspace, clock, spec)
    assert [r.state for r in store.history_of(workspace.database, "loans")] == ["rolled_back", "full"]


def test_a_frozen_run_asks_when_it_is_thawed_and_a_manual_one_never(workspace, clock, spec):
    first_champion(workspace, spec)
    version(workspace, bias=1.3)
    look(workspace, clock, spec)
    assert store.open_release(workspace.database, "loans") is None
    freezes.freeze(workspace.database, "loans", "bob", "year end", clock.now())
    version(workspace, bias=1.4, kind="schedule")
    look(workspace, clock, spec)
    assert store.open_release(workspace.database, "loans") is None
    freezes.thaw(workspace.database, "loans", "bob", "over", clock.now())
    look(workspace, clock, spec)
    assert store.open_release(workspace.database, "loans").version == 3


@pytest.mark.parametrize(("bias", "open_version"), [(1.5, 2), (1.2, 3)])
def test_an_automatic_version_waits_for_an_open_release_that_is_ahead(workspace, clock, spec, bias, open_version):
    """Rows of 1.5 + ½ are good, those of 1.5 − ½ bad: a bias of 1.5 is best, and 1.2 is worse than the champion's 1.4."""
    version(workspace, bias=1.4)
    releasing.release(workspace, "loans", None, "ann", "first")
    look(workspace, clock, spec)
    version(workspace, bias=bias, kind="drift")
    look(workspace, clock, spec)
    look(workspace, clock, spec)
    answer(workspace, 8, income=lambda n: 2.0 if n % 2 else 1.0)
    assert look(workspace, clock, spec).state == "shadow"
    version(workspace, bias=1.5, kind="schedule")
    look(workspace, clock, spec)
    assert store.open_release(workspace.database, "loans").version == open_version


def test_of_a_refitted_pair_the_refitted_one_is_released(workspace, clock, spec):
    again = spec.model_copy(update={"training": spec.training.model_copy(update={"refit": True})})
    first_champion(workspace, spec)
    version(workspace, bias=1.3, kind="drift", run="d1")
    look(workspace, clock, again)
    assert store.open_release(workspace.database, "loans") is None
    version(workspace, bias=1.4, kind="refit", run="d1+refit")
    look(workspace, clock, again)
    assert store.open_release(workspace.database, "loans").version == 3


class Kept(Tracking):
    """Remembers what the mirror was told."""

    def __init__(self) -> None:
        self.told: list[dict[str, int | None]] = []

    def mirror(self, model, aliases):
        self.told.append(dict(aliases))
        return ()

    def _never(self, *args, **kwargs):
        raise AssertionError

    start = log = file = finish = register = link = ping = _never


def test_the_mirror_is_told_of_changes_and_else_seldom(workspace, clock, spec):
    workspace.__dict__["tracking"] = kept = Kept()
    releasing.mirror(workspace, spec)
    assert kept.told == []
    first_champion(workspace, spec)
    for _ in range(3):
        releasing.mirror(workspace, spec)
    assert kept.told == [{"champion": 1, "challenger": None}]
    version(workspace, bias=1.4)
    releasing.release(workspace, "loans", None, "ann", "newer")
    releasing.mirror(workspace, spec)
    assert kept.told[1:] == [{"champion": 1, "challenger": 2}]
