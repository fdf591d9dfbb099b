"""An ingesting process: whatever is taken away, late or broken, each row is committed once, and in order."""

import threading
from collections.abc import Iterator, Sequence

import orjson
import pytest

from modelway.events.log import JSON, ROOM, Event, NewEvent, Share
from modelway.flow import streaming
from modelway.workspace import Workspace, create_workspace

SPEC = """
model: pay
task: binary
data: {source: payments, key: id, target: fraud}
contract:
  id: {type: string, nulls: 0}
  number: {type: int, min: 0, nulls: 0}
  fraud: {type: int, in: [0, 1]}
"""


@pytest.fixture
def workspace(tmp_path) -> Iterator[Workspace]:
    made = create_workspace(tmp_path / "bank", "ingestion: {every: 100ms, rows: 50}\n")
    place = made.places.project("pay")
    place.mkdir()
    (place / "modelway.yaml").write_text(SPEC)
    yield made
    made.close()


def value(number: int) -> bytes:
    return orjson.dumps({"id": f"p{number}", "number": number, "fraud": 0})


class Partitions(Share):
    """Two partitions out of one topic of the folder log: even and odd offsets are theirs. One is lost, and given again."""

    def __init__(self, events: Sequence[Event], stopping: threading.Event, lose_after: int) -> None:
        self._of = {p: [e for e in events if e.partition == p] for p in (0, 1)}
        self._next, self._lost, self._left = {0: 0, 1: 0}, set[tuple[str, int]](), lose_after
        self._stopping, self.sought = stopping, dict[int, int]()

    def take(self, limit: int, wait: float, room: int = ROOM) -> list[Event]:
        found = [e for p in (0, 1) for e in self._of[p] if e.offset >= self._next[p]][:7]
        self._next |= {event.partition: event.offset + 1 for event in found}
        self._left -= 1
        if self._left == 0:
            self._lost = {("payments", 1)}
        if not found:
            self._stopping.set()
        return found

    def lost(self) -> set[tuple[str, int]]:
        gone, self._lost = self._lost, set()
        return gone

    def held(self) -> set[tuple[str, int]]:
        return {("payments", 0), ("payments", 1)}

    def seek(self, topic: str, partition: int, offset: int) -> None:
        self._next[partition] = offset
        self.sought[partition] = offset

    def close(self) -> None:
        pass


@pytest.mark.parametrize("lose_after", [1, 2, 5, 9])
def test_what_waits_when_a_partition_is_lost_is_dropped_and_read_again(workspace, monkeypatch, lose_after):
    stopping = threading.Event()
    events = [Event("payments", n % 2, n // 2, n, "", value(n), JSON, {}) for n in range(60)]
    share = Partitions(events, stopping, lose_after)
    monkeypatch.setattr(workspace.log, "join", lambda *_: share)
    monkeypatch.setattr(workspace.log, "starts", lambda _: {0: 0, 1: 0})
    monkeypatch.setattr(workspace.log, "ends", lambda _: {0: 30, 1: 30})
    streaming.run_ingestion(workspace, stopping)
    rows = workspace.lake.read("payments").sort("_partition", "_offset")
    assert rows["number"].to_list() == [*range(0, 60, 2), *range(1, 60, 2)]
    assert set(share.sought) == {0, 1}


def test_events_are_decoded_piece_by_piece_and_committed_together(workspace, monkeypatch):
    monkeypatch.setattr(streaming, "PIECE", 8)
    numbers = [NewEvent("c", value(n)) for n in range(30)]
    workspace.log.append("payments", [*numbers[:11], NewEvent("c", b"{broken"), *numbers[11:], NewEvent("c", b"[]")])
    stopping = threading.Event()
    runner = threading.Thread(target=streaming.run_ingestion, args=(workspace, stopping))
    runner.start()
    for _ in range(300):
        if workspace.lake.positions("payments", "ingest").get(0) == 32:
            break
        stopping.wait(0.05)
    stopping.set()
    runner.join(20)
    assert workspace.lake.read("payments")["number"].to_list() == list(range(30))
    assert workspace.lake.read("payments_quarantine")["_offset"].to_list() == [11, 31]
