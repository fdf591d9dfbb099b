"""Present losses against the holdout's: the answer, its margin, and error rates by seeded simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.evidence.bootstrap import Resampling, replicas
from modelway.monitoring.performance import (
    FEWEST_ROWS,
    constant_losses,
    drawn_means,
    losses,
    performance,
    sampled,
)
from modelway.records import dumps, loads
from modelway.rollout.losses import loss


def binary(rng, n, *, flip=0.0):
    """Labels drawn from calibrated scores, then some of them turned round."""
    p = rng.beta(0.6, 2.0, n)
    y = (rng.random(n) < p).astype(float)
    turned = rng.random(n) < flip
    return np.where(turned, 1 - y, y), np.column_stack([1 - p, p])


def judge(rng, n_held, n_now, *, flip=0.0, margin=None):
    held = sampled(*binary(rng, n_held), "binary")
    now = sampled(*binary(rng, n_now, flip=flip), "binary", seed=1)
    return performance(held, now, "binary", margin=margin)


def test_an_unchanged_model_is_seldom_called_worse_and_a_spoilt_one_is():
    rng = np.random.default_rng(0)
    answers = [judge(rng, 1_000, 250).answer for _ in range(150)]
    assert answers.count("worse") / len(answers) <= 0.05
    spoilt = [judge(rng, 1_000, 250, flip=0.3).answer for _ in range(30)]
    assert spoilt.count("worse") >= 28


def test_overlapping_labels_are_resampled_in_blocks():
    """Losses that hang together over 8 rows: taken as independent rows, an unchanged model would often be called worse."""

    def series(n, horizon, seed):
        noise = rng.normal(size=n + 7)
        y = np.convolve(noise, np.ones(8) / 8, mode="valid") * np.sqrt(8)
        return sampled(y, np.zeros((n, 1)), "regression", horizon=horizon, seed=seed)

    wrong = {0: 0, 8: 0}
    for horizon in wrong:
        rng = np.random.default_rng(1)
        for _ in range(100):
            found = performance(series(1_000, horizon, 0), series(250, horizon, 1), "regression")
            wrong[horizon] += found.answer == "worse"
    assert wrong[8] <= 8 < wrong[0]


def test_the_margin_is_the_specs_or_between_a_tenth_and_half_of_the_gain():
    rng = np.random.default_rng(2)
    given_margin = judge(rng, 1_000, 400, flip=0.05, margin=0.5)
    assert (given_margin.answer, given_margin.margin, given_margin.margin_from) == ("not_worse", 0.5, "spec")
    few, many = judge(rng, 1_000, 31), judge(rng, 80_000, 80_000)
    assert few.margin_from == "half of the model's gain"
    assert many.margin_from == "a tenth of the model's gain"
    assert 0 < many.margin < few.margin
    assert many.answer in ("not_worse", "better")


def test_a_loss_that_nobody_minds_is_not_worse_however_many_rows_show_it():
    rng = np.random.default_rng(3)
    found = judge(rng, 80_000, 80_000, flip=0.004)
    assert found.finding.effect < 0
    assert found.answer == "not_worse"


def test_both_figures_come_with_their_intervals_and_the_whole_is_json():
    rng = np.random.default_rng(4)
    found = judge(rng, 1_000, 300, flip=0.2)
    for metric, part, rows in ((found.metric, "matured", 300), (found.held, "holdout", 1_000)):
        assert (metric.name, metric.part, metric.rows) == ("brier", part, rows)
        assert metric.low < metric.value < metric.high
    assert found.finding.effect == pytest.approx(found.held.value - found.metric.value)
    assert "300 matured answers" in found.reason
    assert loads(type(found), dumps(found)) == found


def test_few_rows_are_not_judged():
    rng = np.random.default_rng(5)
    assert sampled(*binary(rng, FEWEST_ROWS - 1), "binary") is None
    assert sampled(*binary(rng, FEWEST_ROWS), "binary") is not None
    assert sampled(*binary(rng, 100), "binary", horizon=20) is None  # five pieces
    enough = sampled(*binary(rng, 100), "binary")
    for held, now in ((None, enough), (enough, None), (None, None)):
        found = performance(held, now, "binary")
        assert (found.answer, found.finding) == ("not_applicable", None)
        assert (found.metric is not None, found.held is not None) == (now is not None, held is not None)


def test_rows_without_a_usable_label_or_score_are_left_out():
    target, scores = binary(np.random.default_rng(6), 60)
    target[:5], scores[5:8] = np.nan, np.nan
    assert sampled(target, scores, "binary").rows == 52


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_the_loss_is_the_one_that_releases_are_judged_on(rows):
    scores = np.array([[a, b, 1 - (a + b) / 2] for _, a, b in rows])
    target = np.array([t for t, _, _ in rows], dtype=float)
    names = ("a", "b", "c")
    wanted = [loss(row, names[int(t)], names) for row, t in zip(scores.tolist(), target, strict=True)]
    assert losses(target, scores, "multiclass") == pytest.approx(wanted)
    assert losses(target, scores[:, :1], "regression") == pytest.approx(np.abs(scores[:, 0] - target))


def test_the_best_constant_answer():
    assert constant_losses(np.array([0.0, 0, 0, 1]), "binary") == pytest.approx((1 - 0.75**2 - 0.25**2) / 2)
    assert constant_losses(np.array([1.0, 2, 9]), "regression") == pytest.approx(8 / 3)


@pytest.mark.parametrize("horizon", [0, 5])
def test_resampled_means_are_those_of_the_bootstrap(horizon):
    values = np.cumsum(np.random.default_rng(7).normal(size=200)) / 10
    how = Resampling(horizon=horizon, draws=4_000)
    ours, theirs = drawn_means(values, how), replicas([lambda w: (w @ values) / w.sum(axis=1)], 200, how)[:, 0]
    assert ours.mean() == pytest.approx(theirs.mean(), abs=4 * theirs.std() / np.sqrt(2_000))
    assert ours.std() == pytest.approx(theirs.std(), rel=0.06)


def test_of_a_detector_the_share_of_false_alerts_is_compared():
    """Rows are alerts; one without a label says nothing, whatever its score."""
    target = np.array([0.0, 1.0, -1.0, np.nan, 1.0])
    found = losses(target, np.full((5, 1), -80.0), "anomaly")
    np.testing.assert_array_equal(found, [1, 0, np.nan, np.nan, 0])

    def alerts(rows: int, right: float, seed: int):
        hit = np.random.default_rng(seed).random(rows) < right
        return sampled(hit.astype(float), np.ones((rows, 1)), "anomaly", seed=seed)

    good, same, bad = alerts(400, 0.7, 0), alerts(400, 0.7, 1), alerts(400, 0.3, 2)
    assert performance(good, same, "anomaly").answer in ("not_worse", "better", "undecided")
    worse = performance(good, bad, "anomaly")
    assert (worse.answer, worse.metric.name, worse.margin_from) == ("worse", "false_alerts", "power")
    assert worse.metric.value == pytest.approx(0.7, abs=0.1)
    assert performance(good, alerts(20, 0.7, 3), "anomaly").answer == "not_applicable"
