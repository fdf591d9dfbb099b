"""The event log's checks on a real Kafka broker, and what is Kafka's own: keys, headers, partitions, compaction, other writers."""

import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from modelway.clock import WallClock
from modelway.errors import EventLogError
from modelway.events.kafka import KafkaEventLog
from modelway.events.log import ARROW, REGISTERED, TOMBSTONE, NewEvent
from modelway.testing.events import EventLogChecks, numbered, read_all

pytestmark = pytest.mark.engines


@pytest.fixture
def prefix() -> str:
    return f"t{uuid.uuid4().hex[:10]}."


@pytest.fixture
def log(kafka: str, prefix: str) -> Iterator[KafkaEventLog]:
    found = KafkaEventLog({"bootstrap.servers": kafka}, WallClock(), prefix=prefix, partitions=1)
    yield found
    found.close()


@pytest.fixture
def wide(kafka: str, prefix: str) -> Iterator[KafkaEventLog]:
    """Topics of four partitions."""
    found = KafkaEventLog({"bootstrap.servers": kafka}, WallClock(), prefix=prefix, partitions=4)
    yield found
    found.close()


class TestKafka(EventLogChecks): ...


def test_events_of_one_key_stay_in_order_over_many_partitions(wide):
    wide.append("loans", [NewEvent(f"k{n % 7}", b'{"n": %d}' % n) for n in range(700)])
    assert len(wide.ends("loans")) == 4
    found = wide.read("loans", {}, 1_000)
    assert len(found) == 700
    assert len({event.partition for event in found}) > 1
    for key in {event.key for event in found}:
        mine = [event for event in found if event.key == key]
        assert len({event.partition for event in mine}) == 1
        assert [int(event.value[6:-1]) for event in mine] == sorted(int(event.value[6:-1]) for event in mine)
    assert len(read_all(wide, "loans", 50)) == 700


def test_a_member_that_comes_back_gets_the_topics_that_were_made_meanwhile(log):
    """The group knew nothing of the second topic when the member went, and no other member is there to notice."""
    log.append("before", numbered(1))
    for topics in ({"before"}, {"before", "after"}):
        share = log.join(["before", "after"], "g", lambda topic, partition: None, "m-0")
        found, until = set[str](), time.monotonic() + 60
        while found != topics and time.monotonic() < until:
            found |= {event.topic for event in share.take(50, 0.1)}
        share.close()
        assert found == topics
        log.append("after", numbered(1))


def test_two_members_share_the_partitions_and_read_each_event_once(wide):
    wide.append("loans", numbered(400))
    positions: dict[int, int] = {}
    first, second = (wide.join(["loans"], "g", lambda topic, partition: positions.get(partition)) for _ in range(2))
    try:
        found, sizes, until = [], set(), time.monotonic() + 60
        while (len(found) < 400 or sizes != {2}) and time.monotonic() < until:
            for share in (first, second):
                found += (events := share.take(50, 0.1))
                positions |= {event.partition: event.offset + 1 for event in events}
            sizes = {len(first.held()), len(second.held())}
        assert sizes == {2}
        assert first.held() | second.held() == {("loans", p) for p in range(4)}
        assert sorted(event.value for event in found) == sorted(event.value for event in numbered(400))
    finally:
        first.close()
        second.close()


def test_what_others_wrote_is_told_apart_by_its_first_bytes_and_by_null(log, kafka, prefix):
    from confluent_kafka import Producer

    log.append("loans", numbered(1))
    other = Producer({"bootstrap.servers": kafka})
    for value in (b'{"a": 1}', b"\0\0\0\0\1avro", b"\xff\xff\xff\xff\x10", None):
        other.produce(f"{prefix}loans", value=value, key=b"\xffk", headers=[("trace", b"7"), ("empty", None)])
    other.flush(30)
    found = log.read("loans", {0: 1})
    assert [event.content for event in found] == ["application/json", REGISTERED, ARROW, TOMBSTONE]
    assert (found[0].key, dict(found[0].headers)) == ("\\xffk", {"trace": "7", "empty": ""})


