"""Breaches that have a severity are alerts while they last, and rules may look at another table of the lake."""

import orjson
import polars as pl
import pytest

from modelway.errors import ContractError
from modelway.events.log import NewEvent
from modelway.flow import feeding
from modelway.monitoring.alerts import open_alerts
from modelway.spec.model import Spec
from modelway.workspace import create_workspace

CONTRACT = {
    "id": {"type": "string"},
    "customer": {"type": "string", "references": "customers.name"},
    "amount": {"type": "float", "min": 0, "severity": "page", "on_breach": "warn"},
}


@pytest.fixture
def workspace(tmp_path):
    made = create_workspace(tmp_path / "bank", "")
    yield made
    made.close()


def spec(**contract):
    given = {"model": "loans", "task": "binary", "data": {"source": "rows", "key": "id", "target": "y"}}
    return Spec.model_validate(given | {"contract": contract or CONTRACT})


def send(workspace, *rows):
    workspace.log.append("rows", [NewEvent(row["id"], orjson.dumps(row)) for row in rows])


def alerts(workspace):
    return [(a.cause, a.severity, a.text) for a in open_alerts(workspace.database, "loans")]


def test_a_broken_rule_is_one_alert_until_it_holds_again(workspace):
    workspace.lake.append("customers", pl.DataFrame({"name": ["ann"]}))
    send(workspace, {"id": "1", "customer": "ann", "amount": -5}, {"id": "2", "customer": "ann", "amount": -6})
    (done,) = feeding.ingest(workspace, spec())
    assert done.breaches == {"amount: min": 2}
    told = [
        ("contract: amount: min", "page", "loans: amount: min of the contract was broken 2 times in 2 rows of rows")
    ]
    assert alerts(workspace) == told
    assert feeding.ingest(workspace, spec()) == []
    assert alerts(workspace) == told
    send(workspace, {"id": "3", "customer": "ann", "amount": 5})
    feeding.ingest(workspace, spec())
    assert alerts(workspace) == []


def test_a_value_that_is_not_in_the_other_table_is_refused_until_it_is(workspace):
    workspace.lake.append("customers", pl.DataFrame({"name": ["ann"]}))
    send(workspace, {"id": "1", "customer": "ann", "amount": 1}, {"id": "2", "customer": "bob", "amount": 1})
    (done,) = feeding.ingest(workspace, spec())
    assert (done.accepted, done.quarantined) == (1, 1)
    assert feeding.quarantined(workspace, spec())[0]["reason"] == "customer: 'bob' is not in customers.name"
    workspace.lake.append("customers", pl.DataFrame({"name": ["bob"]}))
    again = feeding.replay_quarantine(workspace, spec())
    assert again is not None
    assert again.accepted == 1


@pytest.mark.parametrize(
    ("reference", "words"), [("customer.name", "no table 'customer'"), ("customers.nme", "no column 'nme'")]
)
def test_a_reference_to_nothing_says_what_there_is(workspace, reference, words):
    workspace.lake.append("customers", pl.DataFrame({"name": ["ann"]}))
    send(workspace, {"id": "1", "customer": "ann"})
    with pytest.raises(ContractError, match=words):
        feeding.ingest(workspace, spec(customer={"type": "string", "references": reference}))


def test_rows_that_are_replayed_are_no_batch(workspace):
    mean = {"mean": {"max": 10}, "min_rows": 1, "on_breach": "reject_batch"}
    asked = spec(amount={"type": "float", "distribution": mean})
    send(workspace, {"id": "1", "amount": 99}, {"id": "2", "amount": 1})
    (done,) = feeding.ingest(workspace, asked)
    assert (done.accepted, done.quarantined) == (0, 2)
    assert done.breaches == {"amount: mean": 1}
    again = feeding.replay_quarantine(workspace, asked)
    assert again is not None
    assert again.accepted == 2
