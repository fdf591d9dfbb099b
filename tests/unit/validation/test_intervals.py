import math
import time

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from modelway.evidence.bootstrap import Resampling
from modelway.validation.intervals import measured, share_interval
from modelway.validation.metrics import Sample, definition, names


def _sample(n, seed=0, spread=1.0) -> Sample:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    y = (rng.random(n) < 1 / (1 + np.exp(-(2 * z - 1)))).astype(int)
    p = 1 / (1 + np.exp(-(2 * z - 1 + spread * rng.normal(size=n))))
    return Sample(y, np.column_stack([1 - p, p]), (p >= 0.5).astype(int), np.ones(n), np.full(n, 5.0))


def _all(task="binary"):
    return [definition(name, task) for name in names(task)]


@pytest.mark.parametrize("how", [Resampling(draws=1000), Resampling(draws=200), Resampling(draws=1000, horizon=5)])
def test_every_interval_holds_its_figure(how):
    found = measured(_all(), _sample(400), how)
    assert set(found) == set(names("binary"))
    for metric in found.values():
        assert metric.low < metric.value < metric.high, metric


def test_shares_have_the_exact_interval():
    for hits, rows in ((0, 10), (29, 30), (30, 30), (450, 500)):
        expected = proportion_confint(hits, rows, alpha=0.05, method="beta")
        assert share_interval(hits / rows, rows) == (pytest.approx(expected[0]), pytest.approx(expected[1]))


def test_figures_that_need_no_resampling_stand_alone():
    exact = ["accuracy", "recall", "roc_auc"]
    alone = measured([definition(name, "binary") for name in exact], _sample(400), Resampling(draws=100))
    beside = measured(_all(), _sample(400), Resampling(draws=100))
    assert alone == {name: beside[name] for name in exact}


def test_a_perfect_model_on_few_rows_is_not_shown_to_be_perfect():
    y = np.repeat([0, 1], 20)
    p = np.where(y == 1, 0.9, 0.1)
    found = measured(_all(), Sample(y, np.column_stack([1 - p, p]), y.copy()), Resampling(draws=500))
    for name in ("roc_auc", "average_precision", "accuracy", "balanced_accuracy", "f1", "precision", "recall"):
        assert found[name].value == 1.0
        assert found[name].low < 0.95, name


def test_rows_of_one_customer_count_less_than_rows_of_many():
    once = _sample(200)
    repeated = Sample(
        *(
            np.repeat(part, 10, axis=0)
            for part in (once.target, once.scores, once.decided, once.false_positive, once.false_negative)
        )
    )
    alone = measured(_all(), once, Resampling(draws=1000))
    whole = measured(_all(), repeated, Resampling(clusters=np.repeat(np.arange(200), 10), draws=1000))
    for name in names("binary"):
        widths = [m[name].high - m[name].low for m in (alone, whole)]
        assert widths[1] == pytest.approx(widths[0], rel=0.25), name


def test_the_interval_covers_the_truth_at_its_rate():
    """Accuracy, log loss and rmse-like means of fresh samples; the truth from a million rows."""
    truth = {name: m.value for name, m in measured(_all(), _sample(200_000, 99), Resampling(draws=2)).items()}
    watched = ["roc_auc", "log_loss", "accuracy", "recall", "f1"]
    missed = dict.fromkeys(watched, 0)
    runs = 150
    for seed in range(runs):
        found = measured(
            [definition(name, "binary") for name in watched], _sample(250, seed), Resampling(draws=400, seed=seed)
        )
        for name in watched:
            missed[name] += not found[name].low <= truth[name] <= found[name].high
    for name, times in missed.items():
        assert times / runs < 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs), name


def test_without_two_units_there_is_a_figure_but_no_interval():
    found = measured([definition("log_loss", "binary")], _sample(40), Resampling(clusters=np.zeros(40), draws=100))
    assert found["log_loss"].value is not None
    assert found["log_loss"].low is None


def test_a_holdout_of_six_thousand_rows_takes_seconds():
    sample = _sample(6_000)
    measured(_all(), _sample(100), Resampling(draws=10))
    start = time.perf_counter()
    measured(_all(), sample, Resampling())
    assert time.perf_counter() - start < 8, "2 s on an idle machine"
