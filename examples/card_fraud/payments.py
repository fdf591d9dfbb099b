"""What customers pay: a payment for each of a day's draws that falls into the day, at a terminal within reach."""

from dataclasses import dataclass

import numpy as np

from examples.card_fraud.city import City, People, Reach

DAY = 86_400
NOON, SPREAD = DAY / 2, 20_000.0


@dataclass(frozen=True)
class Payments:
    """Columns of equal length, in the order of time; `seconds` count from the start of the first day."""

    seconds: np.ndarray
    customer: np.ndarray
    terminal: np.ndarray
    amount: np.ndarray

    @property
    def day(self) -> np.ndarray:
        return self.seconds // DAY

    def __len__(self) -> int:
        return len(self.seconds)


def payments(city: City, who: People, within: Reach, rng: np.random.Generator) -> Payments:
    """All payments of all days.

    Each day a Poisson number of a customer's mean; each at a time normal around noon, dropped if it falls outside the day;
    an amount normal around the customer's mean, and if that is negative uniform in 0 to twice the mean; a terminal drawn from
    those within reach, and no payment where there is none.
    """
    n = rng.poisson(who.per_day[:, None], (len(who), city.days))
    customer = np.repeat(np.arange(len(who)), n.sum(axis=1))
    day = np.repeat(np.tile(np.arange(city.days), len(who)), n.ravel())
    time = rng.normal(NOON, SPREAD, len(customer)).astype(np.int64)  # cut towards zero, as whole seconds
    amount = amounts(who.mean_amount[customer], who.std_amount[customer], rng)
    choices = within.counts()[customer]
    drawn = (rng.random(len(customer)) * choices).astype(np.int64)
    kept = (time > 0) & (time < DAY) & (choices > 0)
    customer, day, time, amount, drawn = (one[kept] for one in (customer, day, time, amount, drawn))
    seconds = day * DAY + time
    order = np.lexsort((customer, seconds))
    terminal = within.ids[within.starts[customer] + drawn]
    return Payments(seconds[order], customer[order], terminal[order], amount[order])


def amounts(mean: np.ndarray, std: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """In whole cents, never negative."""
    drawn = rng.normal(mean, std)
    instead = rng.uniform(0, 2 * mean)
    return np.round(np.where(drawn < 0, instead, drawn), 2)
