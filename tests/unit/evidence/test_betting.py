import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from modelway.errors import TooLittleDataError
from modelway.evidence import betting
from modelway.evidence.multiply import needed_log_e, product

differences = arrays(float, st.integers(1, 80), elements=st.floats(-1, 1, width=32))
OTHER = {"better": "worse", "worse": "better", "undecided": "undecided"}


@given(differences)
@settings(max_examples=60)
def test_turning_the_arms_round_turns_the_answer(d):
    there, back = (betting.compare(x, span=1.0, margin=0.0, alpha=0.05) for x in (d, -d))
    assert back.answer == OTHER[there.answer]
    assert (back.low, back.high) == (pytest.approx(-there.high, abs=1e-6), pytest.approx(-there.low, abs=1e-6))


@given(differences, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_the_order_of_rows_and_a_restart_do_not_matter(d, random):
    shuffled = d.copy()
    random.shuffle(shuffled)
    assert betting.log_e_not_worse(shuffled, span=1.0, margin=0.1) == pytest.approx(
        betting.log_e_not_worse(d, span=1.0, margin=0.1), abs=1e-9
    )
    assert betting.log_e_harm(d.copy(), span=1.0) == betting.log_e_harm(d, span=1.0)


@given(differences, st.floats(0, 0.4), st.floats(0, 0.4))
@settings(max_examples=60)
def test_a_wider_margin_is_more_evidence_to_promote_and_more_tolerance_less_to_roll_back(d, one, two):
    low, high = sorted((one, two))
    assert betting.log_e_not_worse(d, span=1.0, margin=low) <= betting.log_e_not_worse(d, span=1.0, margin=high) + 1e-9
    assert betting.log_e_harm(d, span=1.0, tolerated=low) >= betting.log_e_harm(d, span=1.0, tolerated=high) - 1e-9


@given(differences)
@settings(max_examples=60)
def test_the_interval_holds_the_mean_and_narrows_with_more_error_allowed(d):
    low, high = betting.interval(d, span=1.0, alpha=0.05)
    inner_low, inner_high = betting.interval(d, span=1.0, alpha=0.2)
    assert low - 1e-9 <= inner_low <= d.mean() + 1e-6
    assert d.mean() - 1e-6 <= inner_high <= high + 1e-9


def test_the_ends_of_the_interval_are_where_the_tests_turn():
    d = np.random.default_rng(0).normal(0.05, 0.2, 300).clip(-1, 1)
    low, high = betting.interval(d, span=1.0, alpha=0.05)
    assert betting.log_e_not_worse(d, span=1.0, margin=-low) == pytest.approx(needed_log_e(0.025), abs=1e-4)
    assert betting.log_e_harm(d, span=1.0, tolerated=-high) == pytest.approx(needed_log_e(0.025), abs=1e-4)


@pytest.mark.parametrize("margin", [0.0, 0.2])
def test_the_mean_wealth_is_one_where_the_null_holds(margin):
    """Exactly, over all outcomes of 12 rows that are ±1 with mean −margin: = the definition of an e-value."""
    n, up = 12, (1 - margin) / 2
    mean = 0.0
    for wins in range(n + 1):
        d = np.concatenate([np.ones(wins), -np.ones(n - wins)])
        chance = math.comb(n, wins) * up**wins * (1 - up) ** (n - wins)
        mean += chance * math.exp(betting.log_e_not_worse(d, span=1.0, margin=margin))
    assert mean == pytest.approx(1)


def test_steps_multiply_to_an_e_value_again():
    d = np.random.default_rng(1).normal(0.05, 0.1, 400).clip(-1, 1)
    parts = [betting.log_e_not_worse(p, span=1.0, margin=0.02) for p in np.split(d, 4)]
    assert product(parts) == pytest.approx(math.fsum(parts))
    assert product(parts) > needed_log_e(0.05)


def test_blocks_are_means_and_an_unfinished_block_waits():
    assert betting.blocks(np.arange(7.0), 3).tolist() == [1.0, 4.0]
    assert betting.blocks(np.arange(2.0), 3).tolist() == []
    with pytest.raises(ValueError, match="at least one"):
        betting.blocks(np.arange(2.0), 0)


def test_no_rows_are_undecided_and_nan_is_refused():
    assert betting.compare(np.array([]), span=1.0, margin=0.0, alpha=0.05).answer == "undecided"
    with pytest.raises(TooLittleDataError, match="NaN"):
        betting.compare(np.array([0.1, math.nan]), span=1.0, margin=0.0, alpha=0.05)


def test_a_span_comes_from_earlier_differences():
    assert betting.span_of(np.array([-0.2, 0.1]), factor=2.0) == pytest.approx(0.4)
    with pytest.raises(TooLittleDataError, match="do not differ"):
        betting.span_of(np.zeros(5))
