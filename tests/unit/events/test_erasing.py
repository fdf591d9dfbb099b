"""A person's rows blanked in the folder event log: offsets, sizes and everybody else's rows stay."""

import io
import shutil
from pathlib import Path

import orjson
import polars as pl
import pyarrow as pa

from modelway.clock import WallClock
from modelway.events.erasing import blank
from modelway.events.folder import FolderEventLog
from modelway.events.log import ARROW, NewEvent
from modelway.flow.online import rows_of
from modelway.ingest.decode import decode
from modelway.ingest.files import ipc_bytes
from tests.support.killing import KILLED, passages, run_apart


def filled(root: Path) -> FolderEventLog:
    log = FolderEventLog(root, WallClock(), segment_bytes=700)
    for n in range(12):
        rows = [orjson.dumps({"id": f"k{n}", "who": f"p{n % 3}", "note": "é" * n})] + ([b"broken p1"] if n == 4 else [])
        log.append("loans", [NewEvent(f"k{n}", row) for row in rows])
    numbers = range(200)
    people = pl.DataFrame(
        {
            "id": [f"a{n}" for n in numbers],
            "who": [f"p{n % 3}" for n in numbers],
            "name": [f"the very long name of {n}" for n in numbers],
            "x": numbers,
        }
    )
    log.append("loans", [NewEvent("chunk", ipc_bytes(people), ARROW)])
    log.append("loans", [NewEvent("few", ipc_bytes(people.head(2)), ARROW)])
    return log


def erase(root: Path) -> None:
    assert blank(root, "loans", lambda row: row.get("who") == "p1", (b"p1",)) in (0, 4 + 1 + 67 + 1)


def buffers(stream: bytes) -> bytes:
    """Everything that a stream carries, pointed to or not."""
    table = pa.ipc.open_stream(io.BytesIO(stream)).read_all()
    chunks = [chunk for column in table.columns for chunk in column.chunks]
    return b"".join(buffer.to_pybytes() for chunk in chunks for buffer in chunk.buffers() if buffer)


def rows(log: FolderEventLog) -> list[tuple[str, str]]:
    return [(r["id"], r["who"]) for e in log.read("loans", {}) for r in rows_of(e) if r.get("id")]


def test_a_persons_rows_are_blank_and_all_else_stands_where_it_stood(tmp_path):
    log = filled(tmp_path)
    log.read("loans", {}, 3)  # its marks must stay true
    before, ends, sizes = rows(log), log.ends("loans"), {p: p.stat().st_size for p in tmp_path.rglob("*.log")}
    assert len(sizes) > 2
    erase(tmp_path)
    assert rows(log) == rows(FolderEventLog(tmp_path, WallClock())) == [row for row in before if row[1] != "p1"]
    assert log.ends("loans") == ends
    assert {p: p.stat().st_size for p in tmp_path.rglob("*.log")} == sizes
    assert b"p1" not in b"".join(p.read_bytes() for p in tmp_path.rglob("*.log"))
    streams = [event.value for event in log.read("loans", {}) if event.content == ARROW]
    assert not any(b"the very long name of 1" in buffers(stream) for stream in streams[1:])
    decoded = decode(log.read("loans", {}))
    assert "p1" not in decoded.rows["who"].to_list()
    assert decoded.bad.height == 5
    log.append("loans", [NewEvent("k", b'{"id": "new", "who": "p2"}')])
    assert rows(log)[-1] == ("new", "p2")
    erase(tmp_path)


def test_killed_at_every_point_it_is_ended_by_the_next_call(tmp_path):
    filled(tmp_path / "made").close()
    shutil.copytree(tmp_path / "made", tmp_path / "undisturbed")
    points = passages(erase, tmp_path / "undisturbed", trace=tmp_path / "points")
    wanted = rows(FolderEventLog(tmp_path / "undisturbed", WallClock()))
    for passage, point in enumerate(points):
        root = tmp_path / str(passage)
        shutil.copytree(tmp_path / "made", root)
        assert run_apart(erase, root, kill_at=f"{point}:{points[: passage + 1].count(point)}") == KILLED
        erase(root)
        log = FolderEventLog(root, WallClock())
        assert rows(log) == wanted
        assert not (root / "loans" / "erasing").exists()
        log.ping()
