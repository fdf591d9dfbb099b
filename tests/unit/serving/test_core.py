"""The pure parts of the server: the protocol both ways, shares, exchange of versions, decisions, refusals, the shadow's queue."""

import math
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import httpx
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from modelway.clock import WallClock
from modelway.errors import DataError, DiskFullError, EngineError, NotFoundError, ServerError, StateError
from modelway.records import Column, Manifest, OperatingPoint, Route
from modelway.serving import protocol, replies
from modelway.serving.answer import answer_rows, moment_of
from modelway.serving.asking import Server
from modelway.serving.client import infer
from modelway.serving.decision import decision_of, decision_of_all
from modelway.serving.log import PredictionLog, prediction_events
from modelway.serving.models import ColdError, Models
from modelway.serving.refusals import compile_refusal
from modelway.serving.routes import choose
from modelway.serving.servable import Servable, inputs_of, nowhere
from modelway.serving.shadow import Echo, Shadow, score_in_shadow
from modelway.serving.tensors import read_rows
from tests.support.running import until
from tests.support.serving import serving

T0 = datetime(2026, 1, 5, tzinfo=UTC)
MANIFEST = Manifest(
    model="loans",
    task="binary",
    graph="g",
    columns=(Column("income", "number"),),
    classes=("bad", "good"),
    exactness="double",
    contract={},
    features={},
    operating_point=OperatingPoint(),
    key="id",
    event_time="at",
    entities=(),
    spec="s",
)


def servable(number: int = 1, digest: str = "", run=None, manifest: Manifest = MANIFEST) -> Servable:
    return Servable(
        manifest=manifest,
        digest=digest or f"d{number}",
        number=number,
        inputs=inputs_of(manifest),
        run=run or (lambda numbers, words: [[1 - n[0], n[0]] for n in numbers]),
        check=lambda row: (dict(row), ["income: missing"] if row.get("income") is None else []),
        features=lambda row, key, at, served: ([row["income"]], []),
        refusal=lambda numbers, words: "income: too large" if numbers[0] > 1 else "",
        upto=nowhere,
    )


# -- protocol --------------------------------------------------------------------------------------------------------------

cells = st.one_of(
    st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), min_size=3, max_size=3),
    st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=3, max_size=3),
    st.lists(st.one_of(st.none(), st.booleans()), min_size=3, max_size=3),
    st.lists(st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]))), min_size=3, max_size=3),
)


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b", "ä"]), cells, min_size=1))
def test_a_request_comes_back_as_it_was_sent(columns):
    asked = protocol.parse_request(protocol.format_request(columns, id="q", routing_key="k"))
    rows = read_rows(asked, tuple(columns))
    assert [[row[name] for row in rows] for name in columns] == list(columns.values())
    assert (asked.id, asked.routing_key) == ("q", "k")


junk = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-9, 2**60),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text("ab1"),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["name", "a"]), inner)),
    max_leaves=4,
)
tensors = st.fixed_dictionaries(
    {
        "name": st.one_of(st.just("income"), junk),
        "datatype": st.one_of(st.sampled_from(["FP64", "INT8", "BYTES"]), junk),
        "shape": st.one_of(st.just([1]), junk),
        "data": st.one_of(st.just([1.0]), junk),
    }
)
bodies = st.one_of(
    st.binary(max_size=20),
    junk.map(orjson.dumps),
    st.fixed_dictionaries(
        {"inputs": st.one_of(st.lists(tensors, max_size=2), junk)}, optional={"id": junk, "outputs": junk}
    ).map(orjson.dumps),
)


@hypothesis_settings(max_examples=60, deadline=None)
@given(bodies)
def test_whatever_is_sent_is_read_or_refused_with_place_and_fix(body):
    refused = None
    try:
        rows = read_rows(protocol.parse_request(body), ("income",))
    except DataError as error:
        refused = error
    assert all(list(row) == ["income"] for row in rows) if refused is None else (refused.problem and refused.fix)


def test_replies_come_back_as_they_were_answered():
    one = servable()
    answers = answer_rows(one, ["q/0", "q/1", "q/2"], [{"id": "a", "income": 0.75}, {"id": "b"}, {"income": 2.0}], T0)
    body = replies.format_answers(one, "q", answers, {"0": 3}, one.outputs)
    parsed = replies.parse_answers(body)
    assert parsed[0] == {"prediction": "good", "probabilities": {"bad": 0.25, "good": 0.75}, "reason": "", "version": 1}
    assert [p["reason"] for p in parsed[1:]] == ["income: missing", "income: too large"]
    assert [a.key for a in answers] == ["a", "b", "q/2"]


