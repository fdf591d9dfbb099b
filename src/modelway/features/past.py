"""Events of one entity as columns, and their packed form: what a store keeps under one key, so that one read is one decision.

A chunk holds up to LIMIT versions of events in the order of (at, arrived, key): eight bytes a time or number, read in place. When
all of it is known and nothing in it was corrected (nearly always), reading it makes no object for an event.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from modelway.expressions.values import NAN

LIMIT = 128
"""Versions in a chunk: what is written anew when an event comes, and a bound on what one read brings in vain."""
FOREVER = 2**62


class Entry(NamedTuple):
    """A version of an event: it counts from `arrived` until `until`; `labels` are (arrived, target) in that order."""

    at: int
    arrived: int
    key: str
    until: int
    values: Mapping[str, float | str]
    labels: tuple[tuple[int, float], ...] = ()


class _Chunk(msgspec.Struct, array_like=True):
    """`until` and `labelled` are empty when nothing was corrected, or labelled; `newest`: all had arrived by then.

    Missing numbers are NaN and their columns in `gaps`, missing words "". `earlier` holds, by place, labels that were corrected.
    """

    at: bytes
    arrived: bytes
    keys: msgspec.Raw
    newest: int
    numbers: dict[str, bytes]
    words: dict[str, msgspec.Raw]
    gaps: list[str]
    until: bytes = b""
    labelled: bytes = b""
    targets: bytes = b""
    earlier: dict[int, list[tuple[int, float]]] = {}


class Past:
    """Events in order, as columns. `numbers` have NaN where missing, `words` "", `targets` NaN where no label is known."""

    __slots__ = ("_keys", "arrived", "at", "gaps", "numbers", "targets", "words")

    def __init__(
        self,
        at: Sequence[int],
        arrived: Sequence[int],
        keys: Sequence[tuple[msgspec.Raw, int, int]],
        numbers: Mapping[str, Sequence[float]],
        words: Mapping[str, Sequence[str]],
        targets: Sequence[float],
        gaps: frozenset[str],
    ) -> None:
        self.at, self.arrived, self._keys = at, arrived, keys
        self.numbers, self.words, self.targets, self.gaps = numbers, words, targets, gaps

    @property
    def keys(self) -> list[str]:
        return [key for part, low, high in self._keys for key in _texts(part)[low:high]]

    def place_of(self, key: str) -> int:
        """Where the event with this key stands; −1 when it is not there. Looks into the packed keys before it reads them."""
        packed = _pack(key)
        for part, _, _ in self._keys:
            if packed in bytes(part):
                keys = self.keys
                return keys.index(key) if key in keys else -1
        return -1

    def without(self, place: int) -> "Past":
        """All but one."""

        def rest(values: Sequence[Any]) -> list[Any]:
            return [value for n, value in enumerate(values) if n != place]

        return Past(
            rest(self.at),
            rest(self.arrived),
            [(msgspec.Raw(_pack(rest(self.keys))), 0, len(self.at) - 1)],
            {name: rest(values) for name, values in self.numbers.items()},
            {name: rest(values) for name, values in self.words.items()},
            rest(self.targets),
            self.gaps,
        )


_WHOLE: frozenset[str] = frozenset()
NOTHING = Past((), (), (), {}, {}, (), frozenset())
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_Chunk).decode
_texts = msgspec.msgpack.Decoder(list[str]).decode


def pack(entries: Sequence[Entry]) -> bytes:
    """The entries, in order, as a chunk."""
    names = dict.fromkeys(name for entry in entries for name in entry.values)
    words = [n for n in names if any(isinstance(e.values.get(n), str) for e in entries)]
    numbers = [n for n in names if n not in words]
    labelled = any(entry.labels for entry in entries)
    chunk = _Chunk(
        at=_whole(e.at for e in entries),
        arrived=_whole(e.arrived for e in entries),
        keys=msgspec.Raw(_pack([e.key for e in entries])),
        newest=max([e.arrived for e in entries] + [label[0] for e in entries for label in e.labels[-1:]]),
        numbers={n: _doubles(float(e.values.get(n, NAN)) for e in entries) for n in numbers},
        words={n: msgspec.Raw(_pack([str(e.values.get(n, "")) for e in entries])) for n in words},
        gaps=[n for n in names if any(n not in e.values for e in entries)],
        until=_whole(e.until for e in entries) if any(e.until < FOREVER for e in entries) else b"",
        labelled=_whole(e.labels[-1][0] if e.labels else FOREVER for e in entries) if labelled else b"",
        targets=_doubles(e.labels[-1][1] if e.labels else NAN for e in entries) if labelled else b"",
        earlier={n: list(e.labels[:-1]) for n, e in enumerate(entries) if len(e.labels) > 1},
    )
    return _pack(chunk)


def entries_of(content: bytes) -> list[Entry]:
    """The way back, for writing."""
    chunk = _unpack(content)
    at, arrived, keys = _q(chunk.at), _q(chunk.arrived), _texts(chunk.keys)
    until = _q(chunk.until) if chunk.until else [FOREVER] * len(at)
    labelled = _q(chunk.labelled) if chunk.labelled else [FOREVER] * len(at)
    targets = _d(chunk.targets) if chunk.targets else [NAN] * len(at)
    numbers = {name: _d(part) for name, part in chunk.numbers.items()}
    words = {name: _texts(part) for name, part in chunk.words.items()}
    found = []
    for n, key in enumerate(keys):
        values: dict[str, float | str] = {m: v[n] for m, v in numbers.items() if v[n] == v[n]}
        values |= {m: w[n] for m, w in words.items() if w[n]}
        last = ((labelled[n], targets[n]),) if labelled[n] < FOREVER else ()
        labels = (*((a, t) for a, t in chunk.earlier.get(n, ())), *last)
        found.append(Entry(at[n], arrived[n], key, until[n], values, labels))
    return found


def keys_in(content: bytes) -> list[str]:
    """The keys of a chunk's events, read without the rest."""
    return _texts(_unpack(content).keys)


