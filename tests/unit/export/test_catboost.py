"""CatBoost on numbers: exact at every objective and shape of tree; categories are refused, with the way out."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.preprocessing import OneHotEncoder

from modelway.errors import ExportError
from modelway.export.build import export_estimator
from tests.unit.export.frames import COLUMNS, NUMBERS, WORDS, frame, run, targets
from tests.unit.export.test_families import prepared, proved

catboost = pytest.importorskip("catboost")

NUMERIC = COLUMNS[: len(NUMBERS)]
TABLE, HELD = frame(500, 1), frame(200, 2)
Y = targets(TABLE)
POSITIVE = np.exp(Y["regression"] / 1000) + 0.1


def made(kind, **more):
    usual = {"iterations": 15, "depth": 4, "verbose": False, "allow_writing_files": False, "thread_count": 1}
    return getattr(catboost, kind)(**usual | {"random_seed": 0} | more)


def gated(model, task, y=None, table=TABLE, held=HELD):
    exported, proof = proved(model, task, table, held, COLUMNS, y)
    assert exported.exactness == "double"
    assert proof.parity.worst <= proof.parity.tolerance == 1e-9
    return proof


@pytest.mark.parametrize(
    "loss",
    ["RMSE", "MAE", "Quantile:alpha=0.9", "Huber:delta=1", "MAPE", "Poisson", "Tweedie:variance_power=1.5"],
)
def test_every_objective_of_a_regression(loss):
    proof = gated(
        prepared(made("CatBoostRegressor", loss_function=loss), numbers="passthrough"), "regression", POSITIVE
    )
    assert proof.parity.cases["on and next to splits"] == 2500


@pytest.mark.parametrize(
    ("task", "more"),
    [
        ("binary", {}),
        ("binary", {"loss_function": "CrossEntropy"}),
        ("binary", {"nan_mode": "Max"}),
        ("binary", {"grow_policy": "Depthwise"}),
        ("binary", {"grow_policy": "Lossguide", "max_leaves": 12}),
        ("binary", {"monotone_constraints": [1, 0, -1, 0, 0, 0, 0]}),
        ("binary", {"auto_class_weights": "Balanced"}),
        ("multiclass", {}),
        ("multiclass", {"loss_function": "MultiClassOneVsAll"}),
        ("multiclass", {"grow_policy": "Lossguide"}),
    ],
    ids=str,
)
def test_classifiers(task, more):
    gated(prepared(made("CatBoostClassifier", **more), numbers="passthrough"), task)


def test_only_the_trees_up_to_the_best_round_count():
    table, held = TABLE[list(NUMBERS)], HELD[list(NUMBERS)]
    model = made("CatBoostClassifier", iterations=300, learning_rate=0.5, early_stopping_rounds=3)
    model.fit(table, Y["binary"], eval_set=(held, targets(HELD)["binary"]))
    assert model.tree_count_ < 100
    graph = run(export_estimator(model, NUMERIC, "binary").onnx, held, NUMERIC)
    np.testing.assert_allclose(graph, model.predict_proba(held), rtol=0, atol=1e-12)


def test_where_it_saw_no_missing_value_one_goes_as_it_sends_it():
    table = TABLE[list(NUMBERS)].fillna(0.0)
    proved(made("CatBoostClassifier").fit(table, Y["binary"]), "binary", table, HELD[list(NUMBERS)], NUMERIC)


def test_under_calibration_after_one_hot_columns():
    model = CalibratedClassifierCV(made("CatBoostClassifier"), method="isotonic", cv=2)
    gated(prepared(model, numbers="passthrough", words=OneHotEncoder(handle_unknown="ignore")), "binary")


@pytest.mark.parametrize("one_hot_max_size", [2, 50])
def test_categories_are_refused_by_name_with_a_way_out(one_hot_max_size):
    model = made("CatBoostClassifier", cat_features=list(WORDS), one_hot_max_size=one_hot_max_size)
    with pytest.raises(ExportError, match="country, channel, job") as refused:
        export_estimator(model.fit(TABLE, Y["binary"]), COLUMNS, "binary")
    assert "OneHotEncoder" in refused.value.fix


@pytest.mark.parametrize(
    ("kind", "more", "told"),
    [
        ("CatBoostRegressor", {"loss_function": "MultiQuantile:alpha=0.1,0.9"}, "2 outputs"),
        ("CatBoostRegressor", {"loss_function": "RMSEWithUncertainty"}, "2 outputs"),
    ],
)
def test_what_has_no_graph_is_refused(kind, more, told):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = made(kind, **more).fit(TABLE[list(NUMBERS)], Y["regression"])
    with pytest.raises(ExportError, match=told) as refused:
        export_estimator(model, NUMERIC, "regression")
    assert refused.value.fix


@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(data=st.data())
def test_random_models_on_random_data(data):
    seed = data.draw(st.integers(0, 10_000))
    task = data.draw(st.sampled_from(["binary", "multiclass", "regression"]))
    missing = data.draw(st.sampled_from([0.0, 0.1, 0.5]))
    table, held = frame(data.draw(st.integers(60, 300)), seed, missing=missing), frame(80, seed + 1)
    scale = 10.0 ** data.draw(st.integers(-12, 12))
    table["ratio"] *= scale
    held["ratio"] *= scale
    y = targets(table, seed)[task]
    if task != "regression" and len(np.unique(y)) < (2 if task == "binary" else 3):
        return
    kind = "CatBoostRegressor" if task == "regression" else "CatBoostClassifier"
    model = made(
        kind,
        depth=data.draw(st.integers(1, 7)),
        grow_policy=data.draw(st.sampled_from(["SymmetricTree", "Depthwise", "Lossguide"])),
        nan_mode=data.draw(st.sampled_from(["Min", "Max"])),
        border_count=data.draw(st.sampled_from([5, 254])),
    )
    gated(prepared(model, numbers="passthrough"), task, y, table, held)
