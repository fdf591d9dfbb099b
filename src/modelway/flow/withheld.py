"""A source as ingestion reads it where its log still holds erased events: without them."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from modelway.events.log import Event
from modelway.ingest.decode import Decoded
from modelway.ingest.frames import SPOT
from modelway.ingest.source import Source
from modelway.state.database import Database
from modelway.state.withheld import WHOLE, withheld


def without_erased(database: Database, source: Source) -> Source:
    """The places are asked for at every batch: a position may be set back at any time."""

    def decode(events: Sequence[Event]) -> Decoded:
        places = withheld(database, source.topic)
        if not places:
            return source.decode(events)
        made = source.decode([event for event in events if (event.partition, event.offset, WHOLE) not in places])
        if not made.rows.height:
            return made
        gone = pl.DataFrame(sorted(places), dict.fromkeys(SPOT, pl.Int64()), orient="row")
        return replace(made, rows=made.rows.join(gone, on=list(SPOT), how="anti", maintain_order="left"))

    return replace(source, decode=decode)
