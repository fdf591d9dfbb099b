"""The event log's checks over the folder adapter, and what is the folder's own: torn tails, segments, writers at once."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelway.clock import WallClock
from modelway.errors import EventLogError
from modelway.events.folder import FolderEventLog
from modelway.testing.events import EventLogChecks, numbered, read_all


def opened(root: Path, segment_bytes: int = 2_000) -> FolderEventLog:
    return FolderEventLog(root, WallClock(), segment_bytes=segment_bytes)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[FolderEventLog]:
    found = opened(tmp_path / "events")
    yield found
    found.close()


class TestFolder(EventLogChecks): ...


def test_many_segments_are_one_log_also_for_a_second_process(log, tmp_path):
    for n in range(40):
        log.append("loans", numbered(10, 10 * n))
    assert len(list((tmp_path / "events" / "loans").glob("*.log"))) > 5
    other = opened(tmp_path / "events")
    assert read_all(other, "loans") == [e.value for e in numbered(400)]
    other.append("loans", numbered(1, 400))
    log.append("loans", numbered(1, 401))
    assert read_all(log, "loans", 1000) == [e.value for e in numbered(402)]
    other.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(1, 400), garbage=st.binary(max_size=40))
def test_a_torn_last_write_is_unseen_and_then_cut_off(tmp_path_factory, cut, garbage):
    root = tmp_path_factory.mktemp("torn")
    log = opened(root, 1_000_000)
    log.append("loans", numbered(3))
    segment = next((root / "loans").glob("*.log"))
    whole = segment.read_bytes()
    log.append("loans", numbered(4, 3))
    second = segment.read_bytes()[len(whole) :]
    log.close()
    segment.write_bytes(whole + second[: min(cut, len(second) - 1)] + (garbage if cut < 30 else b""))
    again = opened(root, 1_000_000)
    assert read_all(again, "loans") == [e.value for e in numbered(3)]
    again.append("loans", numbered(1, 3))
    assert read_all(again, "loans") == [e.value for e in numbered(4)]
    again.close()


def test_damage_before_the_last_write_is_said_and_nothing_is_cut_off(tmp_path):
    log = opened(tmp_path, 1_000_000)
    for n in range(10):
        log.append("loans", numbered(10, 10 * n))
    log.close()
    segment = next((tmp_path / "loans").glob("*.log"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    again = opened(tmp_path, 1_000_000)
    with pytest.raises(EventLogError, match="damaged at byte"):
        again.append("loans", numbered(1, 100))
    with pytest.raises(EventLogError, match="damaged at byte"):
        again.ping()
    assert segment.read_bytes() == bytes(data)


def test_a_reader_and_a_producer_that_live_on_meet_the_damage(tmp_path):
    """It happened behind what both had seen; the producer appends, and the reader must not stand still in silence."""
    log, reader = opened(tmp_path, 1_000_000), opened(tmp_path, 1_000_000)
    for n in range(10):
        log.append("loans", numbered(10, 10 * n))
    assert len(reader.read("loans", {0: 0}, 5)) == 5
    segment = next((tmp_path / "loans").glob("*.log"))
    with segment.open("r+b") as file:
        file.seek(segment.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
    log.append("loans", numbered(10, 100))
    before = reader.read("loans", {0: 5})
    assert [event.value for event in before] == [e.value for e in numbered(len(before), 5)]
    with pytest.raises(EventLogError, match="damaged at byte"):
        reader.read("loans", {0: 5 + len(before)})
    with pytest.raises(EventLogError, match="damaged at byte"):
        opened(tmp_path, 1_000_000).ends("loans")


def test_a_damaged_segment_in_the_middle_is_an_error_not_a_gap(log, tmp_path):
    for n in range(40):
        log.append("loans", numbered(10, 10 * n))
    first = min((tmp_path / "events" / "loans").glob("*.log"))
    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 1
    first.write_bytes(data)
    with pytest.raises(EventLogError, match="damaged"):
        read_all(opened(tmp_path / "events"), "loans")


WRITER = """
import sys
from pathlib import Path
from modelway.clock import WallClock
from modelway.events.folder import FolderEventLog
from modelway.events.log import NewEvent
log = FolderEventLog(Path(sys.argv[1]), WallClock(), segment_bytes=5_000)
for n in range(200):
    log.append("loans", [NewEvent("k", f"{sys.argv[2]}:{n}:{part}".encode()) for part in range(3)], durable=n % 50 == 0)
"""


def test_several_producers_at_once_lose_and_mix_nothing(tmp_path):
    names = "abc"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name]) for name in names]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    values = [value.decode() for value in read_all(opened(tmp_path), "loans", 500)]
    assert len(values) == 3 * 200 * 3
    for name in names:
        assert [v for v in values if v.startswith(name)] == [f"{name}:{n}:{p}" for n in range(200) for p in range(3)]
    assert all(values[i].rpartition(":")[0] == values[i + 2].rpartition(":")[0] for i in range(0, len(values), 3))


def test_a_name_that_is_no_topic_is_refused(log):
    with pytest.raises(EventLogError, match="cannot name a topic"):
        log.append("../loans", numbered(1))
