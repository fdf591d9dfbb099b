"""One micro-batch: events from the log, checked, to the lake and to the quarantine, exactly once.

The positions in the log are committed with the rows, in one Delta commit, which goes through only if the table still stands
at the positions from which the batch was read. The quarantine is another table and commits first: if the process dies between
the two, the next pass finds the refused rows there already, by their places. Many ingesters may race, late and fenced ones
too: whoever comes second finds other positions, and drops its batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import polars as pl

from modelway import faults
from modelway.errors import EventLogError
from modelway.events.log import MANY, Event, EventLog
from modelway.ingest.decode import Decoded
from modelway.ingest.fields import demand_fields
from modelway.ingest.frames import SPOT
from modelway.ingest.identity import contents, keys, moments
from modelway.ingest.known import Known
from modelway.ingest.refused import raw_rows, shaped
from modelway.ingest.source import APP, IDENTITY, Source
from modelway.lake.tables import Lake, absent
from modelway.records import Ingested

ROOM = 64 * 1024 * 1024
"""Bytes of values that are read at once."""
_MANY_ROOM = 16 * 1024 * 1024
"""Arrow streams are packed: in memory they are several times as large."""


@dataclass(frozen=True)
class Batch:
    """What some events of one topic hold, in the order of their offsets; the positions by partition before and behind them."""

    decoded: Decoded
    since: Mapping[int, int | None]
    upto: Mapping[int, int]


def upto(events: Sequence[Event]) -> dict[int, int]:
    """The positions by partition behind these events."""
    last = dict(zip(map(attrgetter("partition"), events), events, strict=True))
    return {partition: event.offset + 1 for partition, event in last.items()}


def ingest_batch(
    log: EventLog, lake: Lake, source: Source, known: Known | None = None, limit: int = 50_000
) -> Ingested | None:
    """Bring in up to `limit` events; None when there is nothing new."""
    held = known or Known(source.topic, source.doubles_within, ROOM)
    while (batch := read_batch(log, lake, source, limit)) is not None:
        if (done := bring_in(log, lake, source, batch, held)) is not None:
            return done
    return None


def read_batch(log: EventLog, lake: Lake, source: Source, limit: int) -> Batch | None:
    """What comes next after the table's positions; None when nothing does.

    Raises EventLogError when the positions are of another topic of the same name, or no longer there.
    """
    here = lake.positions(source.topic, APP)
    demand_same_topic(log, lake, source)
    events = log.read(source.topic, here, limit, room=_MANY_ROOM)
    if events and not any(event.content in MANY for event in events) and len(events) < limit:
        after = {**here, **upto(events)}
        events += log.read(source.topic, after, limit - len(events), room=ROOM - _MANY_ROOM)
    if not events:
        return None
    behind = upto(events)
    return Batch(source.decode(events), {partition: here.get(partition) for partition in behind}, behind)


def demand_same_topic(log: EventLog, lake: Lake, source: Source) -> int:
    """The topic's number; raises EventLogError when the table was built from another topic of this name."""
    recorded, now = lake.number(source.topic, APP, IDENTITY), log.identity(source.topic)
    if recorded is not None and now is not None and recorded != now:
        raise EventLogError(
            f"topic {source.topic} was deleted and made anew: its positions in the lake are those of the former one;"
            " nothing was skipped or read",
            f"modelway positions show {source.topic}, then decide: modelway positions set {source.topic} --to oldest",
            topic=source.topic,
        )
    return now or 0


