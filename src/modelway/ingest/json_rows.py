"""Many JSON events as columns: those of the usual shape many at once, the others one by one, with the verdicts of `json_row.py`.

A record of the usual shape has the names of the first one, each once, with JSON's own type for what the contract names. Such
records are read in bulk (`json_bulk.py`); those that are too odd for it go through a compiled decoder (msgspec), and never become
dicts either: a fifth of the time.
"""

import gc
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Annotated, Any

import msgspec
import numpy as np
import polars as pl

from modelway.ingest.frames import column, rows_frame
from modelway.ingest.json_bulk import read_bulk, shape_of
from modelway.ingest.json_row import is_deep, nested, read_row

Kinds = Mapping[str, str]
"""Column → its type in the contract."""
Places = Sequence[int]
_ESCAPED = re.compile(r'[\x00-\x1f"\\]')
_MANY = 100
"""Fewer are not worth the arrays."""
_BULK = 2_000
"""Records whose bytes are looked at together, while they are in the processor's cache."""
_CHUNK = 500
"""Records that are Python objects at once: what is soon freed stays in the processor's cache."""
_QUOTE, _COLON = ord('"'), ord(":")
_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_OF_JSON: Mapping[str, Any] = {
    "float": float | None,
    "int": _INT64 | None,
    "string": str | None,
    "bool": bool | None,
    "date": str | None,
    "datetime": str | None,
}
_COLUMNS: Mapping[str, pl.DataType] = {
    "float": pl.Float64(),
    "int": pl.Int64(),
    "string": pl.String(),
    "bool": pl.Boolean(),
    "date": pl.String(),
    "datetime": pl.String(),
}


def decode_json(values: Sequence[bytes], kinds: Kinds) -> tuple[list[tuple[Places, pl.DataFrame]], dict[int, str]]:
    """Frames, each with the places of its rows among the values; and the places that hold no row, with the reason."""
    frames: list[tuple[Places, pl.DataFrame]] = []
    left: Places = range(len(values))
    if names := _names(values):
        for read in (_in_bulk, _one_shape):
            taken, frame = read(values if len(left) == len(values) else [values[place] for place in left], names, kinds)
            if taken:
                frames.append(([left[index] for index in taken], frame))
                left = sorted(set(left).difference(frames[-1][0])) if len(taken) < len(left) else []
    bad: dict[int, str] = {}
    places, rows = [], []
    for place in left:
        row = read_row(values[place])
        if isinstance(row, str) or (reason := nested(row, kinds)):
            bad[place] = row if isinstance(row, str) else str(reason)
        else:
            places.append(place)
            rows.append(row)
    if rows:
        frames.append((places, rows_frame(rows)))
    return frames, bad


def _names(values: Sequence[bytes]) -> tuple[str, ...]:
    """Those of the first record that is one: most others have the same.

    () where there is none, and where one has a name of ours, or one that JSON writes with an escape.
    """
    first = next((row for value in values[:20] if isinstance(row := read_row(value), dict)), {})
    return () if any(name.startswith("_") or _ESCAPED.search(name) for name in first) else tuple(first)


def _in_bulk(values: Sequence[bytes], names: tuple[str, ...], kinds: Kinds) -> tuple[Places, pl.DataFrame]:
    if len(values) < _MANY or not all(name in kinds for name in names):
        return (), pl.DataFrame()
    known = tuple(kinds[name] for name in names)
    shape = shape_of(names, known, tuple(_COLUMNS[kind] for kind in known))
    found = [read_bulk(values[start : start + _BULK], shape) for start in range(0, len(values), _BULK)]
    good = np.concatenate([which for which, _ in found])
    frame = pl.concat([rows for _, rows in found], rechunk=True)
    return (range(len(values)) if good.all() else np.flatnonzero(good).tolist()), frame


def _one_shape(values: Sequence[bytes], names: tuple[str, ...], kinds: Kinds) -> tuple[Places, pl.DataFrame]:
    decode, astuple = _compiled(names, tuple(kinds.get(name) for name in names))
    parts: list[pl.DataFrame] = []
    untyped: dict[str, list[Any]] = {name: [] for name in names if name not in kinds}
    taken: list[int] = []
    with _without_collection():
        for start in range(0, len(values), _CHUNK):
            rows, good = _rows(values[start : start + _CHUNK], decode, len(names), bool(untyped))
            if rows:
                columns = dict(zip(names, map(list, zip(*map(astuple, rows), strict=True)), strict=True))
                for name, held in untyped.items():
                    held += columns.pop(name)
                parts.append(pl.DataFrame([pl.Series(n, c, dtype=_COLUMNS[kinds[n]]) for n, c in columns.items()]))
            taken += [start + place for place in good]
    typed = pl.concat(parts, rechunk=True) if parts else pl.DataFrame()
    made = [column(name, untyped[name]) if name in untyped else typed[name] for name in names] if taken else []
    return taken, pl.DataFrame(made)


def _rows(
    chunk: Sequence[bytes], decode: Callable[[bytes], Any], width: int, untyped: bool
) -> tuple[list[Any], Sequence[int]]:
    """The records that are of the usual shape, and their places in the chunk; only what has no type may be nested."""
    rows: list[Any] = []
    failed: list[int] = []
    for place, value in enumerate(chunk):
        if untyped and is_deep(value):
            failed.append(place)
            continue
        try:
            rows.append(decode(value))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            failed.append(place)
    if not failed and _each_named_once(chunk, width):
        return rows, range(len(chunk))
    good = [place for place in range(len(chunk)) if place not in set(failed)]
    once = [chunk[place].count(b'":') == width for place in good]
    return [r for r, o in zip(rows, once, strict=True) if o], [p for p, o in zip(good, once, strict=True) if o]


def _each_named_once(chunk: Sequence[bytes], width: int) -> bool:
    """Whether every record has just `width` names; a name that stands twice, or text that looks like one, makes it more."""
    whole = np.frombuffer(b"\n".join(chunk), np.uint8)
    colons = np.flatnonzero(whole == _COLON)
    names = colons[whole[colons - 1] == _QUOTE] - 1
    if names.size != len(chunk) * width:
        return False
    ends = np.cumsum([len(value) + 1 for value in chunk])
    mine = names.reshape(len(chunk), width)
    return bool((mine[:, -1] < ends).all() and (mine[1:, 0] >= ends[:-1]).all())


@lru_cache(maxsize=256)
def _compiled(
    names: tuple[str, ...], kinds: tuple[str | None, ...]
) -> tuple[Callable[[bytes], Any], Callable[[Any], tuple[Any, ...]]]:
    fields = [(f"f{i}", Any if kind is None else _OF_JSON[kind]) for i, kind in enumerate(kinds)]
    renamed = {f"f{index}": name for index, name in enumerate(names)}
    row = msgspec.defstruct("Row", fields, rename=renamed, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(row).decode, msgspec.structs.astuple


@contextmanager
def _without_collection() -> Iterator[None]:
    """Hundreds of thousands of new objects would set the collector off again and again, and none of them is in a cycle."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
