import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from modelway.errors import TooLittleDataError
from modelway.evidence import two_sample

numbers = st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=60)
counts = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=12).filter(
    lambda pairs: sum(a for a, _ in pairs) and sum(b for _, b in pairs)
)


def _sorted(values) -> np.ndarray:
    return np.sort(np.asarray(values, dtype=float))


@given(numbers, numbers)
@settings(max_examples=60)
def test_the_ks_distance_is_the_largest_gap_between_the_two_functions_and_symmetric(a, b):
    a, b = _sorted(a), _sorted(b)
    gaps = [abs((a <= x).mean() - (b <= x).mean()) for x in np.union1d(a, b)]
    distance, p = two_sample.ks(a, b)
    assert distance == pytest.approx(max(gaps), abs=1e-12)
    assert two_sample.ks(b, a) == (pytest.approx(distance, abs=1e-12), pytest.approx(p, abs=1e-12))
    assert 0 <= p <= 1


@pytest.mark.parametrize("n", [5, 30, 400])
@pytest.mark.parametrize("shift", [0.0, 0.3, 1.0])
def test_for_equal_sizes_the_ks_p_value_is_exact(n, shift):
    rng = np.random.default_rng(n)
    a, b = _sorted(rng.normal(size=n)), _sorted(rng.normal(shift, size=n))
    assert two_sample.ks(a, b)[1] == pytest.approx(stats.ks_2samp(a, b, method="exact").pvalue, rel=1e-8)


@pytest.mark.parametrize(("n", "m"), [(20, 30), (50, 100), (100, 101), (100, 1000), (500, 4000)])
def test_for_unequal_sizes_the_ks_p_value_is_cautious_and_near(n, m):
    rng = np.random.default_rng(n)
    for shift in (0.1, 0.3, 0.5):
        a, b = _sorted(rng.normal(size=n)), _sorted(rng.normal(shift, size=m))
        exact = stats.ks_2samp(a, b, method="exact").pvalue
        if exact > 1e-4:
            assert 0.99 * exact <= two_sample.ks(a, b)[1] <= 1.4 * exact


def test_the_chi2_p_value_is_the_usual_one_for_full_categories():
    a, b = np.array([500, 300, 200]), np.array([480, 350, 170])
    usual = stats.chi2_contingency([a, b], correction=False)
    assert two_sample.chi2(a, b)[1] == pytest.approx(usual.pvalue, rel=0.02)


@given(counts)
@settings(max_examples=60)
def test_the_chi2_is_symmetric_and_blind_to_the_order_of_categories_and_to_empty_ones(pairs):
    a, b = np.array(pairs).T
    distance, p = two_sample.chi2(a, b)
    assert two_sample.chi2(b, a) == (pytest.approx(distance), pytest.approx(p))
    assert two_sample.chi2([*a[::-1], 0], [*b[::-1], 0]) == (pytest.approx(distance), pytest.approx(p))
    assert 0 <= distance <= 1
    assert 0 <= p <= 1
    assert two_sample.chi2(a, a) == (0.0, 1.0) or not a.sum()


@given(counts)
@settings(max_examples=60)
def test_the_distance_is_jensen_shannons(pairs):
    a, b = np.array(pairs).T
    assert two_sample.jensen_shannon(a, b) == pytest.approx(jensenshannon(a, b, base=2), abs=1e-7)


def test_mean_and_variance_of_the_statistic_are_those_over_all_shufflings():
    """The Gamma distribution rests on them; here by simulation, with categories that hold one or two rows."""
    totals, n = np.array([1, 1, 2, 5, 20, 30]), 25
    pool = np.repeat(np.arange(6), totals)
    m, rng = len(pool) - n, np.random.default_rng(0)
    seen = []
    for _ in range(20_000):
        a = np.bincount(rng.permutation(pool)[:n], minlength=6)
        seen.append((((a * math.sqrt(m / n) - (totals - a) * math.sqrt(n / m)) ** 2) / totals).sum())
    whole = float(n + m)
    assert np.mean(seen) == pytest.approx(whole / (whole - 1) * 5, rel=0.01)
    assert np.var(seen) == pytest.approx(two_sample._variance(np.array([n, m]), totals, whole), rel=0.05)


@pytest.mark.parametrize(("n", "m", "k"), [(1000, 200, 10), (500, 500, 400), (1000, 100, 500)])
def test_false_alarms_of_the_chi2_keep_to_their_rate_even_with_nearly_empty_categories(n, m, k):
    rng, runs = np.random.default_rng(k), 1_500
    shares = 1 / np.arange(1, k + 1)
    shares /= shares.sum()
    alarms = sum(
        two_sample.chi2(rng.multinomial(n, shares), rng.multinomial(m, shares))[1] <= 0.05 for _ in range(runs)
    )
    assert alarms / runs < 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_psi_is_its_formula():
    assert two_sample.psi([50, 50], [70, 30]) == pytest.approx(0.2 * math.log(1.4) - 0.2 * math.log(0.6))
    assert two_sample.psi([10, 0], [10, 0]) == 0


def test_an_empty_sample_is_refused():
    with pytest.raises(TooLittleDataError, match="0 and 3"):
        two_sample.ks(np.array([]), np.arange(3.0))
    with pytest.raises(TooLittleDataError, match="0 and 3"):
        two_sample.chi2([0, 0], [1, 2])
