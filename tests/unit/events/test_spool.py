"""The spool: the log's checks with a forwarder behind it, and kills, full disks, trimming and cut files."""

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelway.clock import WallClock
from modelway.errors import EventLogError
from modelway.events.folder import FolderEventLog
from modelway.events.log import NewEvent
from modelway.events.spool import Spool, SpoolingEventLog
from modelway.flow.forwarding import Topic, hand_on_all
from modelway.testing.events import EventLogChecks, numbered, read_all
from tests.support.killing import KILLED, passages, run_apart
from tests.support.spooling import Forwarded

LIMIT = 100_000_000


def spool_at(root: Path, limit: int = LIMIT, segment_bytes: int = 2_000) -> Spool:
    return Spool(root / "spool", WallClock(), limit, segment_bytes=segment_bytes)


def onward_at(root: Path) -> FolderEventLog:
    return FolderEventLog(root / "events", WallClock())


class Away(FolderEventLog):
    """A log that does not take events."""

    def append(self, topic: str, events: Sequence[NewEvent], *, durable: bool = True) -> None:
        raise EventLogError("nobody answers", "look", transient=True)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SpoolingEventLog]:
    found = Forwarded(spool_at(tmp_path), onward_at(tmp_path))
    yield found
    found.close()


class TestSpooling(EventLogChecks): ...


def test_what_is_appended_waits_here_until_it_is_handed_on(tmp_path):
    spool, onward = spool_at(tmp_path), onward_at(tmp_path)
    log = SpoolingEventLog(spool, onward)
    log.append("loans", numbered(30))
    assert log.read("loans", {}) == []
    told = spool.waiting()
    assert [(one.topic, one.events) for one in told] == [("loans", 30)]
    assert hand_on_all(spool, onward, {}) == 30
    assert spool.waiting() == []
    assert read_all(log, "loans") == [e.value for e in numbered(30)]
    assert [e.arrived for e in log.read("loans", {}, 1)] == [told[0].since]


def test_a_log_that_is_away_costs_no_append_and_no_event(tmp_path):
    spool, topics = spool_at(tmp_path), dict[str, Topic]()
    log = SpoolingEventLog(spool, Away(tmp_path / "events", WallClock()))
    for n in range(20):
        log.append("loans", numbered(10, 10 * n))
        hand_on_all(spool, Away(tmp_path / "events", WallClock()), topics)
    assert topics["loans"].trouble
    assert spool.waiting()[0].events == 200
    topics["loans"].stuck_until = 0.0
    back = onward_at(tmp_path)
    assert hand_on_all(spool, back, topics) == 200
    assert not topics["loans"].trouble
    assert read_all(back, "loans") == [e.value for e in numbered(200)]


def test_what_was_handed_on_leaves_the_disk_also_the_file_that_is_written_to(tmp_path):
    spool, onward = spool_at(tmp_path), onward_at(tmp_path)
    for n in range(40):
        spool.append("loans", numbered(10, 10 * n), durable=False)
    spool.trim("loans")
    assert spool.size() > 15_000
    hand_on_all(spool, onward, {})
    spool.trim("loans")
    assert spool.size() == 0
    spool.append("loans", numbered(5, 400))  # the writer's own file is gone
    assert spool_at(tmp_path).waiting()[0].events == 5
    assert hand_on_all(spool_at(tmp_path), onward, {}) == 5
    assert read_all(onward, "loans", 100) == [e.value for e in numbered(405)]


def test_a_full_spool_refuses_and_keeps_what_it_has(tmp_path):
    spool, onward = spool_at(tmp_path, limit=10_000), onward_at(tmp_path)
    kept = 0

    def fill() -> None:
        nonlocal kept
        for _ in range(1_000):
            spool.append("loans", numbered(10, kept))
            kept += 10

    with pytest.raises(EventLogError, match="the spool is full") as caught:
        fill()
    assert caught.value.transient
    assert "spool_megabytes" in caught.value.fix
    assert 50 <= kept < 1_000
    assert 8_000 < spool.size() <= 13_000
    hand_on_all(spool, onward, {})
    spool.trim("loans")
    spool.append("loans", numbered(10, kept))
    hand_on_all(spool, onward, {})
    assert read_all(onward, "loans") == [e.value for e in numbered(kept + 10)]


def test_an_event_that_the_other_log_would_never_take_is_refused_at_once(tmp_path):
    class Small(FolderEventLog):
        @property
        def largest(self) -> int:
            return 100

    spool = spool_at(tmp_path)
    log = SpoolingEventLog(spool, Small(tmp_path / "events", WallClock()))
    with pytest.raises(EventLogError, match="an event of 101 bytes; the most is 100"):
        log.append("loans", [*numbered(1), NewEvent("k", b"x" * 101)])
    assert spool.topics() == []


def test_one_process_hands_on_at_a_time(tmp_path):
    spool, stopping = spool_at(tmp_path), threading.Event()
    with spool.handing_on(stopping) as mine:
        assert mine
        told = threading.Timer(0.3, stopping.set)
        told.start()
        with spool_at(tmp_path).handing_on(stopping) as other:
            assert not other


def test_files_that_were_cut_behind_the_position_are_said_with_the_way_out(tmp_path):
    spool, onward = spool_at(tmp_path, segment_bytes=10**6), onward_at(tmp_path)
    spool.append("loans", numbered(10))
    hand_on_all(spool, onward, {})
    next((tmp_path / "spool" / "loans").glob("*.log")).write_bytes(b"")
    again, topics = spool_at(tmp_path, segment_bytes=10**6), dict[str, Topic]()
    again.append("loans", numbered(3, 10))
    assert hand_on_all(again, onward, topics) == 0
    assert "10 events were handed on, and fewer are there" in topics["loans"].trouble
    (tmp_path / "spool" / "loans" / "handed-on").unlink()
    topics["loans"].stuck_until = 0.0
    assert hand_on_all(again, onward, topics) == 3


def live(root: Path) -> None:
    """A server and a forwarder in turns, as one process: each round appends what is not there yet, hands on and trims."""
    spool, onward = spool_at(root), onward_at(root)
    for n in range(4):
        there = (onward.read("told", {0: 0}) if onward.topics() else [])[n : n + 1]
        if not there:
            moment = datetime(2026, 1, 1, 0, n, tzinfo=UTC)
            spool.append("loans", [NewEvent(f"k{n}/{i}", b"%d" % (10 * n + i), arrived=moment) for i in range(10)])
            onward.append("told", [NewEvent(str(n), b"")])
        hand_on_all(spool, onward, {})
        spool.trim("loans")
    while hand_on_all(spool, onward, {}):
        pass
    spool.close()
    onward.close()


def test_killed_anywhere_nothing_is_lost_and_a_double_is_the_same_event_again(tmp_path):
    points = passages(live, tmp_path / "whole", trace=tmp_path / "trace")
    assert {"spool.before-handing", "spool.after-handing", "spool.after-recording", "log.before-remove"} <= set(points)
    for number in range(1, len(points) + 1, 3):
        root, name = tmp_path / str(number), points[number - 1]
        assert run_apart(live, root, kill_at=f"*:{number}") == KILLED
        assert run_apart(live, root) == 0
        found = onward_at(root).read("loans", {})
        first = {event.key: event for event in reversed(found)}
        assert sorted(int(event.value) for event in first.values()) == list(range(40)), name
        assert all((e.value, e.arrived) == (first[e.key].value, first[e.key].arrived) for e in found), name
        order = list(dict.fromkeys(int(event.value) for event in found))
        assert order == sorted(order), name
