"""Events of a person blanked in the folder event log, where they stand.

Offsets, sizes and places stay as they are, so no reader and no position is disturbed: a row becomes blanks, which any reader
takes for an event without a row. What is to be written is first written down beside the log (`erasing`) and synced; a process
that dies on the way leaves it there, and the next call ends it before it looks any further.
"""

import fcntl
import io
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import orjson

from modelway import faults
from modelway.errors import EventLogError
from modelway.events.block import BadBlockError, without
from modelway.events.block import rows_of as rows_of_block
from modelway.events.block import unpack as unpack_block
from modelway.events.log import ARROW, MANY
from modelway.events.segments import Frame, Row, body_of, framed, frames, rows_in

Holds = Callable[[Mapping[str, Any]], bool]
Change = tuple[str, int, bytes]
"""A segment's name, the byte from which on, and what is to stand there."""
_written = msgspec.msgpack.Encoder().encode
_plan = msgspec.msgpack.Decoder(list[Change]).decode


def blank(root: Path, topic: str, holds: Holds, words: tuple[bytes, ...]) -> int:
    """Blank the rows for which `holds` is true, and what is no row but contains one of `words`; how many rows there were."""
    place = root / topic
    if not place.is_dir():
        return 0
    with (place / "lock").open("a+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _finish(place)
        changes, count = [], 0
        for path in sorted(place.glob("*.log")):
            for change, rows in _changes(path, holds, words):
                changes.append(change)
                count += rows
        if changes:
            _write_down(place, changes)
            faults.point("log.before-erase")
            _finish(place)
        return count


def _changes(path: Path, holds: Holds, words: tuple[bytes, ...]) -> Iterator[tuple[Change, int]]:
    with path.open("rb") as file:
        for frame in frames(path, 0, path.stat().st_size):
            new = [_blanked(event, holds, words) for event in rows_in(file, frame)]
            rows = sum(count for _, count in new)
            if rows:
                yield (path.name, frame.start, _framed(path, frame, [event for event, _ in new])), rows


def _blanked(event: Row, holds: Holds, words: tuple[bytes, ...]) -> tuple[Row, int]:
    key, value, content, headers = event
    if content in MANY:
        left, rows = _without(value, holds) if content == ARROW else _without_in_block(value, holds)
        return ((key, left, content, headers), rows) if rows else (event, 0)
    try:
        row = orjson.loads(value)
    except orjson.JSONDecodeError:
        row = None
    hit = holds(row) if isinstance(row, dict) else any(word in value for word in words)
    return ((" " * len(key.encode()), b" " * len(value), content, headers), 1) if hit else (event, 0)


def _without_in_block(value: bytes, holds: Holds) -> tuple[bytes, int]:
    try:
        block = unpack_block(value)
    except BadBlockError:
        return value, 0
    hit = [bool(row) and holds(row) for row in rows_of_block(block)]
    return (without(block, value, hit), sum(hit)) if any(hit) else (value, 0)


def _without(value: bytes, holds: Holds) -> tuple[bytes, int]:
    """An Arrow stream of the same length whose rows of that person are empty; where that does not fit, they are left out."""
    import polars as pl
    import pyarrow as pa

    try:
        table = pa.ipc.open_stream(io.BytesIO(value)).read_all()
    except (pa.ArrowException, OSError):
        return value, 0
    hit = pl.Series([holds(row) for row in table.to_pylist()], dtype=pl.Boolean)
    if not hit.any():
        return value, 0
    frame = pl.DataFrame(pl.from_arrow(table))
    emptied = frame.with_columns(pl.when(~hit).then(pl.col(name)).alias(name) for name in frame.columns)
    emptied, left = _afresh(emptied), _afresh(frame.filter(~hit))
    for made in (_stream(emptied), _stream(emptied, 19), _stream(left), _stream(left, 19)):
        if len(made) <= len(value):
            return made + bytes(len(value) - len(made)), int(hit.sum())
    raise EventLogError(
        "an event cannot be blanked where it stands: it would grow", "remove the topic's older segments"
    )


def _afresh(frame: Any) -> Any:
    """The frame in memory of its own: a view of texts would carry those along that nothing points to any more."""
    import polars as pl

    return pl.DataFrame([pl.Series(one.name, one.to_list(), dtype=one.dtype) for one in frame.get_columns()])


def _stream(frame: Any, level: int | None = None) -> bytes:
    import pyarrow as pa

    out = io.BytesIO()
    if level is None:
        frame.write_ipc_stream(out, compression="zstd")
        return out.getvalue()
    table = frame.to_arrow()
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=level))
    with pa.ipc.new_stream(out, table.schema, options=options) as writer:
        writer.write_table(table)
    return out.getvalue()


def _framed(path: Path, frame: Frame, events: list[Row]) -> bytes:
    made = framed(body_of(events), frame.first, frame.count, frame.arrived)
    if len(made) != frame.end - frame.start:
        raise EventLogError(f"{path}: blanks at byte {frame.start} would not fit", "send us this file")
    return made


def _write_down(place: Path, changes: list[Change]) -> None:
    made = place / "erasing.new"
    with made.open("wb") as file:
        file.write(_written(changes))
        file.flush()
        os.fsync(file.fileno())
    made.replace(place / "erasing")
    _sync_folder(place)


def _finish(place: Path) -> None:
    """Carry out what is written down; doing so twice is doing so once."""
    plan = place / "erasing"
    if not plan.exists():
        return
    for name, start, content in _plan(plan.read_bytes()):
        file = os.open(place / name, os.O_RDWR)
        try:
            os.pwrite(file, content, start)
            os.fsync(file)
        finally:
            os.close(file)
        faults.point("log.after-blank")
    plan.unlink()
    _sync_folder(place)


def _sync_folder(place: Path) -> None:
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
