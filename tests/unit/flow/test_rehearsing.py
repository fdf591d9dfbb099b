"""A version answers the log of a real workspace again: served rows, ingested, and other versions of the same model."""

import json
import re
from contextlib import closing
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta

import httpx
import numpy as np
import polars as pl
import pytest
import yaml
from benchmarks.broken import GRAPHS

from modelway.errors import NotFoundError
from modelway.events.log import NewEvent
from modelway.features.plan import plan_of
from modelway.flow import releasing
from modelway.flow.feeding import ingest
from modelway.flow.logged import equal_definitions, logged, made_of
from modelway.flow.rehearsing import MISSING, rehearse
from modelway.flow.serving import server_of
from modelway.records import Manifest, OperatingPoint, Trigger, Validation, dumps, loads
from modelway.registry import versions
from modelway.rollout import store
from modelway.spec.model import Spec
from modelway.state import ledger, runs
from modelway.workspace import Workspace
from tests.support.serving import serving
from tests.unit.flow.test_offline import BROKEN, STRICT
from tests.unit.rollout.test_flow import HandClock
from tests.unit.serving.made import CARDS, LOANS, make_workspace, put_version, request

pytestmark = pytest.mark.filterwarnings("ignore::polars.exceptions.PolarsInefficientMapWarning")
DERIVED = {**LOANS, "features": {"doubled": {"expr": "income * 2"}, "big": {"expr": "doubled > 4"}}}


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def workspace(tmp_path, clock):
    made = make_workspace(tmp_path, clock)
    yield made
    made.close()


def spec_of(workspace, given):
    workspace.places.project(given["model"]).mkdir(exist_ok=True)
    workspace.places.spec(given["model"]).write_text(yaml.safe_dump(given))
    return workspace.spec(given["model"])


def version(workspace, given, bias=0.0, graph=b""):
    model = given["model"]
    run = f"{model}-{len(versions.all_versions(workspace.database, model)) + 1:04d}"
    now = workspace.clock.now()
    runs.open_run(workspace.database, run, model, Trigger("manual", "because"), now)
    digest = put_version(workspace, given, bias)
    if graph:
        manifest = loads(Manifest, workspace.artifacts.get(digest))
        digest = workspace.artifacts.put(dumps(replace(manifest, graph=workspace.artifacts.put(graph))))
    made = versions.register(workspace.database, model, run, digest, Validation((), (), OperatingPoint()), now)
    runs.finish(workspace.database, run, now)
    return made


def served(workspace, given, rows):
    """A champion answers each row by itself; what it said is in the lake."""
    spec, model = spec_of(workspace, given), given["model"]
    version(workspace, given, bias=1.5)
    releasing.release(workspace, model, None, "ann", "first")
    releasing.roll_out(workspace, spec)
    server = server_of(workspace)
    server.models.look()
    with serving(server) as url, httpx.Client(base_url=url) as client:
        for n, row in enumerate(rows):
            reply = client.post(f"/v2/models/{model}/infer", json=request([row], id=f"q-{n}"))
            assert reply.status_code == 200, reply.text
    ingest(workspace, spec)
    return spec


def loans(count):
    return [{"id": f"q{n}", "income": 3.0 if n % 2 else 1.0} for n in range(count)]


def rehearsed(workspace, model="loans", number=None, window=None, by=()):
    return rehearse(workspace, model, number, window, by, "ann", lambda *_: None)