def test_holes_that_compaction_or_a_transaction_leaves_are_no_gap(log, kafka, prefix):
    from confluent_kafka import Producer

    log.append("loans", numbered(2))
    other = Producer({"bootstrap.servers": kafka, "transactional.id": prefix})
    other.init_transactions(30)
    for committed in (False, True):
        other.begin_transaction()
        for n in range(3):
            other.produce(f"{prefix}loans", value=b'{"t": %d}' % n, key=b"t")
        other.flush(30)
        other.commit_transaction(30) if committed else other.abort_transaction(30)
    found = log.read("loans", {})
    assert [event.value for event in found] == [e.value for e in numbered(2)] + [b'{"t": 0}', b'{"t": 1}', b'{"t": 2}']
    assert [event.offset for event in found] == [0, 1, 6, 7, 8]
    assert log.read("loans", {0: 9}) == []


def test_a_position_that_retention_has_passed_is_an_error_with_the_way_out(log, kafka, prefix):
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    log.append("loans", numbered(10))
    admin = AdminClient({"bootstrap.servers": kafka})
    for done in admin.delete_records([TopicPartition(f"{prefix}loans", 0, 6)]).values():
        done.result()
    assert (log.starts("loans"), log.ends("loans")) == ({0: 6}, {0: 10})
    assert [event.offset for event in log.read("loans", {})] == [6, 7, 8, 9]
    with pytest.raises(EventLogError, match="retention has passed it") as caught:
        log.read("loans", {0: 3})
    assert "positions set loans --to oldest" in caught.value.fix


def test_a_topic_made_anew_has_another_identity(log, kafka, prefix):
    from confluent_kafka.admin import AdminClient

    log.append("loans", numbered(1))
    before = log.identity("loans")
    admin = AdminClient({"bootstrap.servers": kafka})
    for done in admin.delete_topics([f"{prefix}loans"]).values():
        done.result()
    while log.identity("loans") is not None:
        pass
    assert log.ends("loans") == {}
    log.append("loans", numbered(1))
    assert log.identity("loans") not in (None, before)


def test_a_producer_that_lives_on_makes_a_topic_again_that_was_deleted(kafka, prefix):
    from confluent_kafka.admin import AdminClient

    log = KafkaEventLog({"bootstrap.servers": kafka}, WallClock(), prefix=prefix, partitions=1, patience=4.0)
    log.append("loans", numbered(1))
    admin = AdminClient({"bootstrap.servers": kafka})
    for done in admin.delete_topics([f"{prefix}loans"]).values():
        done.result()
    with pytest.raises(EventLogError, match="loans"):
        log.append("loans", numbered(1, 1))
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            log.append("loans", numbered(1, 1))
            break
        except EventLogError:
            continue
    assert {event.value for event in log.read("loans", {})} == {numbered(1, 1)[0].value}
    log.close()


def test_a_broker_that_does_not_answer_is_said_within_the_patience():
    away = KafkaEventLog({"bootstrap.servers": "127.0.0.1:1"}, WallClock(), patience=0.5)
    for call in (away.ping, lambda: away.append("loans", numbered(1)), lambda: away.read("loans", {}), away.topics):
        with pytest.raises(EventLogError) as caught:
            call()
        assert caught.value.transient
        assert "127.0.0.1:1" in caught.value.problem
    away.close()


def test_topics_made_here_keep_old_events_for_ever_or_as_long_as_is_said(kafka, prefix):
    """A replay writes events of 2018; the brokers delete by the time that a record bears."""
    then = NewEvent("k", b"{}", arrived=datetime(2018, 4, 1, tzinfo=UTC))
    for_ever, for_a_week = (
        KafkaEventLog(
            {"bootstrap.servers": kafka}, WallClock(), prefix=f"{prefix}{name}.", partitions=1, retention=kept
        )
        for name, kept in (("ever", None), ("week", timedelta(days=7)))
    )
    for one in (for_ever, for_a_week):
        one.append("loans", [then])  # one of now would keep it: brokers delete whole files
    until = time.monotonic() + 60
    while for_a_week.starts("loans") == {0: 0} and time.monotonic() < until:
        time.sleep(0.2)
    with pytest.raises(EventLogError, match="retention has passed it"):
        for_a_week.read("loans", {0: 0})
    assert [event.arrived.year for event in for_ever.read("loans", {0: 0})] == [2018]
    for one in (for_ever, for_a_week):
        one.close()
