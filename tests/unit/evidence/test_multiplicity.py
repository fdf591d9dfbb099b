import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from modelway.evidence import multiply
from modelway.evidence.multiplicity import adjusted, benjamini_hochberg, e_bh

p_values = st.lists(st.floats(1e-6, 1), min_size=1, max_size=40).map(np.array)


@given(p_values, st.floats(0.01, 0.5))
@settings(max_examples=60)
def test_it_is_statsmodels(p, q):
    rejected, corrected = multipletests(p, alpha=q, method="fdr_bh")[:2]
    assert adjusted(p) == pytest.approx(corrected)
    unclear = np.isclose(corrected, q)
    assert np.array_equal(benjamini_hochberg(p, q)[~unclear], rejected[~unclear])


@given(p_values, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_the_order_of_questions_does_not_matter_and_a_missing_p_value_is_no_question(p, random):
    order = list(range(len(p)))
    random.shuffle(order)
    assert adjusted(p[order]) == pytest.approx(adjusted(p)[order])
    more = adjusted(np.append(p, math.nan))
    assert more[:-1] == pytest.approx(adjusted(p))
    assert math.isnan(more[-1])
    assert not benjamini_hochberg(np.append(p, math.nan), 1.0)[-1]


@given(p_values)
@settings(max_examples=40)
def test_e_values_that_are_one_over_p_reject_what_p_values_would(p):
    assert np.array_equal(e_bh(-np.log(p), 0.1), _e_bh_by_hand(1 / p, 0.1))


def _e_bh_by_hand(e, q):
    m, best = len(e), 0
    for k in range(1, m + 1):
        if math.log(np.sort(e)[::-1][k - 1]) >= math.log(m / (k * q)) - 1e-15:
            best = k
    return np.isin(np.arange(m), np.argsort(-e, kind="stable")[:best])


def test_nothing_asked_nothing_rejected():
    assert adjusted(np.array([])).tolist() == []
    assert e_bh(np.array([]), 0.05).tolist() == []


def test_products_means_and_shares():
    assert multiply.product([]) == 0.0
    assert multiply.mean([]) == multiply.NEVER
    assert multiply.mean([0.0, math.log(3)]) == pytest.approx(math.log(2))
    assert multiply.mean([-1e9, 1000.0]) == pytest.approx(1000 - math.log(2))
    assert multiply.product([-1e9, 5]) == multiply.NEVER
    assert multiply.shares(0.05, {"errors": 3, "latency": 1}) == {
        "errors": pytest.approx(0.0375),
        "latency": pytest.approx(0.0125),
    }
    assert multiply.reached(math.log(20), 0.05)
    assert not multiply.reached(math.log(19.9), 0.05)