def bring_in(log: EventLog, lake: Lake, source: Source, batch: Batch, known: Known) -> Ingested | None:
    """Bring a batch in; None, having added no row to the table, when another ingester has moved its positions since."""
    identity = demand_same_topic(log, lake, source)
    log.settle(source.topic)  # a position on disk must not stand for events that a power cut can take
    decoded = fitting(batch.decoded, source, lake)
    made = split(decoded, source)
    while True:
        seen, beside = (lake.version(name) or absent(name) for name in (source.topic, source.quarantine))
        here = lake.positions(source.topic, APP)
        if any(here.get(partition) != position for partition, position in batch.since.items()):
            return None
        if made.refused.height and not _keep_refused(lake, source, made.refused, batch, beside):
            continue
        fresh = known.fresh(lake, seen, made.accepted)
        faults.point("ingest.before-commit")
        table = lake.append(source.topic, fresh.rows, app=APP, upto=batch.upto, numbers={IDENTITY: identity}, seen=seen)
        faults.point("ingest.after-commit")
        if table is None:
            continue
        known.took(table, fresh.rows)
        return Ingested(
            topic=source.topic,
            table=table,
            read=decoded.rows.height + decoded.bad.height,
            accepted=fresh.rows.height,
            doubles=fresh.doubles,
            corrections=fresh.corrections,
            quarantined=made.refused.height,
            warnings=made.warnings,
            breaches=made.breaches,
            events=decoded.events,
            tombstones=decoded.tombstones,
        )


def fitting(decoded: Decoded, source: Source, lake: Lake) -> Decoded:
    """Without the rows that bring fields which the table cannot take: those are refused."""
    if source.named is None:
        return decoded

    def stored() -> pl.Schema:
        table = lake.version(source.topic)
        return pl.Schema() if table is None else lake.scan(table).collect_schema()

    return demand_fields(decoded, source.named, stored, source.key)


@dataclass(frozen=True)
class Split:
    accepted: pl.DataFrame
    refused: pl.DataFrame
    warnings: Mapping[str, int]
    breaches: Mapping[str, int]


def split(decoded: Decoded, source: Source) -> Split:
    """Rows that the contract takes, with `_key`, `_content` and `_at`; and those it refuses, raw and with reasons."""
    checked = source.check(decoded.rows)
    known = known_rows(checked.accepted, source)
    without = nameless(known, source)
    refused = [raw_rows(checked.quarantined, source.key), shaped(decoded.bad)]
    if without is not None:
        refused.append(raw_rows(known.with_columns(without).filter(without.is_not_null()), source.key))
        known = known.filter(without.is_null())
    return Split(known, pl.concat(refused).sort(SPOT), dict(checked.warnings), dict(checked.counts))


def known_rows(rows: pl.DataFrame, source: Source) -> pl.DataFrame:
    """Rows that the contract takes with what they are known by: `_key`, `_content` and `_at`."""
    content = contents(rows.select(source.content) if source.content else rows)
    known = rows.drop([c for c in ("_key", "_content", "_at") if c in rows.columns and c != "_key"])
    return known.with_columns(keys(known, source.key, content), content, moments(rows, source.event_time))


def nameless(rows: pl.DataFrame, source: Source) -> pl.Series | None:
    """Why a row cannot be kept although the contract takes it: no key, no event time; None when all can."""
    wanted = {"_key": (source.key, "the key is missing"), "_at": (source.event_time, "no event time")}
    if not any(column and rows[name].null_count() for name, (column, _) in wanted.items()):
        return None
    reasons = pl.lit(None, pl.String)
    for name in ("_at", "_key"):
        column, told = wanted[name]
        if column:
            reasons = pl.when(pl.col(name).is_null()).then(pl.lit(f"{column}: {told}")).otherwise(reasons)
    return rows.select(reasons.alias("_reasons")).to_series()


def _keep_refused(lake: Lake, source: Source, refused: pl.DataFrame, batch: Batch, seen: Any) -> bool:
    """Keep the refused rows once; False when the quarantine moved on since it was `seen`.

    It may be ahead: a pass died after it. What it holds of these places is left out, what a mended contract refuses only now
    is added.
    """
    ahead = lake.positions(source.quarantine, APP)
    missing = refused
    if any(ahead.get(partition, 0) > (batch.since.get(partition) or 0) for partition in batch.upto):
        there = lake.read(seen, list(SPOT))
        missing = refused.join(there, on=list(SPOT), how="anti", maintain_order="left")
    if missing.height == 0:
        return True
    upto = {p: offset for p, offset in batch.upto.items() if offset > ahead.get(p, 0)}
    faults.point("ingest.before-quarantine")
    done = lake.append(source.quarantine, missing, app=APP, upto=upto, seen=seen)
    faults.point("ingest.after-quarantine")
    return done is not None