@pytest.mark.parametrize("given", [LOANS, DERIVED], ids=["plain", "derived"])
def test_an_equal_version_changes_nothing(workspace, given):
    served(workspace, given, [*loans(20), {"id": "wrong", "income": -1.0}])
    version(workspace, given, bias=1.5)
    done = rehearsed(workspace)
    assert (done.version, done.against) == (2, (1,))
    assert (done.whole.rows, done.whole.changed.hits, done.whole.changed.rows) == (21, 0, 20)
    assert (done.whole.invalid.hits, done.whole.new) == (0, 0)
    assert done.whole.quantiles == (0.0, 0.0, 0.0, 0.0)
    assert done.served_values == (("doubled", "big") if given is DERIVED else ())
    assert not done.recomputed
    for latency in (done.latency, done.latency_before):
        assert 0 < latency["p50_ms"] <= latency["p99_ms"]
    own = rehearsed(workspace, number=1)
    assert (own.against, own.whole.changed.hits, own.latency_before) == ((1,), 0, {})
    assert done.outcome == "undecided"  # 20 rows do not show one in a thousand


def test_another_decision_fails_and_stands_in_the_ledger(workspace, clock):
    served(workspace, LOANS, loans(40))
    version(workspace, LOANS, bias=5.0)
    done = rehearsed(workspace, by=("income", "branch"))
    assert done.outcome == "fail"
    assert done.decisions == {"good → bad": 20}
    assert {one.value: one.figures.changed.hits for one in done.segments} == {"1": 0, "3": 20}
    assert done.not_sent == ("branch",)
    assert [one.gate for one in done.verdicts if one.warn_only] == ["decisions by income"]
    expected = 1 / (1 + np.exp(-(3.0 - 1.5))) - 1 / (1 + np.exp(-(3.0 - 5.0)))
    assert done.whole.quantiles[-1] == pytest.approx(expected)
    assert done.whole.mean < 0
    last = ledger.history(workspace.database, "loans")[-1]
    assert (last.action, last.subject, last.who, last.data["outcome"]) == ("rehearse", "loans@2", "ann", "fail")
    ledger.verify(workspace.database)
    with pytest.raises(NotFoundError):
        rehearsed(workspace, number=9)


def test_a_stricter_contract_gets_fewer_answers_and_says_why(workspace):
    served(workspace, LOANS, loans(40))
    strict = deepcopy(LOANS)
    strict["contract"]["income"]["min"] = 2
    version(workspace, strict, bias=1.5)
    done = rehearsed(workspace)
    assert (done.outcome, done.whole.invalid.hits) == ("fail", 20)
    assert list(done.reasons.values()) == [20]
    assert "income" in next(iter(done.reasons))


def test_a_column_that_no_client_sends_refuses_all(workspace):
    served(workspace, LOANS, loans(10))
    more = deepcopy(LOANS)
    more["contract"]["age"] = {"type": "float", "nulls": 0}
    version(workspace, more, bias=1.5)
    done = rehearsed(workspace)
    assert (done.outcome, done.whole.invalid.share) == ("fail", 1.0)


def test_what_is_defined_otherwise_is_computed_again(workspace):
    served(workspace, DERIVED, loans(10))
    other = deepcopy(DERIVED)
    other["features"]["doubled"] = {"expr": "income * 2 + 1"}
    other["features"]["more"] = {"expr": "income + 1"}
    version(workspace, other, bias=1.5)
    done = rehearsed(workspace)
    assert done.recomputed == ("doubled", "big", "more")
    assert done.whole.invalid.hits == 0


def test_a_served_value_is_taken_as_it_was_even_where_the_row_gives_another(workspace, clock):
    spec = served(workspace, DERIVED, [])
    event = {
        "request": "r", "index": 0, "version": 1, "digest": "d", "served": clock.now().isoformat(), "status": "ok", "key": "k",
        "at": clock.now().isoformat(), "row": {"id": "k", "income": 1.0}, "features": [100.0, 1.0], "scores": [0.5, 0.5],
        "prediction": "good", "ms": 1.0,
    }  # fmt: skip
    workspace.log.append("loans_predictions", [NewEvent("k", json.dumps(event).encode())])
    ingest(workspace, spec)
    version(workspace, DERIVED, bias=101.0)
    moved = rehearsed(workspace).whole.mean
    assert moved == pytest.approx(1 / (1 + np.exp(-(1.0 + 100.0 + 1.0 - 101.0))) - 0.5)


