import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from modelway.errors import TooLittleDataError
from modelway.evidence import delong


@st.composite
def ranked(draw):
    n = draw(st.integers(4, 40))
    y = np.array([0, 0, 1, 1, *draw(st.lists(st.integers(0, 1), min_size=n - 4, max_size=n - 4))])
    a, b = (np.array(draw(st.lists(st.integers(0, 12), min_size=n, max_size=n))) / 12 for _ in range(2))
    return y, a, b


def _by_pairs(y, a, b):
    """DeLong's covariance from all m·n pairs, as in the paper."""
    over = [(s[y == 1][:, None] > s[y == 0]) + 0.5 * (s[y == 1][:, None] == s[y == 0]) for s in (a, b)]
    v10, v01 = np.array([o.mean(axis=1) for o in over]), np.array([o.mean(axis=0) for o in over])
    return [o.mean() for o in over], np.cov(v10) / v10.shape[1] + np.cov(v01) / v01.shape[1]


@given(ranked())
@settings(max_examples=60)
def test_areas_and_variances_are_those_of_all_pairs(case):
    y, a, b = case
    areas, covariance = _by_pairs(y, a, b)
    found = delong.area(y, a)
    assert found.value == pytest.approx(areas[0]) == pytest.approx(roc_auc_score(y, a))
    assert found.variance == pytest.approx(covariance[0, 0], abs=1e-12)
    finding = delong.compare(y, a, b)
    assert finding.effect == pytest.approx(areas[1] - areas[0])
    spread = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    if spread > 1e-12:
        assert delong.difference_error(y, a, b) == pytest.approx(math.sqrt(spread), rel=1e-6)


@given(ranked())
@settings(max_examples=60)
def test_laws_of_the_area(case):
    y, a, b = case
    there, back = delong.compare(y, a, b), delong.compare(y, b, a)
    assert (there.effect, there.low, there.high) == (
        pytest.approx(-back.effect, abs=1e-12),
        pytest.approx(-back.high, abs=1e-12),
        pytest.approx(-back.low, abs=1e-12),
    )
    found, risen, turned = delong.area(y, a), delong.area(y, np.exp(a)), delong.area(1 - y, -a)
    assert risen == found
    assert turned.value == pytest.approx(found.value)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_equal_and_perfect_models_are_not_sure_of_anything_on_few_rows():
    y, s = np.array([0, 0, 0, 1, 1, 1]), np.arange(6.0)
    assert delong.area(y, s).low < 0.5
    assert delong.compare(y, s, s, margin=0.1).answer == "undecided"


def test_the_interval_covers_the_truth_at_its_rate():
    rng, runs, inside = np.random.default_rng(0), 800, 0
    truth = 0.5 * (1 + math.erf(1.0 / 2))
    for _ in range(runs):
        y = np.repeat([0, 1], [80, 20])
        found = delong.area(y, rng.normal(size=100) + y)
        inside += found.low <= truth <= found.high
    assert inside / runs > 0.95 - 3 * math.sqrt(0.05 * 0.95 / runs)


def test_too_few_rows_and_missing_scores_are_refused():
    with pytest.raises(TooLittleDataError, match="1 and 2"):
        delong.area(np.array([1, 0, 0]), np.arange(3.0))
    with pytest.raises(TooLittleDataError, match="NaN"):
        delong.area(np.array([1, 1, 0, 0]), np.array([0.1, math.nan, 0.2, 0.3]))
