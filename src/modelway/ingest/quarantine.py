"""Refused rows: listed with their reasons, and checked again when the contract was mended."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
import polars as pl

from modelway.events.log import Event, sniffed
from modelway.expressions.values import microseconds
from modelway.ingest.batch import ROOM, fitting, split
from modelway.ingest.decode import Decoded
from modelway.ingest.frames import BAD, PLACE, SPOT, rows_frame
from modelway.ingest.known import Known
from modelway.ingest.source import Source
from modelway.lake.tables import Lake, absent
from modelway.records import Ingested

_AGE = ("_arrived", "_offset", "_index")


def waiting(lake: Lake, source: Source) -> pl.DataFrame:
    """Refused rows that did not enter the table since, and for whose key nothing later did, in the order of the log."""
    if lake.version(source.quarantine) is None:
        return pl.DataFrame()
    refused = lake.read(source.quarantine)
    if lake.version(source.topic) is not None:
        there = lake.read(source.topic, [*SPOT, "_key", "_arrived"])
        refused = refused.join(there, on=list(SPOT), how="anti")
        newest = there.sort(_AGE).unique("_key", keep="last").select("_key", pl.col(_AGE).name.suffix("_there"))
        beside = refused.join(newest, on="_key", how="left", maintain_order="left")
        refused = beside.filter(~_later_there().fill_null(False)).select(refused.columns)
    return refused.sort(SPOT)


def _later_there() -> pl.Expr:
    """Whether the key's newest row in the table came after this one."""
    later = pl.lit(False)
    for name in reversed(_AGE):
        there = pl.col(f"{name}_there")
        later = (there > pl.col(name)) | ((there == pl.col(name)) & later)
    return later


def listed(lake: Lake, source: Source) -> list[dict[str, object]]:
    """One line a reason: place, key, column, rule, value, reason."""
    return [
        {
            "place": f"{row['_partition']}:{row['_offset']}:{row['_index']}",
            "key": row["_key"],
            "reason": reason,
            "row": row["_raw"],
        }
        for row in waiting(lake, source).iter_rows(named=True)
        for reason in str(row["_reasons"]).split("; ")
    ]


def find(lake: Lake, source: Source, place: str) -> dict[str, object] | None:
    """The refused row or event at a place as `listed` writes it, with its bytes if it held no row; None if none is there."""
    for row in waiting(lake, source).iter_rows(named=True):
        if f"{row['_partition']}:{row['_offset']}:{row['_index']}" == place:
            return {"topic": source.topic, "place": place, **{name.lstrip("_"): row.get(name) for name in BAD}}
    return None


def replay(lake: Lake, source: Source, now: datetime, known: Known | None = None) -> Ingested | None:
    """Check refused rows again; those that hold now enter the table, with `now` as the time at which it knew them."""
    held = known or Known(source.topic, source.doubles_within, ROOM)
    while True:
        table = lake.version(source.topic)
        refused = waiting(lake, source)
        decoded = again(refused, source)
        if decoded.rows.height == 0:
            return None
        moment = pl.lit(now).cast(pl.Datetime("us", "UTC")).alias("_arrived")
        rechecked = replace(source, check=source.recheck or source.check)
        made = split(fitting(Decoded(decoded.rows.with_columns(moment), decoded.bad), source, lake), rechecked)
        fresh = held.fresh(lake, table or absent(source.topic), made.accepted)
        count = fresh.rows.height
        done = lake.append(source.topic, fresh.rows, seen=table or absent(source.topic)) if count else table
        if done is None and count:
            continue
        if done is not None and count:
            held.took(done, fresh.rows)
        version = done or absent(source.topic)
        stay = refused.height - count
        return Ingested(source.topic, version, decoded.rows.height, count, fresh.doubles, fresh.corrections, stay)


def again(refused: pl.DataFrame, source: Source) -> Decoded:
    """Refused rows as they were decoded, and what today's decoder makes of events that held no row."""
    raw = refused.filter(pl.col("_bytes").is_not_null()) if "_bytes" in refused.columns else refused.clear()
    rows = readable(refused.filter(pl.col("_bytes").is_null()) if "_bytes" in refused.columns else refused)
    if not raw.height:
        return Decoded(rows, pl.DataFrame(schema=BAD))
    retried = source.decode([_event(source, row) for row in raw.iter_rows(named=True)])
    return Decoded(
        pl.concat([f for f in (rows, retried.rows) if f.height] or [rows], how="diagonal_relaxed"), retried.bad
    )


def readable(refused: pl.DataFrame) -> pl.DataFrame:
    """The rows again as they were decoded; events that held no row are left out."""
    objects, places = [], []
    for row in refused.iter_rows(named=True):
        try:
            value = orjson.loads(row["_raw"])
        except orjson.JSONDecodeError:
            continue
        if isinstance(value, dict):
            objects.append(value)
            places.append({name: row[name] for name in (*SPOT, "_arrived", "_key")})
    if not objects:
        return pl.DataFrame()
    return pl.DataFrame(places, {**PLACE, "_key": pl.String()}).hstack(rows_frame(objects).get_columns())


def _event(source: Source, row: dict[str, Any]) -> Event:
    value = row["_bytes"]
    arrived = microseconds(row["_arrived"])
    return Event(source.topic, row["_partition"], row["_offset"], arrived, row["_key"] or "", value, sniffed(value), {})