def test_windows_are_those_that_were_served_and_a_new_one_comes_from_the_lake(workspace, clock):
    rows = [{"id": f"c{n}", "at": clock.now().isoformat(), "card": f"card{n % 2}", "amount": 1.0 + n} for n in range(6)]
    past = [
        {
            "id": f"p{n}",
            "at": (clock.now() - timedelta(hours=2)).isoformat(),
            "card": "card0",
            "amount": 10.0,
            "fraud": 0,
        }
        for n in range(3)
    ]
    spec_of(workspace, CARDS)
    workspace.log.append("cards", [NewEvent(one["id"], json.dumps(one).encode()) for one in past])
    served(workspace, CARDS, rows)
    version(workspace, CARDS, bias=1.5)
    same = rehearsed(workspace, "cards")
    assert same.served_values == ("many", "spent", "bad_share")
    assert (same.whole.rows, same.whole.changed.rows, same.whole.new) == (
        6,
        3,
        0,
    )  # card1 has no share: no finite score
    assert same.whole.quantiles == (0.0, 0.0, 0.0, 0.0)
    other = deepcopy(CARDS)
    other["features"]["spent"] = {"of": "amount", "stat": "max", "by": "card", "window": "1d"}
    made = version(workspace, other, bias=1.5)
    new = rehearsed(workspace, "cards", by=("card",))
    spec, now = workspace.spec("cards"), clock.now()
    log = logged(workspace, spec, made.number, now - timedelta(days=1), now)
    manifest = loads(Manifest, workspace.artifacts.get(made.digest))
    values = made_of(workspace, spec, manifest, log, now).cells
    before = [json.loads(text) for text in log["features"].to_list()]
    assert [cells[1] for cells in values][::2] == [10.0, 10.0, 10.0]
    assert [cells[0] for cells in values] == [one[0] for one in before]
    champion = loads(Manifest, workspace.artifacts.get(versions.get(workspace.database, "cards", 1).digest))
    blank = log.with_columns(features=pl.lit(None, pl.String))
    again = made_of(workspace, spec, champion, blank, now)
    assert again.recomputed == ("many", "spent", "bad_share")
    told = [[np.nan if value is None else value for value in one] for one in before]
    np.testing.assert_array_equal(np.array(again.cells), np.array(told))
    assert (new.served_values, new.recomputed) == (("many", "bad_share"), ("spent",))
    assert new.whole.invalid.hits == 0
    assert {one.value for one in new.segments} == {"card0", "card1"}
    assert MISSING not in {one.value for one in new.segments}


def test_without_answers_it_does_not_apply(workspace, clock):
    served(workspace, LOANS, loans(3))
    version(workspace, LOANS, bias=1.5)
    clock.at += timedelta(days=8)
    done = rehearsed(workspace)
    assert (done.outcome, done.whole) == ("not_applicable", None)
    assert "no answer to a client of the last 7d" in done.verdicts[0].reason
    assert rehearsed(workspace, window=timedelta(days=9)).whole.rows == 3


def test_columns_are_the_same_when_all_that_they_are_made_of_is():
    one, other = (plan_of(Spec.model_validate(given)) for given in (DERIVED, {**DERIVED, "features": {
        "doubled": {"expr": "income * 3"}, "big": {"expr": "doubled > 4"}}}))  # fmt: skip
    assert equal_definitions("big", one, one)
    assert not equal_definitions("doubled", one, other)
    assert not equal_definitions("big", one, other)
    slow = {**CARDS, "data": {**CARDS["data"], "lag": "1h"}}
    now, late = (plan_of(Spec.model_validate(given)) for given in (CARDS, slow))
    assert equal_definitions("many", now, now)
    assert not equal_definitions("many", now, late)


