"""Topics that a spec names and the log does not have: missed where somebody must be told, and nowhere else."""

import json

import pytest
from typer.testing import CliRunner

from modelway import lifecycle
from modelway.cli.app import app
from modelway.errors import EventLogError
from modelway.events.log import NewEvent
from modelway.flow import absent as absent_topics
from modelway.flow.absent import absent, named_topics, tell_of_absent
from modelway.flow.reporting import open_alerts, topics_status
from modelway.spec.model import Spec
from modelway.testing.lake import lake_rows
from modelway.workspace import Workspace, create_workspace

SPEC = """
model: pay
task: binary
data: {source: paymnets, key: id, event_time: at, target: fraud, entities: [customer], labels: {source: outcomes}}
contract:
  id: {type: string, nulls: 0}
  at: {type: datetime, nulls: 0}
  customer: {type: string}
  fraud: {type: int, in: [0, 1]}
features:
  segment: {join: {table: people, on: customer, column: kind, valid_from: since}}
"""
KAFKA = "events: {kafka: {bootstrap: '127.0.0.1:1', prefix: 'risk.'}}\n"


@pytest.fixture
def made(tmp_path, request):
    """A workspace whose brokers are a folder."""
    workspace = create_workspace(tmp_path / "bank", getattr(request, "param", KAFKA))
    workspace.places.project("pay").mkdir()
    workspace.places.spec("pay").write_text(SPEC)
    workspace.__dict__["log"] = workspace.folder_log("brokers")
    yield workspace
    workspace.close()


def topics(workspace) -> list[str]:
    return [one.topic for one in absent(workspace, workspace.spec("pay"))]


def test_topics_that_others_write_are_those_that_the_spec_names():
    files = {"model": "m", "task": "binary", "data": {"source": {"files": ("a.csv",)}, "target": "y", "key": "id"}}
    assert named_topics(Spec.model_validate({**files, "contract": {"id": {"type": "string"}}})) == {}


def test_on_brokers_each_is_missed_until_it_is_there_and_the_nearest_is_named(made):
    made.log.append("payments", [NewEvent("k", b"{}")])
    assert topics(made) == ["paymnets", "outcomes", "people"]
    first = absent(made, made.spec("pay"))[0]
    assert "no topic paymnets (risk.paymnets on the brokers), which data.source names" in first.problem
    assert "did you mean payments?" in first.fix
    made.log.append("paymnets", [NewEvent("k", b"{}")])
    made.lake.append("people", lake_rows(1))  # written by others than ingestion
    assert topics(made) == ["outcomes"]


@pytest.mark.parametrize("made", [""], indirect=True)
def test_in_the_workspaces_own_log_only_one_that_was_read_is_missed(made):
    assert topics(made) == []
    made.lake.append("paymnets", lake_rows(1), app="ingest", upto={0: 1})
    assert topics(made) == ["paymnets"]
    tell_of_absent(made, made.spec("pay"))
    assert open_alerts(made, "pay") == []  # who reads it books that its position is gone


def test_ingest_ends_with_1_where_a_topic_is_missed_and_takes_the_others(made, monkeypatch):
    monkeypatch.setattr(Workspace, "log", property(lambda self: made.folder_log("brokers")))
    for topic in ("outcomes", "people"):
        made.log.append(topic, [NewEvent("k", b'{"id": "k"}')])
    told = CliRunner().invoke(app, ["ingest", "pay", "--json", "-w", str(made.places.root)])
    assert told.exit_code == 1
    assert {one["topic"]: one["read"] for one in json.loads(told.stdout)}["outcomes"] == 1
    assert told.stderr.count("has no topic") == 1
    assert "paymnets" in told.stderr
    made.log.append("paymnets", [NewEvent("k", b'{"id": "k"}')])
    assert CliRunner().invoke(app, ["ingest", "pay", "-w", str(made.places.root)]).exit_code == 0


def test_doctor_and_check_say_what_is_missed(made, monkeypatch):
    place = made.places.project("pay")
    (place / "model.py").write_text(
        "from sklearn.linear_model import LogisticRegression\n\n\ndef build(params):\n    return LogisticRegression()\n"
    )
    monkeypatch.setattr(Workspace, "log", property(lambda self: made.folder_log("brokers")))
    monkeypatch.setattr("modelway.flow.targets.demand_there", lambda *_: None)
    told = CliRunner().invoke(app, ["doctor", "--json", "-w", str(made.places.root)])
    assert told.exit_code == 8
    assert "topic paymnets" in [row["engine"] for row in json.loads(told.stdout)]
    told = CliRunner().invoke(app, ["check", "pay", "-w", str(made.places.root)])
    assert told.exit_code == 0
    assert "no topic paymnets" in told.stderr


def test_an_alert_each_stands_while_it_lasts_and_status_says_so(made):
    spec = made.spec("pay")
    for _ in range(2):
        tell_of_absent(made, spec)
    assert [(a.cause, a.severity) for a in open_alerts(made, "pay")] == [
        ("topic: paymnets", "ticket"),
        ("topic: outcomes", "ticket"),
        ("topic: people", "ticket"),
    ]
    assert {name for name, told in topics_status(made).items() if told["absent"]} == {"paymnets", "outcomes", "people"}
    for topic in ("paymnets", "outcomes", "people"):
        made.log.append(topic, [NewEvent("k", b"{}")])
    tell_of_absent(made, spec)
    assert open_alerts(made, "pay") == []


def test_status_says_of_each_topic_that_the_log_is_away(made, monkeypatch):
    def away() -> None:
        raise EventLogError("the brokers do not answer", "see stack.yaml", transient=True)

    monkeypatch.setattr(made.log, "ping", away)
    told = topics_status(made)
    assert set(told) >= {"paymnets", "outcomes"}
    assert {one["lag_rows"] for one in told.values()} == {None}


def test_the_control_loop_tells(made, monkeypatch):
    for name in ("ingest", "work_off", "roll_out", "watch", "retrain", "mirror"):
        monkeypatch.setattr(lifecycle, name, lambda *_: None)
    lifecycle.tend(made, "pay")
    assert len(open_alerts(made, "pay")) == 3


def test_names_of_the_workspaces_own_log_stand_alone():
    one = absent_topics.Absent("loans", "m", "data.source", (), "")
    assert one.problem == "m: the event log has no topic loans, which data.source names: nothing comes in from it"
    assert not one.fix.startswith("did")