ODD = replace(
    MANIFEST,
    task="anomaly",
    classes=("normal", "anomaly"),
    operating_point=OperatingPoint("by_rate", 1.5, "anomaly"),
)


def test_a_detector_says_how_odd_a_row_is_and_whether_that_is_an_alert():
    """One score a row, on any scale: what would be no probability is no fault."""
    one = servable(manifest=ODD, run=lambda numbers, words: [[2 * n[0]] for n in numbers])
    answers = answer_rows(one, ["q/0", "q/1", "q/2"], [{"income": 1.0}, {"income": -40.0}, {"income": 2.0}], T0)
    assert one.outputs == ("prediction", "score", "reason")
    parsed = replies.parse_answers(replies.format_answers(one, "q", answers, {}, one.outputs))
    assert [(p["prediction"], p["score"], p["probabilities"]) for p in parsed] == [
        ("anomaly", 2.0, {}),
        ("normal", -80.0, {}),
        (None, None, {}),
    ]
    scores = np.array([[2.0], [1.5], [-80.0]])
    assert decision_of_all(ODD)(scores).tolist() == [1, 1, 0]
    assert [decision_of(ODD)(row) for row in scores.tolist()] == ["anomaly", "anomaly", "normal"]


def test_an_error_comes_back_with_its_fix():
    assert replies.parse_error(replies.format_error(DataError("no", "do"))) == ("no", "do")
    assert replies.parse_error(b"<html>")[0] == "<html>"


# -- decisions -------------------------------------------------------------------------------------------------------------


def test_the_operating_point_decides():
    def decided(point: OperatingPoint, *scores: float) -> object:
        return decision_of(replace(MANIFEST, operating_point=point))(scores)

    assert decided(OperatingPoint(), 0.4, 0.6) == "good"
    assert decided(OperatingPoint("fixed", 0.7, "good"), 0.4, 0.6) == "bad"
    assert decided(OperatingPoint("fixed", 0.6, "good"), 0.4, 0.6) == "good"
    assert decided(OperatingPoint("fixed", 0.3, "bad"), 0.4, 0.6) == "bad"
    assert decision_of(replace(MANIFEST, classes=()))([2.5]) == 2.5


def test_times_of_rows_are_read_in_utc():
    assert moment_of(MANIFEST, {"at": "2026-01-05T02:00:00+02:00"}, T0) == T0
    assert moment_of(MANIFEST, {"at": "2026-01-05"}, T0) == T0
    assert moment_of(MANIFEST, {}, T0) == T0
    assert moment_of(MANIFEST, {"at": "yesterday"}, T0) is None
    shown = answer_rows(servable(), ["q/0"], [{"at": "yesterday", "income": 0.5}], T0)[0]
    assert (shown.status, "ISO 8601" in shown.reason) == ("refused", True)
    assert T0.astimezone(timezone(timedelta(hours=2))) == T0


def test_scores_that_nobody_can_use_are_invalid_in_their_row_only():
    broken = servable(run=lambda numbers, words: [[math.nan, 0.5], [0.5, 0.5], [0.5], [math.inf, 0.0]])
    found = answer_rows(broken, [f"q/{n}" for n in range(4)], [{"income": n / 10} for n in range(4)], T0)
    assert [a.status for a in found] == ["invalid", "ok", "invalid", "invalid"]
    assert "gave 1 scores for this row, expected 2" in found[2].reason
    outside = servable(run=lambda numbers, words: [[-0.1, 1.1], [1.0000001, -1e-7], [0.0, 7.0]])
    found = answer_rows(outside, [f"q/{n}" for n in range(3)], [{"income": n / 10} for n in range(3)], T0)
    assert [a.status for a in found] == ["invalid", "ok", "invalid"]
    assert found[2].reason == "the model's graph gave 7 where a probability is wanted"


