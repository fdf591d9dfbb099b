"""Differences of arms: intervals that hold as often as they promise, also where the shares of the arms move with the hour."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.evidence.between import difference, mean_of, share

ALPHA = 0.05
COUNTS = st.integers(1, 2_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(a=COUNTS, b=COUNTS, alpha=st.floats(0.001, 0.5))
def test_an_interval_holds_its_value_and_turns_round_with_the_arms(a, b, alpha):
    one, other = share(*a, alpha), share(*b, alpha)
    assert 0 <= one.low <= one.mean <= one.high <= 1
    d, low, high = difference([(one, other)])
    assert low <= d <= high
    assert difference([(other, one)]) == pytest.approx((-d, -high, -low))


@given(a=COUNTS, b=COUNTS)
def test_less_alpha_is_never_narrower(a, b):
    _, low, high = difference([(share(*a, 0.05), share(*b, 0.05))])
    _, lower, higher = difference([(share(*a, 0.005), share(*b, 0.005))])
    assert lower <= low + 1e-12
    assert higher >= high - 1e-12


def test_equal_arms_are_told_apart_no_more_often_than_promised():
    rng, runs = np.random.default_rng(0), 2_000
    hits = rng.binomial([[3_000, 1_000]], 0.004, (runs, 2))
    found = [difference([(share(a, 3_000, ALPHA), share(b, 1_000, ALPHA))]) for a, b in hits.tolist()]
    wrong = sum(low > 0 or high < 0 for _, low, high in found)
    assert wrong <= ALPHA * runs


def test_what_moves_with_the_hour_is_no_difference():
    """B gets most requests in a bad hour: a plain difference of means would be 0.3."""
    rng = np.random.default_rng(1)
    good, bad = (lambda n: rng.normal(0.0, 1, n)), (lambda n: rng.normal(1.0, 1, n))
    stretches = [(good(900), good(100)), (bad(300), bad(700))]
    d, low, high = difference([(mean_of(a, ALPHA), mean_of(b, ALPHA)) for a, b in stretches])
    assert low < 0 < high
    assert abs(d) < 0.2
    plain = [np.concatenate([stretch[arm] for stretch in stretches]).mean() for arm in (0, 1)]
    assert abs(plain[0] - plain[1]) > 0.3


def test_a_planted_difference_is_found_where_it_is():
    rng, held = np.random.default_rng(2), 0
    for _ in range(400):
        a, b = rng.normal(0.3, 1, 200), rng.normal(0.0, 2, 300)
        _, low, high = difference(
            [(mean_of(a[:50], ALPHA), mean_of(b[:90], ALPHA)), (mean_of(a[50:], ALPHA), mean_of(b[90:], ALPHA))]
        )
        held += low <= 0.3 <= high
    assert held >= 400 * (1 - ALPHA) - 3 * math.sqrt(400 * ALPHA * (1 - ALPHA))


def test_equal_values_and_no_stretch_say_nothing():
    assert mean_of([1.0] * 50, ALPHA) is None
    assert mean_of([1.0], ALPHA) is None
    assert difference([]) == (0.0, -math.inf, math.inf)
