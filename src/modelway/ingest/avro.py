"""Many Avro records of one schema as a frame: they are joined into one object container in memory, which polars reads as a whole.

Avro tells no record's length, so that a broken one would shift its neighbours in silence. Each record is therefore followed
by a double of our own, which must come back as it was: only if all do, each record took just its own bytes. Else fastavro looks for
broken ones (polars panics at many of them, and prints it), and the rest is halved until those that polars alone refuses are found.

avro.apache.org/docs/1.12.0/specification: "Object Container Files".
"""

import io
import json
import os
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from modelway.errors import MissingExtraError
from modelway.ingest.frames import rows_frame

_END = "_end_of_record"
_DEEPEST = 64
"""Types within types: each reader of schemas has a limit of its own."""
_SYNC = b"modelway-records"
_NO_RECORD = "not a record of its schema"
Frames = list[tuple[Sequence[int], pl.DataFrame]]


def decode_avro(values: Sequence[bytes], schema: str) -> tuple[Frames, dict[int, str]]:
    """Frames with the places of their rows, and the places that hold no row of this schema, with the reason."""
    try:
        told = json.loads(schema)
    except (ValueError, RecursionError) as error:
        return [], dict.fromkeys(range(len(values)), f"its schema is no JSON: {error}")
    if (why := _unfit(told)) is not None:
        return [], dict.fromkeys(range(len(values)), f"its schema {why}")
    bare = _bare(told)
    closed = {**bare, "fields": [*bare["fields"], {"name": _END, "type": "double"}]}
    head = b"Obj\x01" + _map({"avro.schema": json.dumps(closed).encode(), "avro.codec": b"null"}) + _SYNC
    if not _readable(head):
        return _one_by_one(values, told)
    if (frame := _read(values, head)) is not None:
        return [(list(range(len(values))), frame)], {}
    good: Frames = []
    bad = _broken(values, _bare(told, "logicalType"))
    if rest := [place for place in range(len(values)) if place not in bad]:
        _halve(values, rest, head, good, bad)
    return good, bad


def _unfit(schema: Any) -> str | None:
    """Why no row is read by this schema. Readers end a process when a value nests without end: no type may hold itself."""
    if not isinstance(schema, dict) or schema.get("type") != "record" or not isinstance(schema.get("fields"), list):
        return "is no record: one row is one record"
    inner: list[tuple[Any, tuple[str, ...], int]] = [(schema, (), 0)]
    while inner:
        node, around, depth = inner.pop()
        if depth > _DEEPEST:
            return f"has types within types, more than {_DEEPEST} deep"
        if isinstance(node, list):
            inner += [(one, around, depth + 1) for one in node]
        elif isinstance(node, dict):
            own = (
                (*around, str(node.get("name")).rpartition(".")[2])
                if node.get("type") in ("record", "error")
                else around
            )
            held = [node.get("type"), node.get("items"), node.get("values"), *(node.get("fields") or ())]
            inner += [(one, own, depth + 1) for one in held]
        elif isinstance(node, str) and node.rpartition(".")[2] in around:
            return f"has the type {node} within itself: a row has no such column"
    return None


def _halve(values: Sequence[bytes], places: list[int], head: bytes, good: Frames, bad: dict[int, str]) -> None:
    frame = _read([values[place] for place in places], head)
    if frame is not None:
        good.append((places, frame))
    elif len(places) == 1:
        bad[places[0]] = f"{_NO_RECORD}: cut off, too long, or written by another one"
    else:
        middle = len(places) // 2
        _halve(values, places[:middle], head, good, bad)
        _halve(values, places[middle:], head, good, bad)


def _read(values: Sequence[bytes], head: bytes) -> pl.DataFrame | None:
    """All the records, or None when one of them did not take just its own bytes."""
    marks = np.arange(len(values), dtype=np.float64) + int.from_bytes(os.urandom(6))
    ends = marks.astype("<f8").tobytes()
    block = b"".join(value + ends[8 * n : 8 * n + 8] for n, value in enumerate(values))
    whole = head + _long(len(values)) + _long(len(block)) + block + _SYNC
    try:
        frame = pl.read_avro(io.BytesIO(whole))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError):
        return None
    if frame.height != len(values) or not (frame[_END].to_numpy() == marks).all():
        return None
    return frame.drop(_END)


def _bare(schema: Any, *more: str) -> Any:
    """Without what says nothing of the bytes: polars refuses some defaults."""
    if isinstance(schema, list):
        return [_bare(one, *more) for one in schema]
    if not isinstance(schema, dict):
        return schema
    without = ("default", "doc", "aliases", "order", *more)
    return {name: _bare(value, *more) for name, value in schema.items() if name not in without}


def _readable(head: bytes) -> bool:
    """Whether polars knows all types of the schema."""
    try:
        pl.read_avro(io.BytesIO(head))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError):
        return False
    return True


def _broken(values: Sequence[bytes], schema: dict[str, Any]) -> dict[int, str]:
    return {place: found for place, found in enumerate(_by_fastavro(values, schema)) if isinstance(found, str)}


def _one_by_one(values: Sequence[bytes], schema: dict[str, Any]) -> tuple[Frames, dict[int, str]]:
    """By fastavro, a sixth as fast, which knows every type."""
    rows: dict[int, dict[str, Any]] = {}
    bad: dict[int, str] = {}
    for place, found in enumerate(_by_fastavro(values, schema)):
        if isinstance(found, str):
            bad[place] = found
        else:
            rows[place] = found
    return ([(list(rows), rows_frame(list(rows.values())))] if rows else []), bad


def _by_fastavro(values: Sequence[bytes], schema: dict[str, Any]) -> Iterator[dict[str, Any] | str]:
    """Each record, or why it is none. Raises MissingExtraError."""
    try:
        import fastavro
    except ImportError as error:
        raise MissingExtraError("fastavro", "kafka") from error
    try:
        parsed = fastavro.parse_schema(schema)
    except Exception as error:  # noqa: BLE001 - whatever a schema that is none does to its reader
        yield from (f"its schema can not be read: {type(error).__name__} {error}" for _ in values)
        return
    for value in values:
        source = io.BytesIO(value)
        try:
            row = fastavro.schemaless_reader(source, parsed, None)
        except Exception as error:  # noqa: BLE001 - whatever a broken record does to the reader
            yield f"{_NO_RECORD}: {type(error).__name__} {error}"
            continue
        yield row if source.tell() == len(value) else f"{_NO_RECORD}: bytes lie behind it"


def _map(entries: dict[str, bytes]) -> bytes:
    body = b"".join(_bytes(name.encode()) + _bytes(value) for name, value in entries.items())
    return _long(len(entries)) + body + _long(0)


def _bytes(value: bytes) -> bytes:
    return _long(len(value)) + value


def _long(number: int) -> bytes:
    """Zigzag, then seven bits a byte."""
    rest, out = (number << 1) ^ (number >> 63), bytearray()
    while rest > 0x7F:
        out += struct.pack("B", rest & 0x7F | 0x80)
        rest >>= 7
    return bytes(out) + struct.pack("B", rest)
