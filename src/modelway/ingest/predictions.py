"""Prediction events become rows: one an answered row, with its inputs as JSON and its scores as a list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import polars as pl

from modelway.events.log import Event
from modelway.ingest.decode import Decoded, bad_frame
from modelway.ingest.frames import PLACE
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
    "way": pl.Float64(),
}


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
    way: float | None = None
    """Of `ms`, what a challenger takes only because it answers in a process of its own."""


@dataclass(frozen=True)
class AllRows:
    accepted: pl.DataFrame
    quarantined: pl.DataFrame
    warnings: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


def predictions_source(topic: str) -> Source:
    """How prediction events are ingested: known by request, row and version, whether in shadow or not."""
    return Source(topic, lambda rows: AllRows(rows, rows.clear()), decode=decode_predictions)


def decode_predictions(events: Sequence[Event]) -> Decoded:
    """One row an event; an event of another shape is bad."""
    reader = msgspec.json.Decoder(Prediction)
    good: list[tuple[Any, ...]] = []
    bad: list[tuple[Event, str]] = []
    for event in events:
        place = (event.partition, event.offset, 0, event.arrived)
        try:
            good.append((*place, *_row(reader.decode(event.value))))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            bad.append((event, f"no prediction event: {error}"))
    return Decoded(pl.DataFrame(good, {**PLACE, **SCHEMA, "_key": pl.String()}, orient="row"), bad_frame(bad))


def _row(p: Prediction) -> tuple[Any, ...]:
    said = None if p.prediction is None else str(p.prediction)
    upto = msgspec.json.encode(p.upto).decode()
    row = bytes(p.row).decode()
    name = f"{p.request}/{p.index}/{p.version}"
    whole = (p.request, p.index, p.key, p.at, p.served, p.version, p.digest, p.shadow, p.status, p.reason, row)
    return (*whole, p.scores, said, upto, p.ms, bytes(p.features).decode() or None, p.pinned, p.caller, p.way, name)
