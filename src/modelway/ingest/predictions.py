"""Prediction events become rows: one an answered row, with its inputs as JSON and its scores as a list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import polars as pl

from modelway.events import block
from modelway.events.log import BLOCK, Event
from modelway.ingest.decode import Decoded, bad_frame
from modelway.ingest.frames import PLACE, SPOT
from modelway.ingest.source import Source

SCHEMA = {
    "request": pl.String(),
    "index": pl.Int64(),
    "key": pl.String(),
    "at": pl.Datetime("us", "UTC"),
    "served": pl.Datetime("us", "UTC"),
    "version": pl.Int64(),
    "digest": pl.String(),
    "shadow": pl.Boolean(),
    "status": pl.String(),
    "reason": pl.String(),
    "row": pl.String(),
    "scores": pl.List(pl.Float64()),
    "prediction": pl.String(),
    "upto": pl.String(),
    "ms": pl.Float64(),
    "features": pl.String(),
    "pinned": pl.Boolean(),
    "caller": pl.String(),
    "member": pl.String(),
    "fallback": pl.String(),
    "way": pl.Float64(),
}

_OF_THE_ATTEMPT = ("served", "at", "upto", "ms", "way")
"""What differs when the same is asked again under the same id, and answered alike."""
_ANSWER = tuple(name for name in SCHEMA if name not in _OF_THE_ATTEMPT)
_EXACT = 2.0**53
_DECODED = {**PLACE, **SCHEMA, "_key": pl.String()}


class Prediction(msgspec.Struct, frozen=True):
    """What the server writes for each row that it was asked for (see `serving.log`)."""

    request: str
    index: int
    version: int
    digest: str
    served: datetime
    status: str
    key: str | None = None
    at: datetime | None = None
    shadow: bool = False
    reason: str = ""
    row: msgspec.Raw = msgspec.Raw(b"{}")
    scores: list[float | None] = msgspec.field(default_factory=list)
    prediction: str | float | None = None
    upto: Mapping[str, int] = msgspec.field(default_factory=dict)
    ms: float | None = None
    features: msgspec.Raw = msgspec.Raw(b"")
    pinned: bool = False
    """The client named the version: no share was drawn for it, so it is no evidence of a release."""
    caller: str | None = None
    """Whom the client named for the drawing of shares."""
    member: str | None = None
    """Which version of a composition answered, as MODEL@VERSION."""
    fallback: str | None = None
    """Why that was the fallback; "" where it was not."""
    way: float | None = None
    """Of `ms`, what a challenger takes only because it answers in a process of its own."""


@dataclass(frozen=True)
class AllRows:
    accepted: pl.DataFrame
    quarantined: pl.DataFrame
    warnings: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


def predictions_source(topic: str) -> Source:
    """How prediction events are ingested: known by request, row and version; a client's second attempt that was answered as the
    first is no second row."""
    return Source(topic, lambda rows: AllRows(rows, rows.clear()), content=_ANSWER, decode=decode_predictions)


def decode_predictions(events: Sequence[Event]) -> Decoded:
    """One row an event, or those of a block; an event of another shape is bad."""
    reader = msgspec.json.Decoder(Prediction)
    good: list[tuple[Any, ...]] = []
    blocks: list[pl.DataFrame] = []
    bad: list[tuple[Event, str]] = []
    for event in events:
        place = (event.partition, event.offset, 0, event.arrived)
        try:
            if event.content == BLOCK:
                blocks.append(_block(event))
            else:
                good.append((*place, *_row(reader.decode(event.value))))
        except (msgspec.MsgspecError, UnicodeDecodeError, block.BadBlockError) as error:
            bad.append((event, f"no prediction event: {error}"))
    single = pl.DataFrame(good, _DECODED, orient="row")
    rows = pl.concat([single, *blocks]).sort(SPOT) if blocks else single
    return Decoded(rows, bad_frame(bad))


def _row(p: Prediction) -> tuple[Any, ...]:
    said = None if p.prediction is None else str(p.prediction)
    upto = msgspec.json.encode(p.upto).decode()
    row = bytes(p.row).decode()
    name = f"{p.request}/{p.index}/{p.version}"
    whole = (p.request, p.index, p.key, p.at, p.served, p.version, p.digest, p.shadow, p.status, p.reason, row)
    features, answered = bytes(p.features).decode() or None, (p.member, p.fallback, p.way)
    return (*whole, p.scores, said, upto, p.ms, features, p.pinned, p.caller, *answered, name)


class _Common(msgspec.Struct, frozen=True):
    """What the rows of a block share."""

    request: str
    version: int
    digest: str
    served: datetime
    shadow: bool = False
    upto: Mapping[str, int] = msgspec.field(default_factory=dict)
    ms: float | None = None
    pinned: bool = False
    caller: str | None = None
    way: float | None = None


def _block(event: Event) -> pl.DataFrame:
    """The rows of a block, but those that were erased; raises BadBlockError, MsgspecError."""
    one = block.unpack(event.value)
    common, count = msgspec.convert(one.common, _Common), len(one)
    index = pl.Series("index", one.indices, dtype=pl.Int64)
    states, ok = pl.Series(one.states), pl.Series(one.states == 0)
    name = pl.concat_str(pl.lit(f"{common.request}/"), pl.lit(index), pl.lit(f"/{common.version}"))
    shared = {"request": common.request, "served": common.served, "at": common.served, "version": common.version}
    shared |= {"digest": common.digest, "shadow": common.shadow, "ms": common.ms, "pinned": common.pinned}
    shared |= {"caller": common.caller, "way": common.way, "member": None, "fallback": None}
    shared |= {"upto": msgspec.json.encode(common.upto).decode(), "features": None}
    shared |= {"_partition": event.partition, "_offset": event.offset, "_arrived": event.arrived}
    made = pl.DataFrame(
        {
            "_index": pl.int_range(count, eager=True),
            "index": index,
            "key": pl.Series(one.named, dtype=pl.String),
            "status": states.replace_strict(dict(enumerate(block.STATES)), default="", return_dtype=pl.String),
            "reason": pl.Series([one.reasons.get(place, "") for place in range(count)], dtype=pl.String),
            "row": _texts(one),
            "scores": pl.Series(one.scores, dtype=pl.Array(pl.Float64, one.scores.shape[1])).cast(SCHEMA["scores"]),
            "prediction": _predicted(one),
            "_key": pl.select(name).to_series(),
        }
    )
    none = pl.lit([], SCHEMA["scores"])
    made = made.with_columns(pl.lit(value, _DECODED[name]).alias(name) for name, value in shared.items())
    made = made.with_columns(pl.when(ok).then(pl.col("scores")).otherwise(none), pl.when(ok).then(pl.col("prediction")))
    return made.filter(states != block.ERASED).select(pl.col(name).cast(kind) for name, kind in _DECODED.items())


def _texts(one: block.Block) -> pl.Series:
    """Each row as JSON, by column name."""
    columns = [
        _whole(pl.Series(name, one.numbers[:, place]).fill_nan(None), whole)
        for place, (name, whole) in enumerate(zip(one.columns, one.whole, strict=True))
    ]
    columns += [pl.Series(name, values, dtype=pl.String) for name, values in one.texts.items()]
    return pl.DataFrame(columns).select(pl.struct(pl.all()).struct.json_encode()).to_series()


def _whole(values: pl.Series, whole: bool) -> pl.Series:
    exact = whole and ((values == values.round()) & (values.abs() < _EXACT)).all()
    return values.cast(pl.Int64) if exact else values


def _predicted(one: block.Block) -> pl.Series:
    if not one.classes:
        return pl.Series([str(value) for value in one.scores[:, 0].tolist()], dtype=pl.String)
    return pl.Series(one.classes, dtype=pl.String).gather(one.places.astype("u4"))
