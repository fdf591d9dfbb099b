"""What goes wrong between a payment and the event log, and what each fault must come to.

A payment has at most one fault. Broken events are refused by the contract; half of them are sent again, whole, some time later.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

What = Literal[
    "on time", "out of order", "late", "doubled", "corrected", "wrong type", "cut short", "without key", "in cents"
]
BROKEN: tuple[What, ...] = ("wrong type", "cut short", "without key", "in cents")
LIMIT = 2_000.0
"""The largest amount that the contract takes: what betrays an amount in cents, from 20.01 on."""


@dataclass(frozen=True)
class Faults:
    """The share of all payments that each fault befalls."""

    out_of_order: float = 0.02
    """Arrives up to 90 seconds after it happened, behind later ones."""
    late: float = 0.01
    """Arrives a minute to two days after it happened."""
    doubled: float = 0.01
    """Comes once more, byte by byte the same, within a day."""
    corrected: float = 0.002
    """Comes again with another amount, an hour to three days later."""
    wrong_type: float = 0.001
    cut_short: float = 0.001
    without_key: float = 0.001
    in_cents: float = 0.0
    """The amount in cents instead of euros; what is below 20 euros still looks like an amount."""
    mended: float = 0.5
    """Of the broken ones: the share that is sent again whole, an hour to three days later."""
    labels_doubled: float = 0.005

    def shares(self) -> dict[What, float]:
        """By fault, "on time" with what is left."""
        named: dict[What, float] = {
            "out of order": self.out_of_order,
            "late": self.late,
            "doubled": self.doubled,
            "corrected": self.corrected,
            "wrong type": self.wrong_type,
            "cut short": self.cut_short,
            "without key": self.without_key,
            "in cents": self.in_cents,
        }
        return {"on time": 1 - sum(named.values()), **named}


NONE = Faults(*[0.0] * 10)
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_FIRST: dict[What, tuple[int, int]] = {"out of order": (1, 90), "late": (_MINUTE, 2 * _DAY)}
_AGAIN: dict[What, tuple[int, int]] = {"doubled": (1, _DAY), "corrected": (_HOUR, 3 * _DAY)}
_MENDED = (_HOUR, 3 * _DAY)


def befallen(made: pl.DataFrame, faults: Faults, rng: np.random.Generator) -> pl.DataFrame:
    """One row an event of the payments' topic: transaction, what, delay (s), and what it `becomes` in the lake.

    `becomes`: "row", "double", "correction" or "quarantine".
    """
    shares = faults.shares()
    what = rng.choice(len(shares), made.height, p=list(shares.values()))
    named = np.array(list(shares))[what]
    named[(named == "in cents") & (made["amount"].to_numpy() == 0)] = "on time"  # nothing is nothing in cents too
    chosen = made.select("transaction", "amount").with_columns(pl.Series("what", named))
    parts = []
    for name in shares:
        mine = chosen.filter(pl.col("what") == name)
        refused = pl.lit(name in BROKEN) if name != "in cents" else pl.col("amount") * 100 > LIMIT
        first = mine.with_columns(
            delay=_delays(_FIRST.get(name), mine.height, rng),
            becomes=pl.when(refused).then(pl.lit("quarantine")).otherwise(pl.lit("row")),
        )
        parts.append(first)
        if name in _AGAIN:
            kind = {"doubled": ("again", "double"), "corrected": ("correction", "correction")}[name]
            parts.append(_followed(mine, kind, _AGAIN[name], rng))
        if name in BROKEN:
            parts.append(_mended(first, faults.mended, rng))
    return pl.concat(parts, how="vertical_relaxed").drop("amount")


def _delays(bounds: tuple[int, int] | None, rows: int, rng: np.random.Generator) -> pl.Series:
    """Whole seconds, short ones as likely as long ones on a logarithmic scale; 0 without bounds."""
    if bounds is None:
        return pl.Series(np.zeros(rows, dtype=np.int64))
    low, high = bounds
    return pl.Series(np.exp(rng.uniform(np.log(low), np.log(high), rows)).round().astype(np.int64))


def _followed(
    mine: pl.DataFrame, kind: tuple[str, str], bounds: tuple[int, int], rng: np.random.Generator
) -> pl.DataFrame:
    what, becomes = kind
    return mine.with_columns(
        what=pl.lit(what), delay=_delays(bounds, mine.height, rng), becomes=pl.lit(becomes)
    ).select("transaction", "amount", "what", "delay", "becomes")


def _mended(first: pl.DataFrame, share: float, rng: np.random.Generator) -> pl.DataFrame:
    """What was refused enters as a row when it comes whole; an amount in cents that got through is corrected."""
    again = first.filter(pl.Series(rng.random(first.height) < share, dtype=pl.Boolean))
    return again.with_columns(
        what=pl.lit("mended"),
        delay=_delays(_MENDED, again.height, rng),
        becomes=pl.when(pl.col("becomes") == "row").then(pl.lit("correction")).otherwise(pl.lit("row")),
    )
