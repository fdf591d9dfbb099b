import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from modelway.evidence import bootstrap
from modelway.validation.metrics import Sample, definition, main_loss, names, reported


def _value(name, task, sample, weights=None) -> float:
    statistic = definition(name, task).statistic(sample)
    return bootstrap.estimate(statistic, len(sample)) if weights is None else float(statistic(weights[None, :])[0])


@st.composite
def binary_rows(draw):
    n = draw(st.integers(4, 40))
    y = np.array([0, 1, *draw(st.lists(st.integers(0, 1), min_size=n - 2, max_size=n - 2))])
    p = np.array(draw(st.lists(st.integers(1, 19), min_size=n, max_size=n))) / 20
    weights = np.array([1, 1, *draw(st.lists(st.integers(0, 3), min_size=n - 2, max_size=n - 2))], dtype=float)
    return Sample(y, np.column_stack([1 - p, p]), (p >= 0.4).astype(int), np.full(n, 2.0), np.arange(n) + 1.0), weights


BINARY = {
    "roc_auc": lambda y, p, d, w: oracle.roc_auc_score(y, p, sample_weight=w),
    "average_precision": lambda y, p, d, w: oracle.average_precision_score(y, p, sample_weight=w),
    "log_loss": lambda y, p, d, w: oracle.log_loss(y, p, sample_weight=w),
    "brier": lambda y, p, d, w: oracle.brier_score_loss(y, p, sample_weight=w),
    "accuracy": lambda y, p, d, w: oracle.accuracy_score(y, d, sample_weight=w),
    "balanced_accuracy": lambda y, p, d, w: oracle.balanced_accuracy_score(y, d, sample_weight=w),
    "f1": lambda y, p, d, w: oracle.f1_score(y, d, sample_weight=w, zero_division=np.nan),
    "precision": lambda y, p, d, w: oracle.precision_score(y, d, sample_weight=w, zero_division=np.nan),
    "recall": lambda y, p, d, w: oracle.recall_score(y, d, sample_weight=w),
}


@pytest.mark.parametrize("name", BINARY)
@given(case=binary_rows())
@settings(max_examples=40)
def test_binary_metrics_of_weighted_rows_are_scikit_learns(name, case):
    sample, weights = case
    expected = BINARY[name](sample.target, sample.scores[:, 1], sample.decided, weights)
    assert _value(name, "binary", sample, weights) == pytest.approx(expected, nan_ok=True, abs=1e-12)


@pytest.mark.parametrize("name", [*BINARY, "cost"])
@given(case=binary_rows())
@settings(max_examples=20)
def test_a_weight_of_two_is_the_row_twice(name, case):
    sample, weights = case
    twice = np.repeat(np.arange(len(sample)), weights.astype(int))
    repeated = Sample(
        *(
            part[twice]
            for part in (sample.target, sample.scores, sample.decided, sample.false_positive, sample.false_negative)
        )
    )
    assert _value(name, "binary", sample, weights) == pytest.approx(
        _value(name, "binary", repeated), nan_ok=True, abs=1e-12
    )


@given(binary_rows())
@settings(max_examples=40)
def test_the_cost_is_the_mean_of_what_each_wrong_decision_costs(case):
    sample, weights = case
    cost = np.where(sample.decided > sample.target, sample.false_positive, 0.0)
    cost += np.where(sample.decided < sample.target, sample.false_negative, 0.0)
    assert _value("cost", "binary", sample, weights) == pytest.approx(np.average(cost, weights=weights))


@given(st.integers(0, 2**31), st.integers(3, 5))
@settings(max_examples=40)
def test_multiclass_metrics_are_scikit_learns(seed, k):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(k), rng.integers(0, k, 50)])
    p = rng.dirichlet(np.ones(k), len(y)).round(2) + 1e-3
    p /= p.sum(axis=1, keepdims=True)
    sample = Sample(y, p, p.argmax(axis=1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "accuracy": oracle.accuracy_score(y, sample.decided),
            "balanced_accuracy": oracle.balanced_accuracy_score(y, sample.decided),
            "log_loss": oracle.log_loss(y, p),
            "macro_f1": oracle.f1_score(y, sample.decided, average="macro"),
            "roc_auc_ovr": oracle.roc_auc_score(y, p, multi_class="ovr"),
        }
    assert set(expected) == set(names("multiclass"))
    for name, value in expected.items():
        assert _value(name, "multiclass", sample) == pytest.approx(value), name


@given(st.integers(0, 2**31))
@settings(max_examples=40)
def test_regression_metrics_of_weighted_rows_are_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    y, weights = rng.normal(100, 30, 40), rng.integers(0, 4, 40).astype(float)
    weights[:2] = 1
    guess = y + rng.normal(0, 10, 40)
    sample = Sample(y, guess[:, None], guess)
    expected = {
        "mae": oracle.mean_absolute_error(y, guess, sample_weight=weights),
        "rmse": oracle.root_mean_squared_error(y, guess, sample_weight=weights),
        "r2": oracle.r2_score(y, guess, sample_weight=weights),
        "mape": oracle.mean_absolute_percentage_error(y, guess, sample_weight=weights),
    }
    assert set(expected) == set(names("regression"))
    for name, value in expected.items():
        assert _value(name, "regression", sample, weights) == pytest.approx(value), name


def test_where_a_metric_has_no_meaning_it_is_nan():
    y, p = np.array([0, 0, 1]), np.array([0.1, 0.2, 0.3])
    nobody = Sample(y, np.column_stack([1 - p, p]), np.zeros(3, dtype=int))
    assert np.isnan(_value("precision", "binary", nobody))
    assert np.isnan(_value("cost", "binary", nobody))
    assert np.isnan(_value("mape", "regression", Sample(np.array([0.0, 1.0]), np.ones((2, 1)), np.ones(2))))
    only = Sample(np.zeros(3, dtype=int), np.column_stack([1 - p, p]), np.zeros(3, dtype=int))
    for name in ("roc_auc", "average_precision", "recall"):
        assert np.isnan(_value(name, "binary", only)), name


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_better_is_the_direction_in_which_a_better_model_moves(task):
    rng = np.random.default_rng(0)
    if task == "regression":
        y = rng.normal(50, 5, 500)
        made = [Sample(y, (y + rng.normal(0, sd, 500))[:, None], y) for sd in (5.0, 0.5)]
    else:
        k = 2 if task == "binary" else 4
        y = rng.integers(0, k, 500)
        made = []
        for strength in (0.5, 4.0):
            raw = np.exp(strength * np.eye(k)[y] + rng.normal(size=(500, k)))
            p = raw / raw.sum(axis=1, keepdims=True)
            made.append(Sample(y, p, p.argmax(axis=1), np.ones(500), np.ones(500)))
    for name in names(task):
        worse, better = (_value(name, task, sample) for sample in made)
        assert definition(name, task).sign * (better - worse) > 0, name


def test_names_that_a_task_does_not_know_are_none_and_the_cost_is_shown_on_demand():
    assert definition("roc_auc", "regression") is None
    assert "cost" in reported("binary", with_cost=True)
    assert "cost" not in reported("binary", with_cost=False)
    assert main_loss("regression") == "rmse"
    assert main_loss("multiclass") == "log_loss"