def test_an_event_says_whom_the_client_named_and_whether_it_named_the_version():
    one = servable()
    answers = answer_rows(one, ["q/0"], [{"income": 0.5}], T0)
    told = [
        orjson.loads(prediction_events(one, "q", answers, served=T0, ms=1.0, upto={}, **more)[0].value)
        for more in ({}, {"pinned": True, "caller": "ann"})
    ]
    assert [(one.get("pinned"), one.get("caller")) for one in told] == [(None, None), (True, "ann")]


def test_what_the_model_refuses_is_named():
    columns = (Column("a", "number"), Column("b", "number"), Column("w", "word"))
    refuses = {
        **{"missing": ["a"], "infinite": ["b"], "beyond": {"b": 100.0}, "below": {"a": -0.5}},
        "unseen": {"w": ["x", "y"]},
    }
    refusal = compile_refusal(refuses, columns)
    assert refusal([1.0, 2.0], ["x"]) == ""
    assert "a: missing" in refusal([math.nan, 2.0], ["x"])
    assert "b: infinite" in refusal([1.0, math.inf], ["x"])
    assert "beyond" in refusal([1.0, -101.0], ["x"])
    assert "a: -0.6 is below -0.5" in refusal([-0.6, 2.0], ["x"])
    assert refusal([-0.5, 2.0], ["x"]) == ""
    assert "'z' is none of the 2" in refusal([1.0, 2.0], ["z"])
    assert compile_refusal({}, columns)([math.nan, math.inf], ["z"]) == ""


# -- shares ----------------------------------------------------------------------------------------------------------------


@hypothesis_settings(max_examples=40, deadline=None)
@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_whom_the_newest_answers_stays_with_it_when_its_share_grows(a, b):
    small, large = sorted((a, b))
    routes = [Route("loans", {"1": 1 - w, "2": w}, {}) for w in (small, large)]
    for caller in range(100):
        if choose(routes[0], f"c{caller}") == 2:
            assert choose(routes[1], f"c{caller}") == 2


def test_shares_are_kept():
    route = Route("loans", {"1": 0.75, "2": 0.25}, {})
    mine = sum(choose(route, f"c{n}") == 2 for n in range(4000))
    assert 900 < mine < 1100


# -- exchange --------------------------------------------------------------------------------------------------------------


