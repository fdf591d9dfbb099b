import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from modelway.evidence import counts
from modelway.evidence.multiply import needed_log_e

few = st.integers(0, 60)
shares = st.floats(0.02, 0.9)


@pytest.mark.parametrize(("k", "s", "share"), [(0, 0, 0.1), (0, 5, 0.1), (12, 20, 0.1), (3, 40, 0.05), (9, 9, 0.5)])
def test_the_e_value_is_its_integral(k, s, share):
    """∫ over θ > w of the likelihood ratio, mixed by the Beta density cut off at w."""
    c = counts.CONCENTRATION
    prior = stats.beta(c * share, c * (1 - share))

    def ratio(t):
        return prior.pdf(t) * (t / share) ** k * ((1 - t) / (1 - share)) ** s

    whole = integrate.quad(ratio, share, 1, limit=400)[0] / prior.sf(share)
    assert counts.log_e_worse(k, s, share) == pytest.approx(math.log(whole), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("k", "n", "limit"), [(0, 10, 0.1), (0, 2000, 0.001), (3, 1000, 0.01), (40, 100, 0.3)])
def test_the_e_value_of_acceptable_is_its_integral(k, n, limit):
    """u ~ Beta(a, 1), substituted by u = v^(1/a), which is uniform."""

    def ratio(v):
        u = v ** (1 / counts.FEW)
        return u**k * ((1 - limit * u) / (1 - limit)) ** (n - k)

    whole = integrate.quad(ratio, 0, 1, limit=400)[0]
    assert counts.log_e_acceptable(k, n, limit) == pytest.approx(math.log(whole), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("share", [0.05, 0.5])
@pytest.mark.parametrize("n", [1, 7, 40])
def test_the_mean_e_value_is_at_most_one_where_the_null_holds(n, share):
    """Exactly, over all ways that n errors can fall: = the definition of an e-value."""
    k = np.arange(n + 1)
    e = np.array([math.exp(counts.log_e_worse(int(i), n - int(i), share)) for i in k])
    for truth in (share, share / 2, 0.0):
        assert (stats.binom.pmf(k, n, truth) * e).sum() <= 1 + 1e-9
    assert (stats.binom.pmf(k, n, share) * e).sum() == pytest.approx(1)
    uneven = np.array([math.exp(counts.log_e_uneven(int(i), n - int(i), share)) for i in k])
    assert (stats.binom.pmf(k, n, share) * uneven).sum() == pytest.approx(1)


@pytest.mark.parametrize("limit", [0.02, 0.3])
def test_the_mean_e_value_of_acceptable_is_at_most_one_where_the_rate_is_at_the_limit_or_more(limit):
    n = 50
    k = np.arange(n + 1)
    e = np.array([math.exp(counts.log_e_acceptable(int(i), n, limit)) for i in k])
    assert (stats.binom.pmf(k, n, limit) * e).sum() == pytest.approx(1)
    assert (stats.binom.pmf(k, n, min(1.0, limit * 2)) * e).sum() <= 1


@given(few, few, shares)
@settings(max_examples=60)
def test_one_more_error_of_ours_is_never_evidence_for_us_nor_one_of_theirs_against_us(k, s, share):
    here = counts.log_e_worse(k, s, share)
    assert counts.log_e_worse(k + 1, s, share) >= here - 1e-9
    assert counts.log_e_worse(k, s + 1, share) <= here + 1e-9


@given(st.integers(0, 20), st.integers(0, 5000), st.floats(0.0005, 0.4), st.floats(0.0005, 0.4))
@settings(max_examples=60)
def test_evidence_for_an_acceptable_rate_grows_with_the_limit_and_falls_with_errors(errors, right, one, two):
    requests, (low, high) = errors + right, sorted((one, two))
    assert counts.log_e_acceptable(errors, requests, low) <= counts.log_e_acceptable(errors, requests, high) + 1e-6
    assert (
        counts.log_e_acceptable(errors + 1, requests + 1, low) <= counts.log_e_acceptable(errors, requests, low) + 1e-9
    )


@given(st.integers(0, 30), st.integers(1, 3000), st.sampled_from([0.05, 0.01]))
@settings(max_examples=40)
def test_the_bounds_of_a_rate_hold_the_rate_and_are_where_the_evidence_turns(errors, more, alpha):
    requests = errors + more
    low, high = counts.lower_rate(errors, requests, alpha), counts.upper_rate(errors, requests, alpha)
    assert low <= errors / requests <= high
    if high < 1:
        assert counts.log_e_acceptable(errors, requests, high) == pytest.approx(needed_log_e(alpha), abs=1e-3)


def test_no_error_at_all_is_accepted_after_about_ln_1_over_alpha_over_margin_requests():
    def accepted(n):
        return counts.not_worse(0, n, 0, 9 * n, margin=0.001, alpha=0.05, spent_on_others=0).answer

    assert accepted(2_900) == "undecided"
    assert accepted(3_400) == "not_worse"


def test_the_forecast_of_requests_is_right_when_no_error_comes():
    finding = counts.acceptable(0, 1000, limit=0.001, alpha=0.05)
    assert finding.answer == "undecided"
    assert counts.acceptable(0, 1000 + math.ceil(finding.needed * 1.1), limit=0.001, alpha=0.05).answer == "not_worse"


def test_a_canary_with_many_errors_is_worse_and_one_without_traffic_is_undecided():
    assert counts.worse(12, 20, share=0.1, alpha=0.05).answer == "worse"
    assert counts.worse(12, 20, share=0.0, alpha=0.05).answer == "undecided"
    assert counts.worse(0, 0, share=0.1, alpha=0.05).answer == "undecided"


def test_huge_counts_stay_finite():
    assert math.isfinite(counts.log_e_worse(10**7, 10**8, 0.05))
    assert math.isfinite(counts.log_e_worse(0, 10**8, 0.05))
    assert math.isfinite(counts.log_e_uneven(10**8, 10**9, 0.1))


@pytest.mark.parametrize("limit", [0.0, 1.0])
def test_a_limit_that_is_no_rate_is_refused(limit):
    with pytest.raises(ValueError, match="between 0 and 1"):
        counts.log_e_acceptable(0, 10, limit)


def test_where_every_request_fails_the_lower_bound_is_found_too():
    assert 0.3 < counts.lower_rate(5, 5, 0.05) < 1
