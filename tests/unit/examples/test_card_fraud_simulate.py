"""The simulator keeps the published rules: each is asked of what it made."""

import time

import numpy as np
import polars as pl
import pytest
from examples.card_fraud.city import BOOK, SIDE, City, people, places, reach
from examples.card_fraud.frauds import CARD_DAYS, LARGE, TERMINAL_DAYS, drawn, marked
from examples.card_fraud.payments import DAY, Payments, amounts, payments
from examples.card_fraud.simulate import between, simulate
from hypothesis import given, settings
from hypothesis import strategies as st

TOWN = BOOK.scaled(0.06)
QUIET = City(customers=200, terminals=400, days=30, terminals_a_day=0, customers_a_day=0)


def made_of(city: City, seed: int = 1):
    who_rng, where_rng, paid_rng, fraud_rng = np.random.default_rng(seed).spawn(4)
    who = people(city, who_rng)
    within = reach(who, *places(city, where_rng), city.radius)
    return who, within, payments(city, who, within, paid_rng), fraud_rng


def test_the_same_seed_gives_the_same_city_and_another_seed_another():
    assert simulate(TOWN, 4).equals(simulate(TOWN, 4))
    assert not simulate(TOWN, 4).equals(simulate(TOWN, 5))


def test_customers_are_drawn_as_the_book_says():
    who = people(BOOK, np.random.default_rng(0))
    for values, low, high in ((who.x, 0, SIDE), (who.y, 0, SIDE), (who.mean_amount, 5, 100), (who.per_day, 0, 4)):
        assert low <= values.min() < values.max() <= high
        assert values.mean() == pytest.approx((low + high) / 2, abs=4 * (high - low) / np.sqrt(12 * len(who)))
    assert (who.std_amount == who.mean_amount / 2).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 99), radius=st.floats(0.1, 60), terminals=st.integers(0, 60))
def test_a_customer_reaches_exactly_the_terminals_within_the_radius(seed, radius, terminals):
    rng = np.random.default_rng(seed)
    city = City(customers=12, terminals=terminals)
    who, (x, y) = people(city, rng), places(city, rng)
    found = reach(who, x, y, radius)
    for c in range(len(who)):
        near = np.flatnonzero((x - who.x[c]) ** 2 + (y - who.y[c]) ** 2 < radius**2)
        assert found.of(c).tolist() == near.tolist()
        assert found.counts()[c] == len(near)


def test_payments_lie_within_their_day_in_order_and_as_many_as_the_law_of_their_times_leaves():
    who, within, paid, _ = made_of(TOWN)
    inside = paid.seconds % DAY
    assert inside.min() > 0
    assert (np.diff(paid.seconds) >= 0).all()
    assert paid.day.max() == TOWN.days - 1
    left = 0.9692  # the share of N(43,200; 20,000) within the day
    wanted = who.per_day[within.counts() > 0].sum() * TOWN.days * left
    assert len(paid) == pytest.approx(wanted, rel=0.01)
    assert inside.mean() == pytest.approx(DAY / 2, rel=0.01)
    assert inside.std() == pytest.approx(18_500, rel=0.02)  # narrower than 20,000: the tails are cut


def test_a_customer_pays_only_within_reach_evenly_and_not_at_all_where_nothing_is():
    city = City(customers=300, terminals=120, days=120, radius=7)
    _, within, paid, _ = made_of(city)
    counts = within.counts()
    assert (counts == 0).any()
    for c in range(len(counts)):
        at = paid.terminal[paid.customer == c]
        assert set(at) <= set(within.of(c))
        if len(at) > 40 * counts[c]:
            assert np.bincount(at)[within.of(c)].min() > 15


def test_amounts_are_whole_cents_normal_and_uniform_where_that_would_be_negative():
    rng = np.random.default_rng(3)
    mean = np.full(200_000, 40.0)
    drawn_amounts = amounts(mean, mean / 2, rng)
    assert (drawn_amounts >= 0).all()
    assert (drawn_amounts == np.round(drawn_amounts, 2)).all()
    # 2.275 % are below zero and become uniform in 0–80, whose mean is that of the customer
    assert drawn_amounts.mean() == pytest.approx(40 + 20 * 0.05399 + 0.02275 * 40 - 0.02275 * 40, rel=0.005)
    rare = amounts(np.full(50_000, 10.0), np.full(50_000, 1e6), rng)  # half are redrawn
    assert ((rare <= 20) & (rare > 0)).mean() == pytest.approx(0.5, abs=0.02)


def test_without_scenarios_only_large_amounts_are_fraud():
    _, _, paid, rng = made_of(QUIET)
    mine = Payments(paid.seconds, paid.customer, paid.terminal, np.where(paid.seconds % 7 == 0, 220.01, 220.0))
    found = marked(QUIET, mine, rng)
    assert (found.scenario == np.where(mine.amount > LARGE, 1, 0)).all()
    assert found.terminals == found.cards == ()


