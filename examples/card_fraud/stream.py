"""Payments and labels as a stream: every event in the order of its arrival, and what it must come to in the lake.

A stream is a table that says when each event arrives; its bytes are made when it is sent. The same payments, faults, labels and
seed give the same stream to the last byte.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import orjson
import polars as pl

from examples.card_fraud.faults import Faults, befallen
from modelway.events.log import EventLog, NewEvent

PAYMENTS, LABELS = "card-payments", "card-chargebacks"
_CUT = 20
"""Bytes that the end of an event loses when it is cut short."""


@dataclass(frozen=True)
class Delays:
    """When a payment's label is known. `median_days` alone: exactly so long after it happened, as in the book."""

    median_days: float = 7.0
    spread: float = 0.0
    """Standard deviation of the delay's logarithm; with 0 every delay is the median."""
    least_days: float = 1.0
    most_days: float = 60.0
    never: float = 0.0
    """The share whose label never comes."""


BOOK_DELAYS = Delays()
DRAWN_DELAYS = Delays(spread=0.8, never=0.02)


@dataclass(frozen=True)
class Stream:
    """`events`: arrives, topic, what, becomes and the payment's own columns, in the order of arrival."""

    events: pl.DataFrame
    _place: list[int] = field(default_factory=lambda: [0], repr=False)

    def until(self, moment: datetime) -> Iterator[tuple[datetime, str, list[NewEvent]]]:
        """What arrives up to and at the moment and was not taken before, event by event; those of one instant and topic together."""
        start = self._place[0]
        end = int(self.events["arrives"].search_sorted(moment, side="right"))
        self._place[0] = max(start, end)
        together: list[NewEvent] = []
        here: tuple[datetime, str] | None = None
        for row in self.events[start:end].iter_rows(named=True):
            if here != (row["arrives"], row["topic"]):
                if here is not None:
                    yield *here, together
                here, together = (row["arrives"], row["topic"]), []
            together.append(event_of(row))
        if here is not None:
            yield *here, together

    def sent(self) -> pl.DataFrame:
        """The events that were taken so far."""
        return self.events.head(self._place[0])


def stream_of(made: pl.DataFrame, faults: Faults, delays: Delays, seed: int = 0) -> Stream:
    """The stream of these payments and of their labels."""
    fault_rng, label_rng = np.random.default_rng([seed, 1]).spawn(2)
    sent = befallen(made, faults, fault_rng).with_columns(topic=pl.lit(PAYMENTS))
    told = _labels(made, faults, delays, label_rng).with_columns(topic=pl.lit(LABELS))
    columns = made.select("transaction", "at", "customer", "terminal", "amount", "fraud")
    both = pl.concat([sent, told], how="diagonal").join(columns, on="transaction", how="left")
    timed = both.with_columns(arrives=pl.col("at") + pl.duration(seconds="delay"))
    return Stream(timed.sort("arrives", "topic", "transaction", "what"))


def _labels(made: pl.DataFrame, faults: Faults, delays: Delays, rng: np.random.Generator) -> pl.DataFrame:
    days = np.exp(rng.normal(np.log(delays.median_days), delays.spread, made.height))
    seconds = np.round(np.clip(days, delays.least_days, delays.most_days) * 86_400).astype(np.int64)
    known = rng.random(made.height) >= delays.never
    first = made.select("transaction").with_columns(
        what=pl.lit("label"), delay=pl.Series(seconds), becomes=pl.lit("row")
    )
    told = first.filter(pl.Series(known))
    twice = told.filter(pl.Series(rng.random(told.height) < faults.labels_doubled, dtype=pl.Boolean))
    again = twice.with_columns(what=pl.lit("label again"), delay=pl.col("delay") + 3_600, becomes=pl.lit("double"))
    return pl.concat([told, again])


def event_of(row: dict[str, Any]) -> NewEvent:
    """The event as its producer sends it: a payment by its card, a label by its payment."""
    if row["topic"] == LABELS:
        name = transaction_id(row["transaction"])
        at = row["arrives"].isoformat()
        return NewEvent(name, orjson.dumps({"key": name, "label": str(int(row["fraud"])), "at": at}))
    whole = payment_row(row)
    value = orjson.dumps(valued(row["what"], whole))
    return NewEvent(whole["customer_id"], value[:-_CUT] if row["what"] == "cut short" else value)


def payment_row(row: dict[str, Any]) -> dict[str, Any]:
    """A payment as the contract wants it."""
    return {
        "transaction_id": transaction_id(row["transaction"]),
        "at": row["at"].isoformat(),
        "customer_id": f"c{row['customer']}",
        "terminal_id": f"t{row['terminal']}",
        "amount": row["amount"],
    }


def transaction_id(number: int) -> str:
    return f"p{number:07d}"


def valued(what: str, whole: dict[str, Any]) -> dict[str, Any]:
    """The payment with the values that an event of this kind has."""
    amount = whole["amount"]
    match what:
        case "correction":
            return {**whole, "amount": round(amount * 1.1 + 0.01, 2)}
        case "wrong type":
            return {**whole, "amount": f"{amount:.2f} EUR"}
        case "in cents":
            return {**whole, "amount": round(amount * 100)}
        case "without key":
            return {name: value for name, value in whole.items() if name != "transaction_id"}
        case _:
            return whole


def play(stream: Stream, until: datetime, log: EventLog, tick: Callable[[datetime], None], at_once: int = 1) -> int:
    """Send what arrives up to the moment, each event at its own time (`tick` sets the clock); returns how many.

    With `at_once` above 1 so many instants are sent in one call, and each event says itself when it arrived: for a log that
    keeps that by event, as Kafka does. The folder keeps one time a call.
    """
    count, waiting = 0, dict[str, list[NewEvent]]()
    for number, (arrives, topic, events) in enumerate(stream.until(until), 1):
        tick(arrives)
        count += len(events)
        if at_once == 1:
            log.append(topic, events, durable=False)
            continue
        waiting.setdefault(topic, []).extend(msgspec.structs.replace(e, arrived=arrives) for e in events)
        if number % at_once == 0:
            _send(log, waiting)
    _send(log, waiting)
    return count


def _send(log: EventLog, waiting: dict[str, list[NewEvent]]) -> None:
    for topic, events in waiting.items():
        log.append(topic, events, durable=False)
    waiting.clear()