class Loads:
    """Loads what is not broken, and counts."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.count = 0
        self.routes: dict[str, Route] = {}
        self.now = 0.0

    def load(self, digest: str, model: str, number: int) -> Servable:
        self.count += 1
        if digest in self.broken:
            raise EngineError(f"{digest} is broken")
        return servable(number, digest)

    def models(self) -> Models:
        return Models(self.load, lambda: self.routes, seconds=lambda: self.now)


def route(*versions: int, shadow: int | None = None) -> Route:
    named = {*versions, *([] if shadow is None else [shadow])}
    return Route("loans", {str(n): 1 / len(versions) for n in versions}, {str(n): f"d{n}" for n in named}, shadow)


def test_each_version_is_loaded_once_on_its_way():
    loads = Loads()
    models = loads.models()
    for wanted in (route(1), route(1, shadow=2), route(1, 2, shadow=2), route(2), route(1)):
        loads.routes = {"loans": wanted}
        models.look()
        models.look()
    assert loads.count == 2
    fresh = Loads()
    fresh.routes = {"loans": route(1, 2, shadow=2)}
    fresh.models().look()
    assert fresh.count == 2


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_serving():
    loads = Loads()
    models = loads.models()
    with pytest.raises(StateError, match="starting"):
        models.table.get("loans")
    loads.routes = {"loans": route(1)}
    models.look()
    loads.broken, loads.routes = {"d2"}, {"loans": route(2)}
    models.look()
    assert (models.table.get("loans").newest.number, models.table.ready) == (1, True)
    assert "d2 is broken" in models.table.problems["loans"]
    loads.broken, loads.now = set(), 10.0
    models.look()
    assert (models.table.get("loans").newest.number, dict(models.table.problems)) == (2, {})
    loads.routes = {}
    models.look()
    with pytest.raises(NotFoundError, match="served: none yet"):
        models.table.get("loans")


def test_a_version_that_takes_long_to_load_keeps_no_other_waiting():
    free, begun = threading.Event(), threading.Event()

    def load(digest: str, model: str, number: int) -> Servable:
        if model == "slow":
            begun.set()
            assert free.wait(30)
        return servable(number, digest)

    routes = {"slow": replace(route(1), model="slow"), "loans": route(1)}
    models = Models(load, lambda: dict(routes))
    models.look(0.0)
    assert begun.wait(10)
    models.warm("loans")
    assert models.table.get("loans").newest.number == 1
    routes["loans"] = route(2)
    models.look(0.0)
    models.warm("loans")
    models.look(0.0)
    until(lambda: models.table.get("loans").newest.number == 2)
    assert not models.table.ready
    with pytest.raises(ColdError):
        models.table.get("slow")
    free.set()
    models.look()
    assert models.table.ready
    assert models.table.get("slow").newest.number == 1


def test_who_is_asked_for_is_loaded_first():
    free, order = threading.Event(), list[str]()

    def load(digest: str, model: str, number: int) -> Servable:
        order.append(model)
        assert model == "m40" or free.wait(30)
        return servable(number, digest)

    routes = {f"m{n}": replace(route(1), model=f"m{n}") for n in range(50)}
    models = Models(load, lambda: routes)
    models.look(0.0)
    models.warm("m40")
    assert models.table.get("m40").newest.number == 1
    assert len(order) < 10
    free.set()
    models.look()
    assert sorted(order) == sorted(routes)
    assert models.table.ready


def test_a_challenger_is_loaded_as_such_and_once_more_as_champion():
    told = list[tuple[str, int]]()

    def apart(digest: str, model: str, number: int) -> Servable:
        told.append(("apart", number))
        return replace(servable(number, digest), way=lambda: 0.0)

    def inside(digest: str, model: str, number: int) -> Servable:
        told.append(("inside", number))
        if number == 3:
            raise EngineError("it does not fit")
        return servable(number, digest)

    routes: dict[str, Route] = {}
    models = Models(inside, lambda: routes, challenger=apart)
    for wanted in (route(1), route(1, shadow=2), route(1, 2, shadow=2), route(2, shadow=1), route(1)):
        routes = {"loans": wanted}
        models.look()
        assert models.table.ready
    assert told == [("inside", 1), ("apart", 2), ("inside", 2)]
    for wanted in (route(1, shadow=3), route(3, shadow=1)):
        routes = {"loans": wanted}
        models.look()
    assert told[3:] == [("apart", 3), ("inside", 3)]
    served = models.table.get("loans")
    assert (served.newest.number, served.newest.way is None) == (3, False)
    assert "it does not fit" in models.table.problems["loans"]
    routes = {"loans": route(1)}
    models.look()
    assert set(models.table.get("loans").known) == {1}


def test_the_other_one_answers_in_shadow():
    loads = Loads()
    loads.routes = {"loans": route(1, 2, shadow=2)}
    models = loads.models()
    models.look()
    served = models.table.get("loans")
    assert [served.other(served.versions[n]).number for n in (1, 2)] == [2, 1]
    loads.routes = {"loans": route(1)}
    models.look()
    assert models.table.get("loans").other(served.versions[1]) is None


def test_arms_of_an_experiment_are_challengers_beside_the_champion():
    loads = Loads()
    cut = replace(route(1, 2, 3), names={"champion": 1}, slices=((2, 0.3), (3, 0.3), (1, 0.4)), salt="experiment 1")
    loads.routes = {"loans": cut}
    apart: list[int] = []

    def challenger(digest: str, model: str, number: int):
        apart.append(number)
        return loads.load(digest, model, number)

    models = Models(loads.load, lambda: loads.routes, challenger=challenger)
    models.look()
    served = models.table.get("loans")
    assert apart == [2, 3]
    assert [one and one.number for one in (served.beside(served.versions[n]) for n in (1, 2, 3))] == [None, 1, 1]
    assert served.other(served.versions[2]) is None  # nobody else answers the same request


# -- shadow and log --------------------------------------------------------------------------------------------------------


def test_a_full_queue_drops_and_never_waits():
    free, begun = threading.Event(), threading.Event()

    def score(echo: Echo) -> None:
        begun.set()
        free.wait(10)

    shadow = Shadow(score, room=1)
    shadow.start()
    echo = Echo(servable(), "q", [{}], T0)
    assert shadow.offer(echo)
    assert begun.wait(10)
    assert [shadow.offer(echo) for _ in range(3)] == [True, False, False]
    assert shadow.dropped == 2
    free.set()
    shadow.drain(10)
    assert shadow.waiting == 0


def test_a_challenger_that_fails_is_logged_and_the_next_one_scored():
    written = []
    log = PredictionLog(lambda topic, events: written.extend(events), lambda: None)

    def fails(numbers, words):
        raise EngineError("the graph failed")

    shadow = Shadow(lambda echo: score_in_shadow(log, echo), room=9)
    shadow.start()
    for one in (servable(2, run=fails), servable(3)):
        shadow.offer(Echo(one, "q", [{"id": "a", "income": 0.5}], T0))
    shadow.offer(Echo(None, "broken echo", [], T0))
    shadow.offer(Echo(servable(4), "q", [{"id": "a", "income": 0.5}], T0))
    shadow.drain(10)
    assert [e.key for e in written] == ["q/0/2", "q/0/3", "q/0/4"]
    assert [b'"status":"error"' in e.value for e in written] == [True, False, False]


def test_the_log_is_flushed_when_there_is_something_and_again_after_a_failure():
    flushed = []

    def flush() -> None:
        flushed.append(1)
        if len(flushed) == 1:
            raise DiskFullError("full")

    log = PredictionLog(lambda topic, events: None, flush)
    log.flush()
    assert flushed == []
    one = servable()
    answers = answer_rows(one, ["q/0"], [{"income": 0.5}], T0)
    log.write("loans", prediction_events(one, "q", answers, served=T0, ms=1.0, upto={}))
    log.flush()
    log.flush()
    log.flush()
    assert len(flushed) == 2


def test_what_cannot_be_logged_is_not_answered_and_what_fails_is_logged():
    written, problem = [], [DiskFullError("no space")]

    def publish(topic, events):
        if problem:
            raise problem[0]
        written.extend(events)

    def fails(numbers, words):
        raise EngineError("the graph failed")

    def ask(one: Servable) -> tuple[int, str]:
        models = Models(lambda digest, model, number: one, lambda: {"loans": route(1)})
        models.look()
        server = Server(models, PredictionLog(publish, lambda: None), Shadow(lambda echo: None, 1), WallClock())
        body = protocol.format_request({"income": [0.5]}, id="q")
        with serving(server) as url:
            reply = httpx.post(f"{url}/v2/models/loans/infer", content=body)
        return reply.status_code, reply.text

    status, text = ask(servable())
    assert (status, "no space" in text) == (503, True)
    assert ask(replace(servable(), serves_unlogged=True))[0] == 200
    assert written == []
    problem.clear()
    status, text = ask(servable(run=fails))
    assert (status, "the graph failed" in text) == (503, True)
    assert [b'"status":"error"' in event.value for event in written] == [True]
    assert ask(servable())[0] == 200


# -- client ----------------------------------------------------------------------------------------------------------------


def test_a_request_is_tried_again_under_the_same_id():
    seen, pauses = [], []

    def answer(asked: httpx.Request) -> httpx.Response:
        seen.append(protocol.parse_request(asked.content).id)
        if len(seen) == 1:
            raise httpx.ConnectError("refused")
        if len(seen) == 2:
            return httpx.Response(503, content=replies.format_error(StateError("starting")))
        one = servable()
        rows = read_rows(protocol.parse_request(asked.content), ("income",))
        answers = answer_rows(one, [f"q/{n}" for n in range(len(rows))], rows, T0)
        return httpx.Response(200, content=replies.format_answers(one, "q", answers, {}, one.outputs))

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        rows = [{"income": n / 10} for n in range(5)]
        found = infer(client, "http://here", "loans", rows, request="q", chunk=2, pause=pauses.append)
    assert seen == ["q-0", "q-0", "q-0", "q-1", "q-2"]
    assert pauses == [0.1, 0.2]
    assert [f["probabilities"]["good"] for f in found] == [0.0, 0.1, 0.2, 0.3, 0.4]


@pytest.mark.parametrize(
    ("status", "kind"), [(400, DataError), (404, NotFoundError), (413, DataError), (500, ServerError)]
)
def test_what_the_server_says_is_raised(status, kind):
    reply = httpx.Response(status, content=replies.format_error(DataError("no", "do")))
    with httpx.Client(transport=httpx.MockTransport(lambda asked: reply)) as client, pytest.raises(kind, match="no"):
        infer(client, "http://here", "loans", [{"a": 1}], request="q", pause=lambda s: None)
