import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from modelway.errors import TooLittleDataError
from modelway.evidence import bootstrap
from modelway.evidence.bootstrap import Resampling


def _all(n, how):
    return np.concatenate(list(bootstrap.weights(n, how)))


@pytest.mark.parametrize(
    "how",
    [
        Resampling(draws=300),
        Resampling(draws=300, strata=np.repeat([0, 1], [50, 10])),
        Resampling(draws=300, clusters=np.repeat(np.arange(12), 5)),
        Resampling(draws=300, horizon=4),
    ],
    ids=["rows", "strata", "clusters", "blocks"],
)
def test_every_row_is_drawn_equally_often_and_the_same_again_from_a_seed(how):
    drawn = _all(60, how)
    assert drawn.shape == (300, 60)
    assert np.array_equal(drawn, _all(60, how))
    assert drawn.mean(axis=0) == pytest.approx(drawn.mean(), rel=0.5)
    expected = 60 // how.block(60) * how.block(60)
    assert np.all(drawn.sum(axis=1) == expected)


def test_strata_keep_their_sizes_and_clusters_stay_whole():
    strata = np.repeat([0, 1], [50, 10])
    assert np.all(_all(60, Resampling(draws=50, strata=strata))[:, strata == 1].sum(axis=1) == 10)
    clusters = np.repeat(np.arange(12), 5)
    whole = _all(60, Resampling(draws=50, clusters=clusters)).reshape(50, 12, 5)
    assert np.all(whole == whole[:, :, :1])


def test_blocks_are_drawn_whole_and_wrapped():
    drawn = _all(20, Resampling(draws=200, horizon=5))
    how = Resampling(horizon=5)
    assert how.block(20) == 5
    starts = np.stack([np.roll(np.repeat([1.0, 0.0], [5, 15]), i) for i in range(20)])
    for row in drawn[:20]:
        solved = np.linalg.lstsq(starts.T, row, rcond=None)[0]
        assert starts.T @ solved == pytest.approx(row)


@given(st.integers(1, 5000), st.integers(0, 100))
@settings(max_examples=60)
def test_a_block_is_no_shorter_than_the_horizon_and_leaves_eight_where_there_is_room(n, horizon):
    length = bootstrap.block_length(n, horizon)
    assert length >= max(1, horizon)
    if horizon and n >= 8 * max(horizon, 1):
        assert n // length >= 8


def test_the_interval_of_a_mean_is_students():
    d = np.random.default_rng(0).normal(0.2, 1.0, 400)
    finding = bootstrap.mean_difference(d, np.zeros(400))
    half = stats.t.ppf(0.975, 399) * d.std(ddof=1) / 20
    assert finding.effect == pytest.approx(d.mean())
    assert (finding.low, finding.high) == (
        pytest.approx(d.mean() - half, abs=0.06 * half * 2),
        pytest.approx(d.mean() + half, abs=0.06 * half * 2),
    )


def test_with_few_draws_the_interval_comes_from_their_spread():
    d = np.random.default_rng(0).normal(0.2, 1.0, 400)
    few = bootstrap.mean_difference(d, np.zeros(400), how=Resampling(draws=200))
    many = bootstrap.mean_difference(d, np.zeros(400))
    assert few.high - few.low == pytest.approx(many.high - many.low, rel=0.2)
    assert few.low - few.effect == pytest.approx(few.effect - few.high)


@given(st.integers(0, 2**31), st.sampled_from([0, 5]))
@settings(max_examples=20)
def test_turning_the_arms_round_turns_the_interval(seed, horizon):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 80))
    how = Resampling(draws=300, horizon=horizon, seed=seed % 1000)
    there, back = bootstrap.mean_difference(a, b, how=how), bootstrap.mean_difference(b, a, how=how)
    assert (there.effect, there.low, there.high) == (
        pytest.approx(-back.effect),
        pytest.approx(-back.high),
        pytest.approx(-back.low),
    )


def test_models_without_a_differing_row_may_still_differ_by_what_n_rows_can_hide():
    same = np.random.default_rng(0).random(100)
    finding = bootstrap.mean_difference(same, same, margin=0.01)
    assert finding.answer == "undecided"
    assert finding.high == pytest.approx(1 - 0.025 ** (1 / 100))
    both = bootstrap.compare(lambda w: w.mean(axis=1), lambda w: w.mean(axis=1), 100, how=Resampling(), margin=0.1)
    assert both.answer == "not_worse"


def test_a_metric_without_a_value_on_many_resamples_has_no_interval():
    def none(weights):
        return np.where(np.arange(len(weights)) % 10 == 0, np.nan, 1.0 + weights[:, 0])

    drawn = bootstrap.replicas([none], 50, Resampling(draws=100))[:, 0]
    assert all(math.isnan(end) for end in bootstrap.interval(1.0, drawn, units=50, alpha=0.05))


def test_one_unit_is_too_little():
    with pytest.raises(TooLittleDataError, match="fewer than two units"):
        list(bootstrap.weights(5, Resampling(clusters=np.zeros(5))))
    with pytest.raises(TooLittleDataError, match="blocks of 5"):
        bootstrap.long_run_error(np.arange(6.0), 5)


def test_clusters_widen_the_interval_of_rows_that_hang_together():
    rng = np.random.default_rng(3)
    customers = np.repeat(np.arange(40), 10)
    d = np.repeat(rng.normal(size=40), 10) + rng.normal(scale=0.1, size=400)
    alone = bootstrap.mean_difference(d, np.zeros(400))
    whole = bootstrap.mean_difference(d, np.zeros(400), how=Resampling(clusters=customers))
    assert 2.5 < (whole.high - whole.low) / (alone.high - alone.low) < 4.0


def test_the_long_run_error_is_that_of_overlapping_labels():
    """d_t = sum of h successive shocks: the variance of the mean is h² / n, h times that of independent rows."""
    rng, h, n = np.random.default_rng(0), 5, 3000
    seen = []
    for _ in range(40):
        d = np.convolve(rng.normal(size=n + h - 1), np.ones(h), mode="valid")
        seen.append(bootstrap.long_run_error(d, 3 * h) * bootstrap.widening(n, Resampling(horizon=h)))
    assert np.mean(seen) == pytest.approx(h / math.sqrt(n), rel=0.1)
