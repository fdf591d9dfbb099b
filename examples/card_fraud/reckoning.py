"""Every event that was sent, found again: in the table once, in the quarantine with its reason, or a counted double."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from examples.card_fraud.stream import LABELS, PAYMENTS, payment_row, transaction_id, valued
from modelway.lake.tables import Lake

REASONS = {
    "not JSON": "cut short",
    "is no number": "wrong type",
    "transaction_id: missing": "without key",
    "is above 2000": "in cents",
}


@dataclass(frozen=True)
class Reckoning:
    """What was sent against what is there. `kinds` counts events by what they had to become."""

    sent: int
    kinds: Mapping[str, int]
    quarantined: Mapping[str, tuple[int, int]]
    """By fault: how many had to be refused, and how many were, for that reason."""
    rows: int
    corrections: int
    labels_sent: int
    labels: int
    missing: pl.DataFrame
    """Rows (key, amount) that should be in the table and are not."""
    unexpected: pl.DataFrame
    """Rows that are in the table and should not be."""
    labels_astray: int
    """Labels (key, label) that are missing, or that nobody sent."""

    @property
    def holds(self) -> bool:
        """Whether nothing is lost, nothing doubled and nothing invented."""
        same = all(wanted == found for wanted, found in self.quarantined.values())
        there = self.rows == self.kinds.get("row", 0) + self.kinds.get("correction", 0)
        return same and there and self.missing.height == self.unexpected.height == self.labels_astray == 0

    def lines(self) -> list[str]:
        """In words."""
        refused = ", ".join(f"{name} {found}" for name, (_, found) in self.quarantined.items() if found)
        return [
            f"payments: {self.sent:,} events = {self.rows - self.corrections:,} payments + {self.corrections:,} corrections"
            f" + {self.kinds.get('double', 0):,} doubles + {sum(f for _, f in self.quarantined.values()):,} in quarantine ({refused}):"
            f" {'reconciled' if self.holds else 'NOT RECONCILED'}",
            f"labels: {self.labels_sent:,} events = {self.labels:,} labels + {self.labels_sent - self.labels:,} doubles",
        ]


def reckon(lake: Lake, sent: pl.DataFrame) -> Reckoning:
    """Compare the events that were sent (see `Stream.sent`) with the tables as they are now."""
    mine, told = (sent.filter(pl.col("topic") == name) for name in (PAYMENTS, LABELS))
    kinds = Counter(mine["becomes"].to_list())
    wanted = _rows(mine.filter(pl.col("becomes").is_in(["row", "correction"])))
    found = lake.read(PAYMENTS, ["transaction_id", "amount"]) if lake.version(PAYMENTS) else wanted.clear()
    labels = told.filter(pl.col("becomes") == "row").select(
        key=pl.col("transaction").map_elements(transaction_id, pl.String),
        label=pl.col("fraud").cast(pl.Int8).cast(pl.String),
    )
    known = lake.read(LABELS, ["key", "label"]) if lake.version(LABELS) else labels.clear()
    return Reckoning(
        sent=mine.height,
        kinds=kinds,
        quarantined=_quarantined(lake, mine),
        rows=found.height,
        corrections=found.height - found["transaction_id"].n_unique(),
        labels_sent=told.height,
        labels=known.height,
        missing=_without(wanted, found),
        unexpected=_without(found, wanted),
        labels_astray=_without(labels, known).height + _without(known, labels).height,
    )


def _rows(events: pl.DataFrame) -> pl.DataFrame:
    """Key and amount as the event says them."""
    made = [valued(row["what"], payment_row(row)) for row in events.iter_rows(named=True)]
    schema = {"transaction_id": pl.String, "amount": pl.Float64}
    return pl.DataFrame([{name: one[name] for name in schema} for one in made], schema)


def _quarantined(lake: Lake, mine: pl.DataFrame) -> dict[str, tuple[int, int]]:
    wanted = Counter(mine.filter(pl.col("becomes") == "quarantine")["what"].to_list())
    table = f"{PAYMENTS}_quarantine"
    reasons = lake.read(table, ["_reasons"])["_reasons"].to_list() if lake.version(table) else []
    found = Counter(next((fault for said, fault in REASONS.items() if said in text), text) for text in reasons)
    return {name: (wanted[name], found[name]) for name in sorted({*wanted, *found})}


def _without(these: pl.DataFrame, those: pl.DataFrame) -> pl.DataFrame:
    """The rows of `these` that are not in `those`, each counted as often as it is there."""
    numbered = [one.with_columns(n=pl.int_range(pl.len()).over(one.columns)) for one in (these, those)]
    return numbered[0].join(numbered[1], on=numbered[0].columns, how="anti").drop("n")
