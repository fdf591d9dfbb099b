"""What every event log must keep: subclass EventLogChecks in a test module and give it a `log` fixture."""

from datetime import timedelta

import pytest

from modelway.errors import EventLogError
from modelway.events.log import EventLog, NewEvent


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


class EventLogChecks:
    """Each check takes the fixture `log`: empty, open, and closed by the fixture afterwards."""

    def test_what_is_appended_is_read_back_whole_and_in_order(self, log: EventLog) -> None:
        last = log.append("loans", numbered(25))
        assert last == 24
        assert log.append("loans", numbered(25, 25), durable=False) == 49
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
        assert log.append("loans", []) == 2
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
        values = [bytes(range(256)), b"", b"x" * 1_000_000]
        log.append("loans", [NewEvent("ä", value, "application/octet-stream") for value in values])
        assert [event.value for event in log.read("loans", {})] == values

    def test_ping_and_flush_return(self, log: EventLog) -> None:
        log.append("loans", numbered(1), durable=False)
        log.flush()
        log.settle("loans")
        log.settle("nothing")
        log.ping()
