from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.errors import SpecError
from modelway.training.fit import fit
from modelway.training.losses import loss_of
from modelway.training.prepare import prepare
from modelway.training.search import random_folds, time_folds
from tests.unit.training.conftest import COLUMNS, START, rows, spec_of


def _moments(hours) -> pl.Series:
    return pl.Series([START + timedelta(hours=h) for h in hours], dtype=pl.Datetime("us", "UTC"))


@given(st.lists(st.integers(0, 200), min_size=20, max_size=120), st.integers(1, 5), st.integers(0, 6))
def test_a_fold_is_judged_by_what_was_known_a_gap_before(hours, count, gap):
    at = _moments(hours)
    folds = time_folds(at, count, timedelta(hours=gap))
    assert len(folds) == count
    for learn, held in folds:
        if len(learn) and len(held):
            assert at[learn].max() <= at[held].min() - timedelta(hours=gap)
            assert at[learn].max() < at[held].min()
    judged = np.concatenate([held for _, held in folds])
    assert len(set(judged)) == len(judged)


@given(st.lists(st.integers(0, 3), min_size=10, max_size=80), st.integers(2, 5), st.integers(0, 9))
def test_at_random_each_row_is_judged_once_and_classes_are_spread_evenly(target, count, seed):
    truth = np.array(target)
    folds = random_folds(truth, count, seed, classes=True)
    assert sorted(np.concatenate([held for _, held in folds])) == list(range(len(truth)))
    for learn, held in folds:
        assert set(learn).isdisjoint(held)
    for value in set(target):
        sizes = [(truth[held] == value).sum() for _, held in folds]
        assert max(sizes) - min(sizes) <= 1


def test_the_same_search_finds_the_same_and_the_holdout_is_not_touched(store, project):
    spec = spec_of(search={"trials": 5})
    frame = rows()
    spoilt = frame.with_columns(amount=pl.when(pl.int_range(300) >= 240).then(pl.lit(1e6)).otherwise(pl.col("amount")))
    found = [
        fit(prepare(f, spec, COLUMNS, (), START, store), spec, project(), store).params for f in (frame, frame, spoilt)
    ]
    assert found[0] == found[1] == found[2]


def test_a_search_beats_the_worst_of_its_space(store, project):
    told = []
    spec = spec_of(search={"trials": 8, "metric": "roc_auc"})
    from modelway.training.estimate import Watch

    fit(prepare(rows(), spec, COLUMNS, (), START, store), spec, project(), store, Watch(told.append))
    losses = [p.loss for p in told]
    assert told[-1].best == min(losses) < max(losses)
    assert -1 <= min(losses) < -0.6


@pytest.mark.parametrize("metric", ["log_loss", "brier", "accuracy", "roc_auc", "average_precision"])
def test_each_loss_is_smaller_for_better_scores(metric):
    target = np.array([0, 1, 2, 0, 1, 2])
    good, bad = np.eye(3)[target] * 0.8 + 0.2 / 3, np.eye(3)[(target + 1) % 3] * 0.8 + 0.2 / 3
    judge = loss_of(metric, "multiclass")
    assert judge(target, good) < judge(target, bad)
    two = np.array([0, 1, 1, 0])
    assert loss_of(metric, "binary")(two, np.eye(2)[two]) < loss_of(metric, "binary")(two, np.eye(2)[1 - two])


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2", "log_loss"])
def test_losses_of_numbers(metric):
    target = np.array([1.0, 2.0, 3.0])
    judge = loss_of(metric, "regression")
    assert judge(target, target[:, None] + 0.1) < judge(target, target[:, None] + 1.0)


def test_brier_and_log_loss_agree_with_scikit_learn():
    from sklearn.metrics import brier_score_loss, log_loss

    rng = np.random.default_rng(0)
    target, likely = rng.integers(0, 2, 50), rng.random(50)
    scores = np.c_[1 - likely, likely]
    assert loss_of("brier", "binary")(target, scores) == pytest.approx(brier_score_loss(target, likely))
    assert loss_of("log_loss", "binary")(target, scores) == pytest.approx(log_loss(target, likely))


def test_an_unknown_metric_names_the_known_ones():
    with pytest.raises(SpecError, match="roc_auc"):
        loss_of("gini", "binary")
