"""Kafka to Delta exactly once, counted, on a real broker: whatever is killed, and whoever comes late.

`MODELWAY_CHAOS=full` makes the long version: a million rows, a hundred seeded kills of the ingester, twenty of the broker.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from modelway.errors import EventLogError
from modelway.events.log import NewEvent
from modelway.flow.absent import tell_of_absent
from modelway.flow.positions import positions, set_positions
from modelway.flow.reporting import open_alerts, topics_status
from modelway.ingest.source import APP
from modelway.state.schema import alerts
from modelway.workspace import Workspace, open_workspace
from tests.engines.streams import Ingesters, arrived, demand_exactly, events, payment, standing, stream_workspace

pytestmark = [pytest.mark.engines, pytest.mark.timeout(3_600)]
FULL = os.environ.get("MODELWAY_CHAOS") == "full"
PATIENCE = 120.0
POINTS = (
    "ingest.before-quarantine",
    "ingest.after-quarantine",
    "ingest.before-commit",
    "ingest.after-commit",
    "lake.before-commit",
    "lake.after-commit",
)


@pytest.fixture
def ingesters() -> Iterator[Ingesters]:
    made = Ingesters()
    yield made
    made.kill_all()


@pytest.fixture
def workspace(kafka: str, tmp_path) -> Iterator[Workspace]:
    made = stream_workspace(tmp_path / "bank", kafka)
    yield made
    made.close()


def until(true: Callable[[], bool], seconds: float = PATIENCE, tell: Callable[[], str] = str) -> None:
    """Wait for a condition, at most so long; then `tell` how things stand."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"it did not become true in time\n{tell()}"
        time.sleep(0.1)


def caught_up(workspace: Workspace) -> bool:
    here, ends = workspace.lake.positions("payments", APP), workspace.log.ends("payments")
    return all(here.get(partition, 0) >= end for partition, end in ends.items())


def finish(workspace: Workspace, ingesters: Ingesters, count: int) -> None:
    """Let one ingester come to the end, and count."""
    last = ingesters.start(workspace.places.root)
    until(lambda: caught_up(workspace))
    ingesters.stop(last)
    demand_exactly(workspace, count)


class Producer(threading.Thread):
    """Sends numbered payments in small pieces, over and over until they are in; every tenth piece twice, and some broken ones."""

    def __init__(self, workspace: Workspace, count: int, piece: int = 500) -> None:
        super().__init__(daemon=True)
        self.workspace, self.count, self.piece, self.broken = workspace, count, piece, 0

    def run(self) -> None:
        log = open_workspace(self.workspace.places.root).log
        for start in range(0, self.count, self.piece):
            sent = events(range(start, min(self.count, start + self.piece)))
            if start // self.piece % 10 == 0:
                sent = [*sent, NewEvent("poison", b'{"id": "cut'), NewEvent("c1", payment(10**9 + start, amount="no"))]
                self.broken += 2
            while True:
                try:
                    log.append("payments", sent)
                    break
                except EventLogError:
                    continue  # sent again: its rows are known
        log.close()


def test_killed_at_every_named_point_nothing_is_lost_or_doubled(workspace, ingesters):
    count = 0
    for point in POINTS:
        workspace.log.append("payments", [*events(range(count, count + 300)), NewEvent("c", b"{broken")])
        count += 300
        for occurrence in (1, 2):
            process = ingesters.start(workspace.places.root, MODELWAY_KILL_AT=f"{point}:{occurrence}")
            workspace.log.append("payments", [*events(range(count, count + 50)), NewEvent("c", b"[]")])
            count += 50
            until(lambda process=process: process.poll() is not None or caught_up(workspace))
            process.terminate()
            process.wait(timeout=60)
            assert process.returncode in (0, -signal.SIGKILL)
    finish(workspace, ingesters, count)
    refused = workspace.lake.read("payments_quarantine")
    assert refused.height == refused.unique(["_partition", "_offset", "_index"]).height == 3 * len(POINTS)


def test_killed_again_and_again_while_rows_flow(workspace, ingesters):
    count, kills = (1_000_000, 100) if FULL else (60_000, 12)
    chance, producer = random.Random(5), Producer(workspace, count)
    producer.start()
    for _ in range(kills):
        process = ingesters.start(workspace.places.root)
        time.sleep(chance.uniform(0.3, 4.0))
        process.kill()
        process.wait()
    producer.join(PATIENCE * (20 if FULL else 1))
    assert not producer.is_alive()
    finish(workspace, ingesters, count)
    assert workspace.lake.read("payments_quarantine").height == producer.broken


