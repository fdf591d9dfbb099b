"""Rows of numbers that were answered together, in one event: what they share as JSON, behind it their values as they lie in memory.

length of the head u32 · head (JSON, filled up with blanks) · numbers f8[N][n] · scores f8[N][k] · places u2[N] · states u1[N], all
little-endian. Written by hand since an event is written before each answer: to write a row costs a hundredth of what its JSON does.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import msgspec
import numpy as np
import orjson
from numpy.typing import NDArray

Status = Literal["ok", "refused", "error", "invalid"]
STATES: tuple[Status, ...] = get_args(Status)
"""What became of a row, by its number among the states. `invalid`: the graph gave what nobody can use."""
ERASED = 255
"""The state of a row of which nothing is left."""
_LENGTH = struct.Struct("<I")
_ALIGNED = 8


class BadBlockError(ValueError):
    """Bytes that are no block."""


class _Head(msgspec.Struct):
    """What is not numbers; `texts` by column and `keys` are as long as the block, or empty."""

    common: dict[str, Any]
    first: int
    rows: int
    columns: tuple[str, ...]
    whole: tuple[bool, ...]
    classes: tuple[str, ...]
    width: int
    texts: dict[str, list[str | None]]
    keys: list[str]
    reasons: dict[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """`numbers` [N][n] in the order of `columns`, NaN where one is missing; `scores` [N][k], NaN where there are none."""

    common: Mapping[str, Any]
    """Of all rows: request, served, version, digest, shadow, upto, ms, and what else an event of one row says of its request."""
    columns: tuple[str, ...]
    whole: tuple[bool, ...]
    """Columns of whole numbers."""
    classes: tuple[str, ...]
    numbers: NDArray[np.float64]
    scores: NDArray[np.float64]
    places: NDArray[np.uint16]
    """The predicted class of each row, among `classes`; without classes the score is the prediction."""
    states: NDArray[np.uint8]
    reasons: Mapping[int, str] = field(default_factory=dict)
    """Why a row has no scores, by its place here."""
    texts: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    """Columns of text that came beside the numbers."""
    keys: Sequence[str] = ()
    """The rows' keys; without them a row is named by its request and index."""
    first: int = 0
    """The first row's index in its request."""

    def __len__(self) -> int:
        return len(self.states)

    @property
    def named(self) -> Sequence[str]:
        """The rows' keys."""
        return self.keys or [f"{self.common['request']}/{index}" for index in self.indices]

    @property
    def indices(self) -> range:
        """The rows' indices in their request."""
        return range(self.first, self.first + len(self))

    def part(self, start: int, end: int) -> "Block":
        """Some of the rows."""
        return Block(
            self.common,
            self.columns,
            self.whole,
            self.classes,
            self.numbers[start:end],
            self.scores[start:end],
            self.places[start:end],
            self.states[start:end],
            {place - start: reason for place, reason in self.reasons.items() if start <= place < end},
            {name: values[start:end] for name, values in self.texts.items()},
            self.keys[start:end],
            self.first + start,
        )


def pack(block: Block) -> bytes:
    """The value of an event."""
    return _joined(block, _head(block), 0)


def _head(block: Block) -> bytes:
    reasons = {str(place): reason for place, reason in block.reasons.items()}
    texts = {name: list(values) for name, values in block.texts.items()}
    head = _Head(
        dict(block.common),
        block.first,
        len(block),
        block.columns,
        block.whole,
        block.classes,
        block.scores.shape[1],
        texts,
        list(block.keys),
        reasons,
    )
    return orjson.dumps(msgspec.structs.asdict(head))


def _joined(block: Block, head: bytes, room: int) -> bytes:
    """`room`: bytes of a head that is to have the same place."""
    length = room or -(-(len(head) + _LENGTH.size) // _ALIGNED) * _ALIGNED - _LENGTH.size
    return b"".join(
        (
            _LENGTH.pack(length),
            head.ljust(length),
            np.ascontiguousarray(block.numbers, "<f8").data,
            np.ascontiguousarray(block.scores, "<f8").data,
            np.ascontiguousarray(block.places, "<u2").data,
            np.ascontiguousarray(block.states, "u1").data,
        )
    )


def unpack(value: bytes) -> Block:
    """Raises BadBlockError for what is none."""
    try:
        (length,) = _LENGTH.unpack_from(value)
        head = msgspec.json.decode(value[_LENGTH.size : _LENGTH.size + length], type=_Head)
    except (struct.error, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadBlockError(f"no block: {error}") from error
    rows, start, found = head.rows, _LENGTH.size + length, list[NDArray[Any]]()
    if rows < 0 or head.width < 0:
        raise BadBlockError("no block: fewer than no rows")
    for kind, *shape in (("<f8", rows, len(head.columns)), ("<f8", rows, head.width), ("<u2", rows), ("u1", rows)):
        count = int(np.prod(shape))
        end = start + count * np.dtype(kind).itemsize
        if end > len(value):
            raise BadBlockError(f"no block: {len(value)} bytes, and the numbers end at {end}")
        found.append(np.frombuffer(value, kind, count, start).reshape(shape))
        start = end
    lengths = {len(head.keys), *map(len, head.texts.values())} - {0, rows}
    if start != len(value) or lengths or len(head.whole) != len(head.columns):
        raise BadBlockError("no block: its parts do not agree")
    numbers, scores, places, states = found
    return Block(
        head.common,
        head.columns,
        head.whole,
        head.classes,
        numbers,
        scores,
        places,
        states,
        {int(place): reason for place, reason in head.reasons.items()},
        head.texts,
        head.keys,
        head.first,
    )


def rows_of(block: Block) -> list[dict[str, Any]]:
    """Each row as an event of its own would say it, but for what all share; an erased row is {}."""
    return [
        {} if state == ERASED else {"key": key, "index": index, "row": row_at(block, place)}
        for place, (key, index, state) in enumerate(zip(block.named, block.indices, block.states.tolist(), strict=True))
    ]


def row_at(block: Block, place: int) -> dict[str, Any]:
    """A row's columns as a client would send them by name."""
    row: dict[str, Any] = {}
    for name, whole, value in zip(block.columns, block.whole, block.numbers[place].tolist(), strict=True):
        row[name] = None if value != value else int(value) if whole and value.is_integer() else value
    return row | {name: values[place] for name, values in block.texts.items()}


def without(block: Block, value: bytes, hit: Sequence[bool]) -> bytes:
    """The event's value, of the same length, with nothing left of the rows that are `hit`."""
    gone = np.array(hit, bool)
    numbers, scores, states, places = (
        block.numbers.copy(),
        block.scores.copy(),
        block.states.copy(),
        block.places.copy(),
    )
    numbers[gone], scores[gone], states[gone], places[gone] = np.nan, np.nan, ERASED, 0
    left = Block(
        block.common,
        block.columns,
        block.whole,
        block.classes,
        numbers,
        scores,
        places,
        states,
        {place: reason for place, reason in block.reasons.items() if not gone[place]},
        {name: _emptied(values, gone) for name, values in block.texts.items()},
        _emptied(block.keys, gone),
        block.first,
    )
    (room,) = _LENGTH.unpack_from(value)
    return _joined(left, _head(left), room)


def _emptied(values: Sequence[Any], gone: NDArray[np.bool_]) -> list[Any]:
    """An empty text is never longer than what was there."""
    return [("" if lost and value is not None else value) for value, lost in zip(values, gone.tolist(), strict=False)]
