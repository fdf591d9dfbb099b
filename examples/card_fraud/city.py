"""Customers, terminals, and which terminals a customer can reach: the fixed part of the simulated world.

Rules after "Reproducible Machine Learning for Credit Card Fraud Detection" (Le Borgne, Siblini, Lebichot, Bontempi: the Fraud
Detection Handbook, chapter 3, "Transaction data simulator"), written anew from what that page says.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

SIDE = 100.0
"""The world is a square of this side; distances have no unit."""


@dataclass(frozen=True)
class City:
    """How large the world is, and how much fraud it sees; the defaults are the book's."""

    customers: int = 5_000
    terminals: int = 10_000
    days: int = 183
    start: datetime = datetime(2018, 4, 1, tzinfo=UTC)
    radius: float = 5.0
    """A customer pays at terminals nearer than this."""
    terminals_a_day: float = 2.0
    """Terminals that are compromised each day; 0.2 is one every fifth day."""
    customers_a_day: float = 3.0
    """Customers whose card data leak each day."""

    def scaled(self, share: float) -> "City":
        """The same world with fewer people and terminals, and so few frauds that their share stays what it was."""
        return replace(
            self,
            customers=round(self.customers * share),
            terminals=round(self.terminals * share),
            terminals_a_day=self.terminals_a_day * share,
            customers_a_day=self.customers_a_day * share,
        )


BOOK = City()


@dataclass(frozen=True)
class People:
    """One number a customer: where they live, what they spend at a time, how often a day."""

    x: np.ndarray
    y: np.ndarray
    mean_amount: np.ndarray
    per_day: np.ndarray

    @property
    def std_amount(self) -> np.ndarray:
        return self.mean_amount / 2

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Reach:
    """The terminals within the radius, customer after customer: those of customer c are `ids[starts[c]:starts[c + 1]]`."""

    starts: np.ndarray
    ids: np.ndarray

    def counts(self) -> np.ndarray:
        """How many terminals each customer can reach."""
        return np.diff(self.starts)

    def of(self, customer: int) -> np.ndarray:
        return self.ids[self.starts[customer] : self.starts[customer + 1]]


def people(city: City, rng: np.random.Generator) -> People:
    """Places uniform in the square; mean amounts uniform in 5–100, their spread half of it; payments a day uniform in 0–4."""
    n = city.customers
    x, y = rng.uniform(0, SIDE, n), rng.uniform(0, SIDE, n)
    return People(x, y, rng.uniform(5, 100, n), rng.uniform(0, 4, n))


def places(city: City, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """x and y of every terminal, uniform in the square."""
    return rng.uniform(0, SIDE, city.terminals), rng.uniform(0, SIDE, city.terminals)


def reach(who: People, x: np.ndarray, y: np.ndarray, radius: float) -> Reach:
    """Every terminal nearer than the radius; only a strip of the square is looked at for each customer."""
    order = np.argsort(x, kind="stable")
    sx, sy = x[order], y[order]
    low, high = np.searchsorted(sx, who.x - radius), np.searchsorted(sx, who.x + radius, side="right")
    found = []
    for c in range(len(who)):
        strip = slice(low[c], high[c])
        near = np.hypot(sx[strip] - who.x[c], sy[strip] - who.y[c]) < radius
        found.append(np.sort(order[strip][near]))
    counts = np.array([len(ids) for ids in found], dtype=np.int64)
    ids = np.concatenate(found) if found else np.empty(0, dtype=np.int64)
    return Reach(np.concatenate([[0], np.cumsum(counts)]), ids)
