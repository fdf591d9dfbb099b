import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from modelway.evidence import counts
from modelway.evidence.split import CONCENTRATION, log_e_split, most


@given(st.integers(0, 5000), st.integers(0, 5000), st.floats(0.01, 0.99))
@settings(max_examples=60)
def test_of_two_arms_it_is_the_test_of_counts(k, s, share):
    assert log_e_split((k, s), (share, 1 - share)) == pytest.approx(counts.log_e_uneven(k, s, share), abs=1e-6)


def test_the_e_value_is_its_integral():
    """Three arms; the Dirichlet density over the simplex."""
    w, n, c = (0.5, 0.3, 0.2), (3, 1, 6), 10.0
    prior = stats.dirichlet([c * share for share in w])

    def ratio(y, x):
        theta = np.array([x, y, max(1 - x - y, 1e-300)])
        return prior.pdf(theta / theta.sum()) * float(np.prod((theta / w) ** n))

    whole = integrate.dblquad(ratio, 1e-9, 1 - 1e-9, 1e-9, lambda x: 1 - x - 1e-9, epsabs=1e-7)[0]
    assert log_e_split(n, w, c) == pytest.approx(math.log(whole), abs=1e-3)


@pytest.mark.parametrize("n", [1, 5, 12])
def test_the_mean_e_value_is_one_where_the_split_is_as_asked_for(n):
    w = (0.5, 0.3, 0.2)
    ways = [(i, j, n - i - j) for i in range(n + 1) for j in range(n + 1 - i)]
    chances = stats.multinomial(n, w).pmf(ways)
    assert sum(p * math.exp(log_e_split(way, w)) for p, way in zip(chances, ways, strict=True)) == pytest.approx(1)


def test_a_version_without_a_share_breaks_the_split_at_once():
    assert log_e_split((10, 0), (1.0, 0.0)) == 0.0
    assert log_e_split((10, 1), (1.0, 0.0)) == math.inf


def test_shares_add_up_to_one_and_are_as_many_as_arms():
    with pytest.raises(ValueError, match="add up to 1"):
        log_e_split((1, 2), (0.5, 0.6))
    with pytest.raises(ValueError, match="3 arms"):
        log_e_split((1, 2, 3), (0.5, 0.5))


@given(st.integers(0, 3000), st.integers(0, 3000), st.floats(0.01, 0.9))
@settings(max_examples=40)
def test_the_most_that_an_arm_can_have_lies_above_what_it_has_and_what_was_asked_for(k, s, share):
    found = most(k, s, share, alpha=0.001)
    assert share <= found <= 1
    if k + s:
        assert found >= k / (k + s) - 1e-9


def test_the_interval_turns_where_the_evidence_does():
    low, high = counts.share_interval(300, 700, 0.1, CONCENTRATION, 0.001)
    assert low > 0.1
    assert low < 0.3 < high
    assert counts.share_interval(0, 0, 0.1, CONCENTRATION, 0.001) == (0.0, 1.0)
