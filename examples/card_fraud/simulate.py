"""The simulator: `simulate(city, seed)` gives every payment of a city with whether it was fraud, the same for the same seed.

The rules are the book's; its draws are not: it seeds NumPy's and Python's old generators by customer and by day, we take one
`numpy.random.Generator` for each step. Counts and rates agree, single payments do not.
"""

from datetime import timedelta

import numpy as np
import polars as pl

from examples.card_fraud.city import City, people, places, reach
from examples.card_fraud.frauds import Marked, marked
from examples.card_fraud.payments import payments

MOMENT = pl.Datetime("us", "UTC")


def simulate(city: City, seed: int = 0) -> pl.DataFrame:
    """One row a payment in the order of time: transaction (from 0), at, day, customer, terminal, amount, fraud, scenario."""
    who_rng, where_rng, paid_rng, fraud_rng = np.random.default_rng(seed).spawn(4)
    who = people(city, who_rng)
    x, y = places(city, where_rng)
    made = payments(city, who, reach(who, x, y, city.radius), paid_rng)
    return table(city, marked(city, made, fraud_rng))


def table(city: City, made: Marked) -> pl.DataFrame:
    """The marked payments as a table."""
    paid, start = made.payments, np.datetime64(city.start.replace(tzinfo=None), "us")
    at = start + paid.seconds * np.timedelta64(1_000_000, "us")
    return pl.DataFrame(
        {
            "transaction": np.arange(len(paid)),
            "at": pl.Series(at).dt.replace_time_zone("UTC").cast(MOMENT),
            "day": paid.day,
            "customer": paid.customer,
            "terminal": paid.terminal,
            "amount": paid.amount,
            "fraud": made.scenario > 0,
            "scenario": made.scenario,
        }
    )


def between(made: pl.DataFrame, city: City, first: int, last: int) -> pl.DataFrame:
    """The payments of the days [first, last)."""
    since, until = (city.start + timedelta(days=day) for day in (first, last))
    return made.filter((pl.col("at") >= since) & (pl.col("at") < until))