def read(contents: Sequence[bytes], since: int, until: int, known: int | None) -> Past:
    """Chunks of one entity, in order, as what was known of since < at ≤ until."""
    moment = FOREVER - 1 if known is None else known
    if len(contents) == 1:
        return _part(_unpack(contents[0]), since, until, moment) or NOTHING
    parts = [part for content in contents if (part := _part(_unpack(content), since, until, moment)) is not None]
    return _joined(parts) if parts else NOTHING


def _part(chunk: _Chunk, since: int, until: int, known: int) -> Past | None:
    at = memoryview(chunk.at).cast("q")
    whole = len(at)
    if since < at[0] and at[-1] <= until:
        low, high = 0, whole
    else:
        low, high = bisect_right(at, since), bisect_right(at, until)
    if low == high:
        return None
    if chunk.newest > known or chunk.until:
        return _sifted(chunk, at, low, high, known)
    if high - low == whole:
        return Past(
            at,
            memoryview(chunk.arrived).cast("q"),
            [(chunk.keys, low, high)],
            {name: memoryview(part).cast("d") for name, part in chunk.numbers.items()},
            {name: _texts(part) for name, part in chunk.words.items()} if chunk.words else {},
            _d(chunk.targets) if chunk.targets else _nans(whole),
            frozenset(chunk.gaps) if chunk.gaps else _WHOLE,
        )
    return Past(
        at[low:high],
        _q(chunk.arrived)[low:high],
        [(chunk.keys, low, high)],
        {name: _d(part)[low:high] for name, part in chunk.numbers.items()},
        {name: _texts(part)[low:high] for name, part in chunk.words.items()},
        _d(chunk.targets)[low:high] if chunk.targets else _nans(high - low),
        frozenset(chunk.gaps),
    )


def _sifted(chunk: _Chunk, at: Sequence[int], low: int, high: int, known: int) -> Past | None:
    """Only what counted at `known`, with the labels of then."""
    arrived, until = _q(chunk.arrived), _q(chunk.until) if chunk.until else None
    there = [n for n in range(low, high) if arrived[n] <= known and (until is None or until[n] > known)]
    if not there:
        return None
    keys = _texts(chunk.keys)
    numbers = {name: _d(part) for name, part in chunk.numbers.items()}
    words = {name: _texts(part) for name, part in chunk.words.items()}
    labelled, targets = _q(chunk.labelled) if chunk.labelled else (), _d(chunk.targets) if chunk.targets else ()

    def target(n: int) -> float:
        if not labelled or labelled[n] == FOREVER:
            return NAN
        if labelled[n] <= known:
            return targets[n]
        return next((told for came, told in reversed(chunk.earlier.get(n, ())) if came <= known), NAN)

    return Past(
        [at[n] for n in there],
        [arrived[n] for n in there],
        [(msgspec.Raw(_pack([keys[n] for n in there])), 0, len(there))],
        {name: [values[n] for n in there] for name, values in numbers.items()},
        {name: [values[n] for n in there] for name, values in words.items()},
        [target(n) for n in there],
        frozenset(chunk.gaps),
    )


def _joined(parts: Sequence[Past]) -> Past:
    names = {name for part in parts for name in part.numbers}
    texts = {name for part in parts for name in part.words}
    absent = {n for part in parts for n in (*names, *texts) if n not in part.numbers and n not in part.words}
    return Past(
        _chained(part.at for part in parts),
        _chained(part.arrived for part in parts),
        [keys for part in parts for keys in part._keys],
        {n: _chained(part.numbers.get(n, [NAN] * len(part.at)) for part in parts) for n in names - texts},
        {n: _chained(part.words.get(n, [""] * len(part.at)) for part in parts) for n in texts},
        _chained(part.targets for part in parts),
        frozenset(absent.union(*(part.gaps for part in parts))),
    )


def _chained(parts: Iterable[Sequence[Any]]) -> Sequence[Any]:
    """Views of packed parts are joined as bytes, without a look at their values."""
    every = list(parts)
    if all(type(part) is memoryview for part in every):
        return memoryview(b"".join(every)).cast(every[0].format)  # type: ignore[attr-defined, arg-type]
    return list(chain.from_iterable(every))


def _whole(values: Iterable[int]) -> bytes:
    return array("q", values).tobytes()


def _doubles(values: Iterable[float]) -> bytes:
    return array("d", values).tobytes()


@lru_cache(maxsize=LIMIT * 4)
def _nans(count: int) -> Sequence[float]:
    return memoryview(array("d", [NAN] * count).tobytes()).cast("d")


def _q(part: bytes) -> Sequence[int]:
    return memoryview(part).cast("q")


def _d(part: bytes) -> Sequence[float]:
    return memoryview(part).cast("d")