def test_the_broker_is_killed_while_rows_flow(broker, tmp_path, ingesters):
    workspace = stream_workspace(tmp_path / "bank", broker.address)
    count, kills = (1_000_000, 20) if FULL else (40_000, 2)
    chance, producer = random.Random(6), Producer(workspace, count)
    producer.start()
    process = ingesters.start(workspace.places.root)
    for _ in range(kills):
        time.sleep(chance.uniform(2.0, 6.0))
        broker.restart()
    producer.join(PATIENCE * (20 if FULL else 1))
    assert not producer.is_alive()
    until(lambda: caught_up(workspace))
    assert process.poll() is None
    ingesters.stop(process)
    demand_exactly(workspace, count)


def test_two_ingesters_share_the_partitions_and_one_that_was_asleep_commits_nothing_twice(workspace, ingesters):
    count = 40_000
    workspace.log.append("payments", events(range(1_000)))
    first, second = ingesters.start(workspace.places.root), ingesters.start(workspace.places.root)
    until(lambda: arrived(workspace).height >= 1_000)
    producer = Producer(workspace, count)
    producer.start()
    time.sleep(2.0)
    first.send_signal(signal.SIGSTOP)  # longer than the group's session: its partitions go to the other
    producer.join(PATIENCE)
    assert not producer.is_alive()
    until(lambda: caught_up(workspace), tell=lambda: standing(workspace, "payments"))
    first.send_signal(signal.SIGCONT)
    workspace.log.append("payments", events(range(count, count + 1_000)))
    until(lambda: caught_up(workspace), tell=lambda: standing(workspace, "payments"))
    ingesters.stop(first)
    ingesters.stop(second)
    demand_exactly(workspace, count + 1_000)


def test_a_late_writer_of_the_same_partitions_drops_its_batch(workspace, ingesters):
    """Two who both believe that a partition is theirs: Delta alone would take both."""
    from modelway.flow.feeding import roads
    from modelway.ingest.batch import bring_in, read_batch
    from modelway.ingest.known import Known

    source = roads(workspace, workspace.spec("pay"))[0]
    workspace.log.append("payments", events(range(1_000)))
    other = open_workspace(workspace.places.root)
    mine, theirs = (read_batch(w.log, w.lake, source, 500) for w in (workspace, other))
    known = [Known(source.topic, source.doubles_within, 10**8) for _ in range(2)]
    assert bring_in(other.log, other.lake, source, theirs, known[0]) is not None
    assert bring_in(workspace.log, workspace.lake, source, mine, known[1]) is None
    other.close()
    finish(workspace, ingesters, 1_000)


def test_a_topic_made_anew_stops_its_table_and_a_person_decides(workspace, kafka, ingesters):
    from confluent_kafka.admin import AdminClient

    workspace.log.append("payments", events(range(500)))
    process = ingesters.start(workspace.places.root)
    until(lambda: arrived(workspace).height == 500)
    prefix = workspace.stack.events.kafka.prefix
    admin = AdminClient({"bootstrap.servers": kafka})
    for done in admin.delete_topics([f"{prefix}payments"]).values():
        done.result()
    until(lambda: workspace.log.identity("payments") is None)
    workspace.log._brokers.forget("payments")
    workspace.log.append("payments", events(range(500, 1_600)))
    until(lambda: any("made anew" in a.text or "no longer" in a.text for a in open_alerts(workspace, "pay")))
    assert arrived(workspace).height == 500
    assert {one.state for one in positions(workspace, "payments")} == {"the topic was made anew"}
    set_positions(workspace, "payments", "oldest", "tester", "the topic was deleted by mistake")
    until(lambda: arrived(workspace).height == 1_600)
    until(lambda: not open_alerts(workspace, "pay"))
    ingesters.stop(process)
    assert arrived(workspace)["number"].n_unique() == arrived(workspace).height == 1_600


