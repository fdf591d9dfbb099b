"""Three kinds of fraud, each written over the ones before: large amounts, compromised terminals, leaked cards."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from examples.card_fraud.city import City
from examples.card_fraud.payments import Payments

LARGE = 220.0
TERMINAL_DAYS = 28
CARD_DAYS = 14
CARD_SHARE = 3
"""One of so many payments of a leaked card is the thief's."""
CARD_FACTOR = 5


@dataclass(frozen=True)
class Marked:
    """The payments, some amounts of them raised, with the scenario of each: 0 genuine, 1 to 3 fraud."""

    payments: Payments
    scenario: np.ndarray
    terminals: tuple[tuple[int, np.ndarray], ...]
    """Day and terminals that were compromised that day."""
    cards: tuple[tuple[int, np.ndarray], ...]
    """Day and customers whose card leaked that day."""


def marked(city: City, made: Payments, rng: np.random.Generator) -> Marked:
    """Scenario 1: an amount above 220. 2: every payment at a compromised terminal, for 28 days from that day on.

    3: a third of the payments of leaked cards, drawn over all cards of that day and their next 14 days, with five times the
    amount. As in the book nothing new begins on the last day. Amounts stay whole cents (the book leaves the noise of the product).
    """
    terminals = tuple(drawn(city.terminals, city.terminals_a_day, city.days - 1, rng))
    cards = tuple(drawn(city.customers, city.customers_a_day, city.days - 1, rng))
    scenario = np.where(made.amount > LARGE, 1, 0)
    compromised = np.zeros((city.terminals, city.days), dtype=bool)
    for day, ids in terminals:
        compromised[ids, day : day + TERMINAL_DAYS] = True
    scenario[compromised[made.terminal, made.day]] = 2
    amount = made.amount.copy()
    for stolen in _stolen(made, cards, rng):
        amount[stolen] = np.round(amount[stolen] * CARD_FACTOR, 2)
        scenario[stolen] = 3
    return Marked(replace(made, amount=amount), scenario, terminals, cards)


def drawn(among: int, per_day: float, days: int, rng: np.random.Generator) -> Iterator[tuple[int, np.ndarray]]:
    """Day by day so many of `among`, none twice on one day; fractions add up: 0.2 a day is one every fifth day."""
    for day in range(days):
        count = int((day + 1) * per_day + 1e-9) - int(day * per_day + 1e-9)
        if count:
            yield day, rng.choice(among, min(count, among), replace=False)


def _stolen(
    made: Payments, cards: tuple[tuple[int, np.ndarray], ...], rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """For each day with leaked cards: the places of the thieves' payments."""
    by_card = np.lexsort((made.seconds, made.customer))
    place = made.customer[by_card] * (int(made.day.max(initial=0)) + 1) + made.day[by_card]
    width = int(made.day.max(initial=0)) + 1
    for day, ids in cards:
        ends = np.minimum(day + CARD_DAYS, width)
        bounds = zip(np.searchsorted(place, ids * width + day), np.searchsorted(place, ids * width + ends), strict=True)
        pool = np.concatenate([by_card[low:high] for low, high in bounds])
        yield rng.choice(pool, len(pool) // CARD_SHARE, replace=False)
