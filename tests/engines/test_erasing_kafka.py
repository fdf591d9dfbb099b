"""A person erased on Kafka: tombstones where they do something, else words; what is still there does not come back."""

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from modelway.events.kafka import KafkaEventLog
from modelway.events.log import TOMBSTONE, NewEvent
from modelway.features.sqlite import SqliteOnlineValues
from modelway.flow.erasing import ask, work_off
from modelway.flow.feeding import ingest
from modelway.flow.online import follower_of
from modelway.flow.persons import Person
from modelway.flow.positions import set_positions
from modelway.ingest.files import send_rows
from modelway.state.withheld import withheld
from modelway.workspace import Workspace
from tests.engines.streams import SPEC, events, payment, stream_workspace

pytestmark = pytest.mark.engines
OF_PERSONS = SPEC.replace("target: fraud,", "target: fraud, entities: [customer],") + (
    "features:\n  seen: {stat: count, by: customer, window: 90d}\n"
)
ERNA = Person((), "customer", "c5")
FAST = {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "60000",
}


@pytest.fixture
def workspace(kafka: str, tmp_path) -> Iterator[Workspace]:
    made = stream_workspace(tmp_path / "bank", kafka, processes=0, tombstones="true")
    (made.places.project("pay") / "modelway.yaml").write_text(OF_PERSONS)
    yield made
    made.close()


def make(workspace: Workspace, topic: str, **settings: str) -> None:
    told = workspace.stack.events.kafka
    assert told is not None
    admin = AdminClient({"bootstrap.servers": told.bootstrap})
    new = NewTopic(told.prefix + topic, num_partitions=2, replication_factor=1, config=settings)
    admin.create_topics([new])[told.prefix + topic].result()


def erased(workspace: Workspace) -> dict[str, dict[str, object]]:
    done = work_off(workspace, ask(workspace, "pay", ERNA, "ann", "request 2026-114"))
    return dict(done.report)


def demand_gone(workspace: Workspace, rows: int) -> None:
    left = workspace.lake.read("payments")
    assert left.height == rows
    assert "c5" not in left["customer"].to_list()


def online(workspace: Workspace, place) -> dict[str, int]:
    """Events by customer of values that are built from the log's oldest event on."""
    from modelway.contracts.contract import contract_of
    from modelway.contracts.row import compile_row as compile_check
    from modelway.features.online import FAR, Look
    from modelway.features.plan import plan_of
    from modelway.features.rows import compile_row, groups_of

    spec = workspace.spec("pay")
    plan = plan_of(spec)
    values = SqliteOnlineValues(place, groups_of(plan))
    gone = {"erased": lambda topic: withheld(workspace.database, topic)}
    check, clock = compile_check(contract_of(spec)), workspace.clock
    follower_of(workspace.log, values, spec, plan, check, compile_row(plan), clock=clock, **gone).catch_up()
    looks = [Look(("customer",), (who,), FAR, -FAR) for who in ("c4", "c5")]
    four, five = (len(past.at) for past in values.look(looks, None))
    values.close()
    return {"c4": four, "c5": five}


def test_where_only_retention_removes_it_the_last_moment_is_told_and_no_replay_brings_it_back(workspace, tmp_path):
    make(workspace, "payments", **{"cleanup.policy": "delete", "retention.ms": "86400000", "segment.ms": "3600000"})
    workspace.log.append("payments", [*events(range(200)), NewEvent("c5", b'{"customer": "c5", "torn')])
    workspace.log.append(
        "pay_labels", [NewEvent("p5", b'{"key": "p5", "label": 1}'), NewEvent("p6", b'{"key": "p6", "label": 0}')]
    )
    assert online(workspace, tmp_path / "before.db") == {"c4": 3, "c5": 3}
    newest = max(event.arrived for event in workspace.log.read("payments", {}))
    told = erased(workspace)
    assert told["log payments"]["rows"] == 4
    assert f"{newest + timedelta(hours=25):%Y-%m-%d %H:%M} UTC at the latest, by retention" in str(told["log payments"])
    assert "tombstones" not in told["log payments"]
    assert told["table payments"]["rows"] == 3
    assert told["table payments_quarantine"]["rows"] == 1
    assert (told["log pay_labels"]["rows"], told["table pay_labels"]["rows"]) == (1, 1)
    demand_gone(workspace, 197)
    set_positions(workspace, "payments", "oldest", "ann", "again")
    set_positions(workspace, "pay_labels", "oldest", "ann", "again")
    workspace.log.append("payments", [NewEvent("c5", payment(900, customer="c5"))])
    ingest(workspace, workspace.spec("pay"))
    assert workspace.lake.read("payments").filter(customer="c5")["id"].to_list() == ["p900"]  # a customer again
    assert workspace.lake.read("payments").height == 198
    assert workspace.lake.read("payments_quarantine").height == 0
    assert workspace.lake.read("pay_labels")["_key"].to_list() == ["p6"]
    assert online(workspace, tmp_path / "after.db") == {"c4": 3, "c5": 1}


def test_rows_that_came_many_in_one_event_are_withheld_one_by_one(workspace, tmp_path):
    import polars as pl

    make(workspace, "payments", **{"cleanup.policy": "delete"})
    common = {"amount": 1.0, "at": "2026-01-05T00:00:00Z", "fraud": 0}
    rows = pl.DataFrame([{"id": f"a{n}", "customer": f"c{n % 10}", "number": n, **common} for n in range(100)])
    send_rows(workspace.log, "payments", "a.csv", rows, "id", lambda share: None)
    assert erased(workspace)["log payments"]["rows"] == 10
    set_positions(workspace, "payments", "oldest", "ann", "again")
    ingest(workspace, workspace.spec("pay"))
    demand_gone(workspace, 90)
    assert online(workspace, tmp_path / "after.db") == {"c4": 10, "c5": 0}


def test_a_compacted_topic_with_a_key_a_person_is_sent_tombstones_and_the_broker_removes_it(workspace):
    make(workspace, "payments", **FAST, **{"max.compaction.lag.ms": "1000"})
    workspace.log.append("payments", [NewEvent(f"c{n}", payment(n, customer=f"c{n}")) for n in range(20)])
    told = erased(workspace)
    assert told["log payments"]["tombstones"] == 1
    assert "by compaction" in str(told["log payments"]["removed"])
    found = workspace.log.read("payments", {})
    assert [event.key for event in found if event.content == TOMBSTONE] == ["c5"]
    ingest(workspace, workspace.spec("pay"))
    demand_gone(workspace, 19)
    until = time.monotonic() + 120
    while any(b'"c5"' in event.value for event in all_of(workspace.log)):
        assert time.monotonic() < until, "the broker did not compact in time"
        workspace.log.append("payments", [NewEvent("c1", payment(1, customer="c1"))])  # closes the segment
        time.sleep(0.5)


def test_a_key_that_others_share_gets_no_tombstone(workspace):
    make(workspace, "payments", **{"cleanup.policy": "compact"})
    workspace.log.append("payments", [NewEvent("shop", payment(n, customer=f"c{n}")) for n in range(10)])
    told = erased(workspace)["log payments"]
    assert (told["rows"], told["tombstones"], told["keys shared with others"]) == (1, 0, 1)
    assert not [event for event in workspace.log.read("payments", {}) if event.content == TOMBSTONE]


def all_of(log) -> list:
    assert isinstance(log, KafkaEventLog)
    return log.read("payments", log.starts("payments"))