@pytest.mark.parametrize(("bias", "state"), [(1.5, "shadow"), (5.0, "rolled_back")])
def test_a_release_that_must_be_rehearsed_fails_before_it_answers_in_shadow(workspace, clock, bias, state):
    asked = {**LOANS, "release": {"rehearsal": {"before_shadow": True}}}
    spec = served(workspace, asked, loans(40))
    version(workspace, asked, bias=bias)
    clock.at += timedelta(minutes=1)
    releasing.release(workspace, "loans", None, "ann", "newer")
    for _ in range(2):
        releasing.roll_out(workspace, spec)
    last = store.latest(workspace.database, "loans")
    assert (last.version, last.state) == (2, state)
    assert ("its rehearsal failed: 50 % of the decisions change" in last.reason) == (state == "rolled_back")
    entries = [one for one in ledger.history(workspace.database, "loans") if one.action == "rehearse"]
    assert [one.who for one in entries] == ["modelway"]
    assert (workspace.traffic.routes()["loans"].shadow == 2) == (state == "shadow")


def test_what_waits_for_approval_is_rehearsed_once(workspace, clock):
    asked = {**LOANS, "release": {"rehearsal": {"before_shadow": True}}}
    served(workspace, asked, loans(4))
    spec = spec_of(workspace, {**LOANS, "release": {"approval": "one_person", "rehearsal": {"before_shadow": True}}})
    version(workspace, asked, bias=1.5)
    releasing.release(workspace, "loans", None, "modelway", "newer")
    for _ in range(3):
        clock.at += timedelta(seconds=1)
        releasing.roll_out(workspace, spec)
    assert store.latest(workspace.database, "loans").state == "waiting"
    assert len([one for one in ledger.history(workspace.database, "loans") if one.action == "rehearse"]) == 1


def test_a_python_model_is_rehearsed_in_a_process_of_its_own(workspace, clock):
    from tests.unit.flow.test_forms import fitted, odd, proof, spec

    served(workspace, LOANS, loans(20))
    made, fit, estimator = fitted(workspace, odd(), recorded=False)
    runs.open_run(workspace.database, "py", "loans", Trigger("manual", "a test"), clock.now())
    runs.keep_step(workspace.database, "py", "train", dumps(fit).decode(), 0.0, None)
    graph = proof(workspace, spec(python={}), made, fit, estimator, [])
    manifest = loads(Manifest, workspace.artifacts.get(put_version(workspace)))
    digest = workspace.artifacts.put(dumps(replace(manifest, graph=graph.graph, form=graph.form)))
    versions.register(workspace.database, "loans", "py", digest, Validation((), (), OperatingPoint()), clock.now())
    done = rehearsed(workspace)
    assert (done.version, done.whole.invalid.hits, done.whole.changed.hits) == (2, 0, 10)
    expected = 1 / (1 + np.exp(-3.0 / 7)) - 1 / (1 + np.exp(-(3.0 - 1.5)))
    assert np.isclose(done.whole.quantiles, abs(expected)).any()


@pytest.mark.parametrize("kind", BROKEN)
def test_a_graph_that_takes_its_process_along_fails_with_that_reason_in_the_ledger(kind, workspace):
    served(workspace, LOANS, loans(5))
    workspace.places.stack.write_text("serving: {port: 0}\n" + STRICT)
    with closing(Workspace(workspace.places, workspace.clock)) as strict:
        version(strict, LOANS, graph=GRAPHS[kind](1))
        done = rehearsed(strict)
        assert (done.outcome, [one.gate for one in done.verdicts], done.whole) == ("fail", ["graph"], None)
        last = ledger.history(strict.database, "loans")[-1]
        assert (last.action, last.subject) == ("rehearse", "loans@2")
        assert re.match(f"fail: {BROKEN[kind]}", last.reason)


def test_a_graph_that_fails_on_every_row_is_found_row_by_row(workspace):
    served(workspace, LOANS, loans(40))
    version(workspace, LOANS, graph=GRAPHS["raises"](1))
    done = rehearsed(workspace)
    assert (done.outcome, done.whole.invalid.hits) == ("fail", 40)
    assert "the graph of loans@2 failed on 1 rows" in next(iter(done.reasons))
