"""Events become one frame of raw rows with their places in the log; what cannot be read is kept apart, with the reason."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import polars as pl

from modelway.events.log import ARROW, REGISTERED, TOMBSTONE, Event
from modelway.ingest.frames import BAD, PLACE, SPOT, stacked
from modelway.ingest.json_row import shown
from modelway.ingest.json_rows import Kinds, decode_json
from modelway.ingest.registered import Frames, decode_registered
from modelway.schemas.port import Schemas


@dataclass(frozen=True)
class Decoded:
    """`rows`: a column for each name, and the place columns; `bad`: events that hold no row (see `frames.BAD`)."""

    rows: pl.DataFrame
    bad: pl.DataFrame
    tombstones: int = 0
    events: int = 0


def decoder(kinds: Kinds, schemas: Schemas | None = None) -> Callable[[Sequence[Event]], Decoded]:
    """`decode` with what a source knows."""
    return lambda events: decode(events, kinds, schemas)


def decode(events: Sequence[Event], kinds: Kinds | None = None, schemas: Schemas | None = None) -> Decoded:
    """Rows of all kinds of events; `kinds` are the contract's types by column, `schemas` those of a registry.

    A column whose values have mixed types becomes text (JSON for what is no string); nothing is guessed or cut.
    """
    frames: list[pl.DataFrame] = []
    bad: list[tuple[Event, str]] = []
    tombstones = 0
    contents = set(map(attrgetter("content"), events))
    for content in sorted(contents):
        some = events if len(contents) == 1 else [event for event in events if event.content == content]
        if content == ARROW:
            for event in some:
                _arrow(event, frames, bad)
        elif content == TOMBSTONE:
            tombstones = len(some)
        else:
            found, refused = _read([event.value for event in some], content, kinds or {}, schemas)
            frames += [_placed(frame, some, places) for places, frame in found]
            bad += [(some[place], reason) for place, reason in refused.items()]
    rows = stacked(frames)
    return Decoded(rows.sort(SPOT) if len(frames) > 1 else rows, bad_frame(bad).sort(SPOT), tombstones, len(events))


def _read(
    values: Sequence[bytes], content: str, kinds: Kinds, schemas: Schemas | None
) -> tuple[Frames, dict[int, str]]:
    if content != REGISTERED:
        return decode_json(values, kinds)
    if schemas is None:
        return [], dict.fromkeys(range(len(values)), _NO_REGISTRY)
    return decode_registered(values, schemas, kinds)


def together(parts: Sequence[Decoded]) -> Decoded:
    """What was decoded piece by piece, in the order of the pieces."""
    if len(parts) == 1:
        return parts[0]
    rows, bad = stacked(part.rows for part in parts), pl.concat([part.bad for part in parts])
    return Decoded(rows.rechunk(), bad, sum(part.tombstones for part in parts), sum(part.events for part in parts))


_OF_EVENT = {"_partition": "partition", "_offset": "offset", "_arrived": "arrived_us"}
_NO_REGISTRY = "a value of a schema registry, and stack.yaml names none (events.kafka.registry)"


def bad_frame(bad: Sequence[tuple[Event, str]]) -> pl.DataFrame:
    """Events without a row, in the form of the quarantine."""
    rows = [(e.partition, e.offset, 0, e.arrived, e.key, shown(e.value), e.value, reason) for e, reason in bad]
    return pl.DataFrame(rows, BAD, orient="row")


def places_of(events: Sequence[Event]) -> pl.DataFrame:
    """The place columns of events that hold one row each."""
    count = len(events)
    partitions, offsets, arrived = (
        pl.Series(name, np.fromiter(map(attrgetter(of), events), np.int64, count)) for name, of in _OF_EVENT.items()
    )
    index = pl.Series("_index", np.zeros(count, np.int64))
    moments = arrived.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return pl.DataFrame([partitions, offsets, index, moments])


def _arrow(event: Event, frames: list[pl.DataFrame], bad: list[tuple[Event, str]]) -> None:
    try:
        table = pl.read_ipc_stream(io.BytesIO(event.value))
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        bad.append((event, f"not an Arrow stream: {_first_line(error)}"))
        return
    places = pl.select(
        _partition=pl.repeat(event.partition, table.height, dtype=pl.Int64),
        _offset=pl.repeat(event.offset, table.height, dtype=pl.Int64),
        _index=pl.int_range(table.height, dtype=pl.Int64),
        _arrived=pl.repeat(event.arrived, table.height, dtype=PLACE["_arrived"]),
    )
    frames.append(_with_places(table, places))


def _placed(rows: pl.DataFrame, events: Sequence[Event], places: Sequence[int]) -> pl.DataFrame:
    return _with_places(rows, places_of(events if len(places) == len(events) else [events[place] for place in places]))


def _with_places(rows: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    return places.hstack(rows.drop([c for c in rows.columns if c in PLACE]).get_columns())


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
