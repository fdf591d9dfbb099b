"""An ingesting process: whatever is taken away, late or broken, each row is committed once, and in order."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import orjson
import polars as pl
import pytest
import sqlalchemy as sa

from modelway.errors import EventLogError
from modelway.events.log import JSON, ROOM, Event, NewEvent, Share
from modelway.flow import streaming
from modelway.flow.progress import progress
from modelway.flow.reporting import open_alerts
from modelway.flow.watching import trouble
from modelway.state.schema import alerts
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


def test_rows_flow_on_while_another_process_holds_the_lock_of_the_control_database(workspace):
    """One that was stopped in a transaction holds it until it goes on: figures wait for it, rows do not."""
    stopping = threading.Event()
    runner = threading.Thread(target=streaming.run_ingestion, args=(workspace, stopping), daemon=True)
    with workspace.database.write():
        runner.start()
        for start in range(0, 200, 50):
            workspace.log.append("payments", [NewEvent("c", value(n)) for n in range(start, start + 50)])
            for _ in range(200):
                if workspace.lake.positions("payments", "ingest").get(0) == start + 50:
                    break
                stopping.wait(0.05)
            else:
                raise AssertionError(f"the rows from {start} on are not in the lake")
        assert progress(workspace.database, "payments") is None
    for _ in range(200):
        if (told := progress(workspace.database, "payments")) is not None and told.accepted == 200:
            break
        stopping.wait(0.05)
    stopping.set()
    runner.join(20)
    assert told is not None
    assert told.accepted == 200


class Held(Share):
    """Holds some partitions of one topic, and gives nothing."""

    def __init__(self, *partitions: int) -> None:
        self.partitions, self.sought = set(partitions), dict[int, int]()

    def take(self, limit: int, wait: float, room: int = ROOM) -> list[Event]:
        return []

    def lost(self) -> set[tuple[str, int]]:
        return set()

    def held(self) -> set[tuple[str, int]]:
        return {("payments", partition) for partition in self.partitions}

    def seek(self, topic: str, partition: int, offset: int) -> None:
        self.sought[partition] = offset

    def close(self) -> None:
        pass


GONE = EventLogError("topic payments, partition 0: offset 9 is no longer there", "decide", topic="payments")
AWAY = EventLogError("kafka at there: no answer", "wait", transient=True)


def lane(workspace: Workspace) -> streaming.Lane:
    return streaming._lanes(workspace)["payments"]


def causes(workspace: Workspace) -> list[str]:
    return [alert.cause for alert in open_alerts(workspace, "pay")]


def booked(workspace: Workspace) -> int:
    with workspace.database.read() as connection:
        return len(connection.execute(sa.select(alerts)).all())


@pytest.fixture
def cut(workspace, monkeypatch) -> dict[int, int]:
    """The table stands at 9 in both partitions, the log reaches up to these."""
    rows = pl.DataFrame({"_key": ["a"]})
    workspace.lake.append("payments", rows, app="ingest", upto={0: 9, 1: 9})
    ends = {0: 0, 1: 9}
    monkeypatch.setattr(workspace.log, "starts", lambda _: dict.fromkeys(ends, 0))
    monkeypatch.setattr(workspace.log, "ends", lambda _: dict(ends))
    return ends


def test_a_position_that_is_not_in_the_log_is_one_alert_until_it_is_whoever_looks(workspace, cut):
    first, second = (Held(0), lane(workspace)), (Held(1), lane(workspace))
    for _ in range(3):
        for share, mine in (first, second):
            streaming._stick(workspace, share, mine, GONE)
            streaming._retry(workspace, share, mine)
    assert (causes(workspace), booked(workspace)) == (["ingestion: payments"], 1)
    assert (first[1].still, second[1].still, first[0].sought) == ({0}, set(), {})
    assert (bool(first[1].trouble), bool(second[1].trouble)) == (True, False)
    cut[0] = 9
    streaming._retry(workspace, *first)
    assert (causes(workspace), first[0].sought) == ([], {0: 9})


def test_a_partition_that_stands_still_holds_up_no_other_one_of_its_process(workspace, cut):
    share, mine = Held(0, 1), lane(workspace)
    streaming._stick(workspace, share, mine, GONE)
    streaming._retry(workspace, share, mine)
    assert (mine.trouble, mine.still, mine.stuck, share.sought) == ("", {0}, {0}, {1: 9})
    cut[0], share.sought = 12, {}
    streaming._retry(workspace, share, mine)
    assert (mine.still, mine.stuck, share.sought) == (set(), {0}, {0: 9})
    assert causes(workspace) == ["ingestion: payments"]  # until the next commit
    streaming._free(workspace, mine, {0})
    assert causes(workspace) == []


def test_who_takes_a_stuck_partition_over_closes_its_alert(workspace):
    workspace.log.append("payments", [NewEvent("c", value(n)) for n in range(9)])
    workspace.lake.append("payments", pl.DataFrame({"_key": ["a"]}), app="ingest", upto={0: 9})
    streaming._stick(workspace, Held(0), lane(workspace), GONE)
    stopping = threading.Event()
    runner = threading.Thread(target=streaming.run_ingestion, args=(workspace, stopping))
    runner.start()
    until = time.monotonic() + 20
    while causes(workspace) and time.monotonic() < until:
        time.sleep(0.05)
    stopping.set()
    runner.join(20)
    assert causes(workspace) == []


def test_a_log_that_is_away_is_one_alert_for_the_model_and_closes_when_it_answers(workspace, monkeypatch):
    def no_answer() -> None:
        raise AWAY

    lanes = streaming._lanes(workspace)
    for one in lanes.values():
        streaming._stick(workspace, Held(0), one, AWAY)
    trouble(workspace, "pay", AWAY)
    assert (len(lanes), causes(workspace), booked(workspace)) == (3, ["engine: event log"], 1)
    with monkeypatch.context() as patch:
        patch.setattr(workspace.log, "ping", no_answer)
        streaming._tell_back(workspace, {})
        streaming._tell_back(workspace, {name: replace(one, away=False) for name, one in lanes.items()})
        assert causes(workspace) == ["engine: event log"]
    streaming._tell_back(workspace, lanes)
    assert causes(workspace) == ["engine: event log"]  # its topics still wait
    for one in lanes.values():
        one.away = False
    streaming._tell_back(workspace, lanes)
    assert causes(workspace) == []
