"""Refused rows: listed with their reasons, and checked again when the contract was mended."""

from datetime import datetime

import orjson
import polars as pl

from modelway.ingest.batch import SPOT, Source, new_rows, split
from modelway.ingest.decode import PLACE, Decoded, rows_frame
from modelway.lake.tables import Lake
from modelway.records import Ingested, TableVersion

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


def replay(lake: Lake, source: Source, now: datetime) -> Ingested | None:
    """Check refused rows again; those that hold now enter the table, with `now` as the time at which it knew them."""
    while True:
        table = lake.version(source.topic)
        refused = waiting(lake, source)
        rows = readable(refused)
        if rows.height == 0:
            return None
        made = split(
            Decoded(rows.with_columns(pl.lit(now).cast(pl.Datetime("us", "UTC")).alias("_arrived")), _none()), source
        )
        fresh, doubles, corrections = new_rows(lake, source, made.accepted)
        done: TableVersion | None = lake.append(source.topic, fresh, seen=table) if fresh.height else table
        if done is None and fresh.height:
            continue
        return Ingested(
            source.topic,
            done or TableVersion(source.topic, 0),
            rows.height,
            fresh.height,
            doubles,
            corrections,
            refused.height - fresh.height,
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


def _none() -> pl.DataFrame:
    return pl.DataFrame(
        schema={
            **{n: pl.Int64() for n in SPOT},
            "_arrived": pl.Datetime("us", "UTC"),
            "_raw": pl.String(),
            "_reasons": pl.String(),
        }
    )
