"""One micro-batch: events from the log, checked, to the lake and to the quarantine, exactly once.

The position in the log is committed with the rows, in one Delta commit. The quarantine is another table and commits
first: if the process dies between the two, the next pass reads the same events again, no further, and finds the refused
rows there already. Two ingesters may race: the commit of the later one is refused, and it reads its position again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import polars as pl

from modelway import faults
from modelway.events.log import ARROW, Event, EventLog
from modelway.ingest.decode import PLACE, Decoded, decode
from modelway.ingest.identity import contents, keys, moments
from modelway.lake.tables import Lake, absent
from modelway.records import Ingested, TableVersion

APP = "ingest"
_ARROW_EVENTS = 16
"""Events that hold many rows each are taken in smaller numbers, so that a batch fits in memory."""
SPOT = ("_partition", "_offset", "_index")
QUARANTINE = {**PLACE, "_key": pl.String(), "_raw": pl.String(), "_reasons": pl.String()}


class CheckedRows(Protocol):
    """What a contract makes of raw rows (see `contracts.checked`)."""

    @property
    def accepted(self) -> pl.DataFrame: ...
    @property
    def quarantined(self) -> pl.DataFrame: ...
    @property
    def warnings(self) -> Mapping[str, int]: ...


Check = Callable[[pl.DataFrame], CheckedRows]


@dataclass(frozen=True)
class Source:
    """A topic, the table it fills, and what its rows are known by."""

    topic: str
    check: Check
    key: str | None = None
    event_time: str | None = None
    content: tuple[str, ...] = ()
    """The columns that make a row of a known key the same row again; none named: all of them."""
    doubles_within: timedelta = timedelta(days=30)
    decode: Callable[[list[Event]], Decoded] = decode

    @property
    def quarantine(self) -> str:
        return f"{self.topic}_quarantine"


def ingest_batch(log: EventLog, lake: Lake, source: Source, limit: int = 50_000) -> Ingested | None:
    """Bring in up to `limit` events; None when there is nothing new."""
    while True:
        seen, beside = (lake.version(name) or absent(name) for name in (source.topic, source.quarantine))
        positions = lake.positions(source.topic, APP)
        events = _unread(log, lake, source, positions, limit)
        if not events:
            return None
        log.settle(source.topic)  # a position on disk must not stand for events that a power cut can take
        upto = {event.partition: event.offset + 1 for event in events}
        decoded = source.decode(events)
        made = split(decoded, source)
        if not _quarantine(lake, source, made.refused, upto, beside):
            continue
        done = commit(lake, source, made.accepted, upto, seen)
        if done is not None:
            table, fresh, doubles, corrections = done
            return Ingested(
                topic=source.topic,
                table=table,
                read=decoded.rows.height + decoded.bad.height,
                accepted=fresh,
                doubles=doubles,
                corrections=corrections,
                quarantined=made.refused.height,
                warnings=made.warnings,
                next_offset=max(upto.values()),
            )


@dataclass(frozen=True)
class Split:
    accepted: pl.DataFrame
    refused: pl.DataFrame
    warnings: Mapping[str, int]


def split(decoded: Decoded, source: Source) -> Split:
    """Rows that the contract takes, with `_key`, `_content` and `_at`; and those it refuses, raw and with reasons."""
    checked = source.check(decoded.rows)
    rows = checked.accepted
    content = contents(rows.select(source.content) if source.content else rows)
    known = rows.drop([c for c in ("_key", "_content", "_at") if c in rows.columns and c != "_key"])
    known = known.with_columns(keys(known, source.key, content), content, moments(rows, source.event_time))
    reasons = pl.lit(None, pl.String)
    if source.event_time:
        reasons = (
            pl.when(pl.col("_at").is_null()).then(pl.lit(f"{source.event_time}: no event time")).otherwise(reasons)
        )
    if source.key:
        reasons = pl.when(pl.col("_key").is_null()).then(pl.lit(f"{source.key}: the key is missing")).otherwise(reasons)
    known = known.with_columns(reasons.alias("_reasons"))
    nameless = known.filter(pl.col("_reasons").is_not_null())
    refused = [raw_rows(checked.quarantined, source.key), raw_rows(nameless, source.key), _shaped(decoded.bad)]
    accepted = known.filter(pl.col("_reasons").is_null()).drop("_reasons")
    return Split(accepted, pl.concat(refused).sort(SPOT), dict(checked.warnings))


def commit(
    lake: Lake, source: Source, rows: pl.DataFrame, upto: Mapping[int, int], seen: TableVersion
) -> tuple[TableVersion, int, int, int] | None:
    """Append what the table does not know yet; None when it is no longer as it was `seen` before the position was read."""
    fresh, doubles, corrections = new_rows(lake, source, rows)
    faults.point("ingest.before-commit")
    table = lake.append(source.topic, fresh, app=APP, upto=upto, seen=seen)
    faults.point("ingest.after-commit")
    return None if table is None else (table, fresh.height, doubles, corrections)


def new_rows(lake: Lake, source: Source, rows: pl.DataFrame) -> tuple[pl.DataFrame, int, int]:
    """Without those of a known key and content; how many doubles there were, and how many rows correct a known key."""
    single = rows.unique(["_key", "_content"], keep="first", maintain_order=True)
    if single.height and lake.version(source.topic) is not None:
        horizon = single["_arrived"].min() - source.doubles_within  # type: ignore[operator]
        wanted = single.lazy().select("_key").unique()
        seen = lake.scan(source.topic).filter(pl.col("_arrived") >= horizon).select("_key", "_content")
        known = seen.join(wanted, on="_key", how="semi").unique().collect()
    else:
        known = pl.DataFrame(schema={"_key": pl.String, "_content": pl.String})
    fresh = single.join(known, on=["_key", "_content"], how="anti", maintain_order="left")
    again = fresh.select(
        (pl.col("_key").is_in(known["_key"].implode())) | ~pl.col("_key").is_first_distinct()
    ).to_series()
    return fresh, rows.height - fresh.height, int(again.sum())


def raw_rows(rows: pl.DataFrame, key: str | None) -> pl.DataFrame:
    """Refused rows as they came: place, key, JSON, reasons."""
    if rows.height == 0:
        return pl.DataFrame(schema=QUARANTINE)
    inner = [name for name in rows.columns if not name.startswith("_")]
    told = [_told(rows[name]) for name in inner]
    raw = pl.select(pl.struct(told).struct.json_encode()).to_series() if inner else pl.Series(["{}"] * rows.height)
    named = rows.with_columns(raw.alias("_raw"))
    if key in rows.columns:
        named = named.with_columns(keys(rows, key, pl.Series("_content", [], dtype=pl.String)))
    return _shaped(named)


def _told(values: pl.Series) -> pl.Series:
    """As JSON can hold it: it has no infinity, and would say null, which is another value."""
    return values.cast(pl.String) if values.dtype.is_float() and values.is_infinite().any() else values


def _shaped(rows: pl.DataFrame) -> pl.DataFrame:
    if "_key" not in rows.columns:
        rows = rows.with_columns(pl.lit(None, pl.String).alias("_key"))
    return rows.select(pl.col(name).cast(dtype) for name, dtype in QUARANTINE.items())


def _unread(log: EventLog, lake: Lake, source: Source, positions: Mapping[int, int], limit: int) -> list[Event]:
    """The next events; no further than the quarantine is, when it is ahead: a pass died between the two commits."""
    events = log.read(source.topic, positions, _ARROW_EVENTS)
    if not any(event.content == ARROW for event in events):
        events = log.read(source.topic, positions, limit)
    ahead = lake.positions(source.quarantine, APP)
    torn = {p: q for p, q in ahead.items() if q > positions.get(p, 0)}
    return [event for event in events if event.offset < torn.get(event.partition, event.offset + 1)]


def _quarantine(lake: Lake, source: Source, refused: pl.DataFrame, upto: Mapping[int, int], seen: TableVersion) -> bool:
    """Keep the refused rows once; False when another ingester moved on since the quarantine was `seen`."""
    if refused.height == 0:
        return True
    ahead = lake.positions(source.quarantine, APP)
    if all(ahead.get(partition, 0) >= offset for partition, offset in upto.items()):
        return _complete(lake, source, refused)
    faults.point("ingest.before-quarantine")
    done = lake.append(source.quarantine, refused, app=APP, upto=upto, seen=seen)
    faults.point("ingest.after-quarantine")
    return done is not None


def _complete(lake: Lake, source: Source, refused: pl.DataFrame) -> bool:
    """After a torn pass: the contract may have changed since, so rows that are refused only now are added."""
    there: Any = lake.version(source.quarantine)
    known = lake.read(there, list(SPOT))
    missing = refused.join(known, on=list(SPOT), how="anti")
    return missing.height == 0 or lake.append(source.quarantine, missing, seen=there) is not None
