"""The follower: rows of every form of event become what windows see, once, whatever interrupts it."""

import json
from datetime import UTC, date, datetime

import polars as pl
import pytest

from modelway.contracts.contract import contract_of
from modelway.contracts.row import compile_row as compile_check
from modelway.errors import EventLogError
from modelway.events.log import ARROW, NewEvent
from modelway.expressions.values import microseconds
from modelway.features.online import Look
from modelway.features.plan import plan_of
from modelway.features.rows import compile_row, groups_of
from modelway.flow.online import follower_of, rows_of
from modelway.ingest.files import ipc_bytes
from modelway.spec.model import Spec
from tests.unit.serving.made import CARDS, make_workspace

FAR = datetime(2100, 1, 1, tzinfo=UTC)
ROWS = [
    {"id": "a", "card": "c1", "amount": 1.5, "at": "2026-03-01T10:00:00Z", "fraud": 1},
    {"id": "b", "card": "c1", "amount": 2.0, "at": "2026-03-01T11:00:00Z", "fraud": 0},
    {"id": "wrong", "card": "c1", "amount": -1.0, "at": "2026-03-01T11:00:00Z", "fraud": 0},
    {"id": "timeless", "card": "c1", "amount": 3.0, "at": None, "fraud": 0},
]


@pytest.fixture
def workspace(tmp_path):
    made = make_workspace(tmp_path)
    yield made
    made.close()


def follower(workspace, given=CARDS):
    spec = Spec.model_validate(given)
    plan = plan_of(spec)
    check = compile_check(contract_of(spec))
    values = workspace.online("cards", groups_of(plan))
    return follower_of(workspace.log, values, spec, plan, check, compile_row(plan), clock=workspace.clock)


def seen(one):
    found = one.values.look([Look(("card",), ("c1",), 0, microseconds(FAR))], None)[0]
    targets = [None if target != target else target for target in found.targets]
    return [(k, {"amount": a}, t) for k, a, t in zip(found.keys, found.numbers["amount"], targets, strict=True)]


EXPECTED = [("a", {"amount": 1.5}, 1.0), ("b", {"amount": 2.0}, 0.0)]


def test_json_rows_are_taken_in_once(workspace):
    one = follower(workspace)
    assert one.catch_up() == {}
    workspace.log.append("cards", [NewEvent(str(r["id"]), json.dumps(r).encode()) for r in ROWS])
    assert (one.catch_up(), one.catch_up()) == ({0: 4}, {0: 4})
    assert seen(one) == EXPECTED
    assert follower(workspace).catch_up() == {0: 4}


def test_arrow_rows_are_the_same_rows(workspace):
    frame = pl.DataFrame(ROWS).with_columns(pl.col("at").str.to_datetime(time_zone="UTC"))
    workspace.log.append("cards", [NewEvent("file", ipc_bytes(frame), ARROW)])
    one = follower(workspace)
    one.catch_up()
    assert seen(one) == EXPECTED


def test_labels_of_their_own_come_as_of_their_arrival(workspace):
    one = follower(workspace, {**CARDS, "data": {**CARDS["data"], "labels": {"source": "chargebacks"}}})
    workspace.log.append(
        "chargebacks", [NewEvent("a", b'{"key": "a", "label": 1}'), NewEvent("x", b'{"key": "", "label": 1}')]
    )
    workspace.log.append("cards", [NewEvent(str(r["id"]), json.dumps(r).encode()) for r in ROWS])
    one.catch_up()
    assert seen(one) == [("a", {"amount": 1.5}, 1.0), ("b", {"amount": 2.0}, None)]


@pytest.mark.parametrize(
    ("value", "content", "rows"),
    [
        (b'{"a": 1}', "application/json", [{"a": 1}]),
        (b"[1]", "application/json", []),
        (b"{", "application/json", []),
        (b"no arrow", ARROW, []),
        (ipc_bytes(pl.DataFrame({"d": [date(2026, 1, 5)]})), ARROW, [{"d": date(2026, 1, 5)}]),
    ],
)
def test_what_holds_no_rows_holds_none(workspace, value, content, rows):
    workspace.log.append("t", [NewEvent("k", value, content)])
    assert list(rows_of(workspace.log.read("t", {})[0])) == rows


def test_a_log_that_is_away_is_not_asked_by_every_request(workspace, monkeypatch):
    one, asked = follower(workspace), list[str]()

    def away(topic: str) -> dict[int, int]:
        asked.append(topic)
        raise EventLogError("nobody answers", "look", transient=True)

    with monkeypatch.context() as patched:
        patched.setattr(workspace.log, "ends", away)
        for _ in range(5):
            with pytest.raises(EventLogError, match="nobody answers"):
                one.catch_up()
        assert len(asked) == 1
    workspace.log.append("cards", [NewEvent(str(r["id"]), json.dumps(r).encode()) for r in ROWS])
    one._away_until = 0.0
    assert one.catch_up() == {0: 4}