def test_retention_that_passes_the_position_stops_the_table_and_a_person_decides(workspace, kafka, ingesters):
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    workspace.log.append("payments", events(range(500)))
    finish(workspace, ingesters, 500)
    workspace.log.append("payments", events(range(500, 1_000)))
    ends, prefix = workspace.log.ends("payments"), workspace.stack.events.kafka.prefix
    here = workspace.lake.positions("payments", APP)
    cut = [TopicPartition(f"{prefix}payments", p, min(end, here[p] + 10)) for p, end in ends.items()]
    admin = AdminClient({"bootstrap.servers": kafka})
    for done in admin.delete_records(cut).values():
        done.result()
    process = ingesters.start(workspace.places.root)
    until(lambda: any("no longer there" in alert.text for alert in open_alerts(workspace, "pay")))
    time.sleep(1.0)
    assert arrived(workspace).height == 500
    assert all("retention has passed it" in one.state for one in positions(workspace, "payments"))
    set_positions(workspace, "payments", "oldest", "tester", "those 40 are lost at the source too")
    until(lambda: caught_up(workspace))
    ingesters.stop(process)
    rows = arrived(workspace)
    assert (
        rows["number"].n_unique()
        == rows.height
        == 500 + sum(e - c.offset for c, e in zip(cut, ends.values(), strict=True))
    )


def booked(workspace: Workspace) -> list[str]:
    """The causes of all alerts that were ever opened."""
    with workspace.database.read() as connection:
        return list(connection.execute(sa.select(alerts.c.cause)).scalars())


def test_a_topic_that_is_deleted_is_not_made_by_ingestion_and_no_alert_opens_and_closes(workspace, kafka, ingesters):
    from confluent_kafka.admin import AdminClient

    workspace.log.append("payments", events(range(500)))
    processes = [ingesters.start(workspace.places.root) for _ in range(2)]
    until(lambda: arrived(workspace).height == 500)
    admin = AdminClient({"bootstrap.servers": kafka})
    for done in admin.delete_topics([f"{workspace.stack.events.kafka.prefix}payments"]).values():
        done.result()
    time.sleep(15.0)
    assert workspace.log.identity("payments") is None
    tell_of_absent(workspace, workspace.spec("pay"))
    assert [alert.cause for alert in open_alerts(workspace, "pay") if alert.severity == "ticket"] == ["topic: payments"]
    assert len(booked(workspace)) == len(set(booked(workspace)))
    workspace.log._brokers.forget("payments")
    workspace.log.append("payments", events(range(500, 600)))
    tell_of_absent(workspace, workspace.spec("pay"))
    time.sleep(15.0)  # empty, or shorter than the position: a person must decide
    assert len(booked(workspace)) == len(set(booked(workspace)))
    assert [alert.cause for alert in open_alerts(workspace, "pay")] == ["ingestion: payments"]
    set_positions(workspace, "payments", "oldest", "tester", "deleted by mistake")
    until(lambda: arrived(workspace).height == 600)
    until(lambda: not open_alerts(workspace, "pay"))
    for process in processes:
        ingesters.stop(process)


def test_brokers_that_are_away_for_a_while_are_one_alert_at_most(broker, tmp_path, ingesters):
    workspace = stream_workspace(tmp_path / "bank", broker.address, patience="3s")
    workspace.log.append("payments", events(range(500)))
    processes = [ingesters.start(workspace.places.root) for _ in range(2)]
    until(lambda: arrived(workspace).height == 500)
    broker.program.process.send_signal(signal.SIGSTOP)
    time.sleep(30.0)
    broker.program.process.send_signal(signal.SIGCONT)
    until(lambda: workspace.log.ends("payments"))
    workspace.log.append("payments", events(range(500, 600)))
    until(lambda: arrived(workspace).height == 600)
    until(lambda: not open_alerts(workspace, "pay"))
    assert booked(workspace) in ([], ["engine: event log"])
    for process in processes:
        ingesters.stop(process)


def test_status_says_how_far_a_topic_is_behind_and_what_was_refused(workspace, ingesters):
    workspace.log.append("payments", [*events(range(99)), NewEvent("c", b"{broken")])
    told = topics_status(workspace)["payments"]
    assert told["lag_rows"] == 100
    assert told["lag_seconds"] >= 0
    finish(workspace, ingesters, 99)
    after = topics_status(workspace)["payments"]
    assert (after["lag_rows"], after["events"], round(after["quarantine_share"], 3)) == (0, 100, 0.01)
