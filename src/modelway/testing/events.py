"""What every event log must keep: subclass EventLogChecks in a test module and give it a `log` fixture."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from modelway.errors import EventLogError
from modelway.events.log import TOMBSTONE, Event, EventLog, NewEvent, Share

PATIENCE = 30.0
"""Seconds that a group may take to share out its partitions."""


def numbered(count: int, start: int = 0) -> list[NewEvent]:
    """Events that say which they are."""
    return [NewEvent(f"k{n}", b'{"n": %d}' % n, headers={"n": str(n)}) for n in range(start, start + count)]


def read_all(log: EventLog, topic: str, limit: int = 7) -> list[bytes]:
    """All values, read in small steps as a reader would, partition by partition in offset order."""
    positions: dict[int, int] = {}
    found: list[bytes] = []
    while events := log.read(topic, positions, limit):
        for event in events:
            assert event.offset == positions.get(event.partition, 0)
            positions[event.partition] = event.offset + 1
            found.append(event.value)
    assert positions == {p: end for p, end in log.ends(topic).items() if end}
    return found


def taken(share: Share, count: int) -> list[Event]:
    """The next `count` events of a share, or as many as come in time."""
    found: list[Event] = []
    until = time.monotonic() + PATIENCE
    while len(found) < count and time.monotonic() < until:
        found += share.take(count - len(found), 0.2)
    return found


class EventLogChecks:
    """Each check takes the fixture `log`: empty, open, and closed by the fixture afterwards."""

    def test_what_is_appended_is_read_back_whole_and_in_order(self, log: EventLog) -> None:
        log.append("loans", numbered(25))
        log.append("loans", numbered(25, 25), durable=False)
        assert read_all(log, "loans") == [e.value for e in numbered(50)]
        first = log.read("loans", {0: 0}, 1)[0]
        assert (first.topic, first.key, first.headers, first.content) == ("loans", "k0", {"n": "0"}, "application/json")

    def test_arrival_times_are_aware_and_never_go_back(self, log: EventLog) -> None:
        for n in range(5):
            log.append("loans", numbered(1, n))
        times = [event.arrived for event in log.read("loans", {})]
        assert times == sorted(times)
        assert all(time.utcoffset() == timedelta(0) for time in times)

    def test_a_topic_that_does_not_exist_is_empty(self, log: EventLog) -> None:
        assert log.read("nothing", {}) == []
        assert log.ends("nothing") == {}
        assert log.topics() == []

    def test_appending_nothing_changes_nothing(self, log: EventLog) -> None:
        log.append("loans", numbered(3))
        log.append("loans", [])
        assert read_all(log, "loans") == [e.value for e in numbered(3)]

    def test_topics_are_apart(self, log: EventLog) -> None:
        log.append("b", numbered(1))
        log.append("a", numbered(2))
        assert log.topics() == ["a", "b"]
        assert (len(read_all(log, "a")), len(read_all(log, "b"))) == (2, 1)

    def test_a_position_beyond_the_end_is_an_error(self, log: EventLog) -> None:
        log.append("loans", numbered(3))
        assert log.read("loans", {0: 3}) == []
        with pytest.raises(EventLogError, match="beyond the end"):
            log.read("loans", {0: 4})

    def test_bytes_come_back_as_they_were(self, log: EventLog) -> None:
        values = [bytes(range(256)), b"", b"x" * min(1_000_000, log.largest)]
        log.append("loans", [NewEvent("ä", value, "application/octet-stream") for value in values])
        assert [event.value for event in log.read("loans", {})] == values

    def test_ping_and_flush_return(self, log: EventLog) -> None:
        log.append("loans", numbered(1), durable=False)
        log.flush()
        log.settle("loans")
        log.settle("nothing")
        log.ping()

    def test_starts_and_identity_are_those_of_the_topic(self, log: EventLog) -> None:
        assert (log.starts("loans"), log.identity("loans")) == ({}, None)
        log.append("loans", numbered(3))
        log.append("others", numbered(3))
        assert set(log.starts("loans")) == set(log.ends("loans"))
        assert set(log.starts("loans").values()) == {0}
        assert log.identity("loans") == log.identity("loans") != log.identity("others")

    def test_only_some_partitions_are_read_when_asked(self, log: EventLog) -> None:
        log.append("loans", numbered(3))
        assert len(log.read("loans", {}, only=set(log.ends("loans")))) == 3
        assert log.read("loans", {}, only=set()) == []

    def test_a_tombstone_comes_back_as_one(self, log: EventLog) -> None:
        log.append("loans", [NewEvent("gone", b"", TOMBSTONE), NewEvent("there", b"{}")])
        assert [(e.key, e.content, e.value) for e in log.read("loans", {})] == [
            ("gone", TOMBSTONE, b""),
            ("there", "application/json", b"{}"),
        ]

    def test_an_arrival_that_is_handed_on_is_kept(self, log: EventLog) -> None:
        then = datetime(2020, 5, 4, 3, 2, 1, tzinfo=UTC)
        log.append("loans", [NewEvent("k", b"{}", arrived=then)])
        assert [e.arrived for e in log.read("loans", {})] == [then]

    def test_a_share_reads_from_where_it_is_told_and_on(self, log: EventLog) -> None:
        log.append("loans", numbered(5))
        log.append("others", numbered(2))
        share = log.join(["loans", "others"], "g", lambda topic, partition: 3 if topic == "loans" else None)
        try:
            assert sorted((e.topic, e.offset) for e in taken(share, 4)) == [
                ("loans", 3),
                ("loans", 4),
                ("others", 0),
                ("others", 1),
            ]
            assert {topic for topic, _ in share.held()} == {"loans", "others"}
            log.append("loans", numbered(1, 5))
            assert [e.offset for e in taken(share, 1)] == [5]
            share.seek("loans", 0, 1)
            assert [e.offset for e in taken(share, 5)] == [1, 2, 3, 4, 5]
        finally:
            share.close()

    def test_who_joins_makes_no_topic_and_reads_one_that_is_made_later(self, log: EventLog) -> None:
        log.append("loans", numbered(2))
        share = log.join(["loans", "later"], "g", lambda topic, partition: None)
        try:
            assert [e.topic for e in taken(share, 2)] == ["loans", "loans"]
            assert (log.topics(), log.identity("later")) == (["loans"], None)
            log.append("later", numbered(1))
            assert [e.topic for e in taken(share, 1)] == ["later"]
        finally:
            share.close()

    def test_a_partition_belongs_to_one_share_and_passes_on_when_that_closes(self, log: EventLog) -> None:
        log.append("loans", numbered(5))
        first = log.join(["loans"], "g", lambda topic, partition: 0)
        assert len(taken(first, 5)) == 5
        second = log.join(["loans"], "g", lambda topic, partition: 4)
        try:
            assert second.take(10, 0.2) == []
            first.close()
            assert [e.offset for e in taken(second, 1)] == [4]
        finally:
            first.close()
            second.close()

    def test_two_groups_read_the_same(self, log: EventLog) -> None:
        log.append("loans", numbered(5))
        shares = [log.join(["loans"], group, lambda topic, partition: None) for group in ("g", "h")]
        try:
            assert [len(taken(share, 5)) for share in shares] == [5, 5]
        finally:
            for share in shares:
                share.close()

    def test_what_is_taken_before_another_topic_fails_is_not_skipped(self, log: EventLog) -> None:
        log.append("loans", numbered(3))
        log.append("others", numbered(2))
        share = log.join(["loans", "others"], "g", lambda topic, partition: 99 if topic == "others" else None)
        found, failed, until = list[int](), False, time.monotonic() + PATIENCE
        try:
            while not (failed and len(found) >= 3) and time.monotonic() < until:
                try:
                    found += [event.offset for event in share.take(10, 0.2)]
                except EventLogError:
                    failed = True
        finally:
            share.close()
        assert found == [0, 1, 2]

    def test_a_share_says_when_its_position_is_no_longer_there_and_goes_on_with_the_rest(self, log: EventLog) -> None:
        log.append("loans", numbered(3))
        log.append("others", numbered(2))
        share = log.join(["loans", "others"], "g", lambda topic, partition: 99 if topic == "loans" else None)
        try:
            said: list[EventLogError] = []
            found = 0
            until = time.monotonic() + PATIENCE
            while (not said or found < 2) and time.monotonic() < until:
                try:
                    found += len(share.take(10, 0.2))
                except EventLogError as error:
                    said.append(error)
            assert found == 2
            assert "loans" in said[0].problem
            assert "modelway positions set loans" in said[0].fix
            share.seek("loans", 0, 2)
            assert [e.offset for e in taken(share, 1)] == [2]
        finally:
            share.close()