def test_every_payment_at_a_compromised_terminal_is_fraud_for_28_days_and_no_other():
    city = City(customers=200, terminals=50, days=70, radius=40, terminals_a_day=0.1, customers_a_day=0)
    _, _, paid, rng = made_of(city)
    found = marked(city, paid, rng)
    bad = np.zeros(len(paid), dtype=bool)
    for day, ids in found.terminals:
        bad |= np.isin(paid.terminal, ids) & (paid.day >= day) & (paid.day < day + TERMINAL_DAYS)
    assert 0 < bad.sum() < len(paid)
    assert ((found.scenario == 2) == bad).all()
    assert (found.payments.amount == paid.amount).all()


def test_a_third_of_a_leaked_cards_payments_is_raised_fivefold_for_14_days():
    city = City(customers=200, terminals=400, days=100, radius=20, terminals_a_day=0, customers_a_day=0.05)
    _, _, paid, rng = made_of(city)
    found = marked(city, paid, rng)
    stolen = found.scenario == 3
    left = np.zeros(len(paid), dtype=bool)
    for day, ids in found.cards:  # no two within 14 days of one another: each pool stands alone
        pool = np.isin(paid.customer, ids) & (paid.day >= day) & (paid.day < day + CARD_DAYS)
        assert (stolen & pool).sum() == pool.sum() // 3
        left |= pool
    assert stolen.sum() > 0
    assert not (stolen & ~left).any()
    assert np.allclose(found.payments.amount[stolen], paid.amount[stolen] * 5, atol=1e-9)
    assert (found.payments.amount[~stolen] == paid.amount[~stolen]).all()


def test_later_scenarios_are_written_over_earlier_ones():
    city = City(customers=60, terminals=30, days=40, radius=200, terminals_a_day=3, customers_a_day=6)
    _, _, paid, rng = made_of(city)
    large = Payments(paid.seconds, paid.customer, paid.terminal, np.full(len(paid), 300.0))
    found = marked(city, large, rng)
    at_bad = np.zeros(len(paid), dtype=bool)
    for day, ids in found.terminals:
        at_bad |= np.isin(paid.terminal, ids) & (paid.day >= day) & (paid.day < day + TERMINAL_DAYS)
    stolen = found.payments.amount > 300
    assert (found.scenario[stolen] == 3).all()
    assert (found.scenario[at_bad & ~stolen] == 2).all()
    assert (found.scenario[~at_bad & ~stolen] == 1).all()
    assert (stolen & at_bad).any()


@given(per_day=st.floats(0, 5), days=st.integers(0, 60))
def test_fractions_of_a_fraud_a_day_add_up_and_nobody_is_drawn_twice_on_a_day(per_day, days):
    made = list(drawn(40, per_day, days, np.random.default_rng(0)))
    assert abs(sum(len(ids) for _, ids in made) - per_day * days) < 1 + 1e-6
    assert all(len(set(ids)) == len(ids) for _, ids in made)


def test_a_city_of_a_tenth_has_the_same_share_of_frauds_and_the_table_names_days_and_moments():
    town = simulate(TOWN, 2)
    assert town["fraud"].mean() == pytest.approx(0.0084, abs=0.0025)
    assert town["transaction"].to_list() == list(range(town.height))
    assert (town["day"] == (town["at"] - TOWN.start).dt.total_days()).all()
    assert (town["fraud"] == (town["scenario"] > 0)).all()
    week = between(town, TOWN, 7, 14)
    assert week["day"].unique().sort().to_list() == [*range(7, 14)]
    assert week.equals(town.filter(pl.col("day").is_in(range(7, 14))))


@pytest.mark.slow
def test_at_the_books_size_counts_and_rates_are_the_books():
    began = time.process_time()
    made = simulate(BOOK)
    spent = time.process_time() - began
    assert made.height == pytest.approx(1_754_155, rel=0.03)  # the book's own; customers' means alone move it by 0.8 %
    assert made["fraud"].mean() == pytest.approx(0.00837, abs=0.0008)
    by_scenario = dict(made["scenario"].value_counts().iter_rows())
    assert by_scenario[1] == pytest.approx(973, rel=0.25)
    assert by_scenario[2] == pytest.approx(9_077, rel=0.12)
    assert by_scenario[3] == pytest.approx(4_631, rel=0.12)
    later = made.filter(pl.col("day") >= 30)
    assert later["fraud"].sum() / (BOOK.days - 30) == pytest.approx(85, rel=0.15)
    assert spent < 20, f"{spent:.1f} s of CPU"
