"""XGBoost in single precision: margins equal bit for bit, scores to one step of float32, at every objective."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn import ensemble
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from modelway.errors import ExportError
from modelway.export.build import export_estimator
from modelway.records import Column
from tests.unit.export.frames import COLUMNS, NUMBERS, frame, run, targets
from tests.unit.export.test_families import prepared, proved

xgboost = pytest.importorskip("xgboost")

NUMERIC = COLUMNS[: len(NUMBERS)]
TABLE, HELD = frame(500, 1)[list(NUMBERS)], frame(300, 2)[list(NUMBERS)]
Y = targets(frame(500, 1))
POSITIVE = np.exp(Y["regression"] / 1000).round(3) + 0.1
OBJECTIVES = {
    **dict.fromkeys(("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror"), Y["regression"]),
    **dict.fromkeys(("count:poisson", "reg:gamma", "reg:tweedie", "reg:squaredlogerror"), POSITIVE),
    "reg:quantileerror": Y["regression"],
    "reg:logistic": Y["binary"] * 0.9 + 0.05,
}


def classifier(**more):
    return xgboost.XGBClassifier(**{"n_estimators": 30, "max_depth": 4, "n_jobs": 1, "random_state": 0} | more)


def regressor(**more):
    return xgboost.XGBRegressor(**{"n_estimators": 30, "max_depth": 4, "n_jobs": 1, "random_state": 0} | more)


def gated(model, task, y, table=TABLE, held=HELD, columns=NUMERIC):
    exported, proof = proved(model, task, table, held, columns, y)
    assert exported.exactness == "single"
    assert exported.hints.stock == ()
    assert proof.parity.worst <= proof.parity.tolerance == 1e-6
    return exported, proof


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_of_a_regression(objective):
    more = {"quantile_alpha": 0.9} if objective == "reg:quantileerror" else {}
    model = regressor(objective=objective, **more)
    exported, proof = gated(model, "regression", OBJECTIVES[objective])
    if objective in ("reg:squarederror", "reg:quantileerror"):
        assert proof.parity.worst == 0.0, "nothing is rounded after the sum, which is equal bit for bit"
    assert set(exported.hints.splits) <= set(NUMBERS)


@pytest.mark.parametrize(
    ("task", "more"),
    [
        ("binary", {}),
        ("binary", {"base_score": 0.123, "scale_pos_weight": 3.0}),
        ("binary", {"booster": "dart", "rate_drop": 0.3}),
        ("binary", {"monotone_constraints": (1, 0, -1, 0)}),
        ("binary", {"missing": 0.0}),
        ("multiclass", {}),
        ("multiclass", {"objective": "multi:softmax"}),
        ("multiclass", {"num_parallel_tree": 3, "subsample": 0.7}),
    ],
    ids=str,
)
def test_classifiers(task, more):
    gated(classifier(**more), task, Y[task])


@pytest.mark.parametrize("name", ["XGBRFClassifier", "XGBRFRegressor"])
def test_random_forests(name):
    task = "multiclass" if name.endswith("Classifier") else "regression"
    gated(getattr(xgboost, name)(n_estimators=10, n_jobs=1, random_state=0), task, Y[task])


def test_only_the_trees_up_to_the_best_round_count():
    model = classifier(n_estimators=200, early_stopping_rounds=3, learning_rate=0.5, eval_metric="logloss")
    model.fit(TABLE, Y["binary"], eval_set=[(HELD, targets(frame(300, 2))["binary"])], verbose=False)
    trained = model.get_booster().num_boosted_rounds()
    assert model.best_iteration + 1 < trained
    graph = run(export_estimator(model, NUMERIC, "binary").onnx, HELD, NUMERIC)
    np.testing.assert_allclose(graph, model.predict_proba(HELD), rtol=0, atol=1e-7)
    all_of_them = model.predict_proba(HELD, iteration_range=(0, trained))
    assert np.abs(graph - all_of_them).max() > 1e-3


def test_a_sum_of_many_trees_is_equal_bit_for_bit():
    model = regressor(n_estimators=400, learning_rate=0.05).fit(TABLE, Y["regression"])
    graph = run(export_estimator(model, NUMERIC, "regression").onnx, HELD, NUMERIC)
    assert (graph[:, 0].astype(np.float32) == model.predict(HELD)).all()


def test_categories_go_as_xgboost_sends_them():
    """Codes that were never met, broken ones and negative ones too."""
    random = np.random.default_rng(0)
    table = pd.DataFrame({"code": random.integers(0, 9, 800).astype(float), "x": random.normal(size=800)})
    y = np.isin(table["code"], [1, 4, 7]) ^ (table["x"] > 1)
    columns = (Column("code", "number"), Column("x", "number"))
    model = classifier(feature_types=["c", "q"], enable_categorical=True, max_cat_to_onehot=1, tree_method="hist")
    model.fit(table.to_numpy(), y.astype(int))
    codes = [0.0, 1.0, 1.5, 7.999, 4.0, 8.0, 9.0, 31.0, 32.0, 64.0, 100.0, 1e6, np.nan]
    rows = pd.DataFrame({"code": codes * 2, "x": [0.0] * 13 + [2.0] * 13})
    graph = run(export_estimator(model, columns, "binary").onnx, rows, columns)
    np.testing.assert_allclose(graph, model.predict_proba(rows.to_numpy()), rtol=0, atol=1e-7)
    assert len(set(graph[:, 1])) > 2


def test_at_the_end_of_a_pipeline_with_words():
    gated(prepared(classifier()), "binary", Y["binary"], frame(500, 1), frame(200, 2), COLUMNS)


def test_one_row_gets_the_score_that_it_gets_among_many():
    model = classifier(n_estimators=120).fit(TABLE, Y["binary"])
    onnx = export_estimator(model, NUMERIC, "binary").onnx
    many = run(onnx, HELD, NUMERIC)
    assert (np.concatenate([run(onnx, HELD[i : i + 1], NUMERIC) for i in range(50)]) == many[:50]).all()


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: classifier(booster="gblinear", max_depth=None).fit(TABLE.fillna(0), Y["binary"]), "gblinear"),
        (lambda: classifier(objective="binary:hinge").fit(TABLE, Y["binary"]), "binary:hinge"),
        (lambda: regressor(objective=lambda y, p: (p - y, np.ones_like(y))).fit(TABLE, Y["regression"]), "your own"),
        (
            lambda: regressor(objective="reg:quantileerror", quantile_alpha=[0.1, 0.9]).fit(TABLE, Y["regression"]),
            "2 outputs",
        ),
        (
            lambda: regressor(tree_method="hist", multi_strategy="multi_output_tree").fit(
                TABLE, np.column_stack([Y["regression"], Y["binary"]])
            ),
            "several outputs",
        ),
    ],
)
def test_what_has_no_graph_is_refused_by_name(made, told):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = made()
    task = "binary" if hasattr(model, "classes_") else "regression"
    with pytest.raises(ExportError, match=told) as refused:
        export_estimator(model, NUMERIC, task)
    assert refused.value.fix


MADE_OF_IT = {
    "isotonic": ("binary", lambda: CalibratedClassifierCV(classifier(), method="isotonic", cv=2)),
    "sigmoid": ("multiclass", lambda: CalibratedClassifierCV(classifier(), method="sigmoid", cv=2)),
    "vote": (
        "multiclass",
        lambda: ensemble.VotingClassifier(
            [("x", classifier()), ("t", DecisionTreeClassifier(max_depth=4))], voting="soft", weights=[2, 1]
        ),
    ),
    "stack": (
        "regression",
        lambda: ensemble.StackingRegressor([("x", regressor()), ("t", regressor(max_depth=2))], cv=2),
    ),
    "scaled target": (
        "regression",
        lambda: TransformedTargetRegressor(regressor(), transformer=StandardScaler()),
    ),
    "logarithm": ("positive", lambda: TransformedTargetRegressor(regressor(), func=np.log1p, inverse_func=np.expm1)),
}


@pytest.mark.parametrize("name", MADE_OF_IT)
def test_models_made_of_it(name):
    task, made = MADE_OF_IT[name]
    y = POSITIVE if task == "positive" else Y[task]
    gated(made(), "regression" if task == "positive" else task, y)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_random_models_on_random_data(data):
    seed = data.draw(st.integers(0, 10_000))
    task = data.draw(st.sampled_from(["binary", "multiclass", "regression"]))
    table = frame(data.draw(st.integers(60, 300)), seed, missing=data.draw(st.sampled_from([0.0, 0.1, 0.5])))
    held = frame(80, seed + 1)
    scale = 10.0 ** data.draw(st.integers(-12, 12))
    table["ratio"] *= scale
    held["ratio"] *= scale
    y = targets(table, seed)[task]
    if task != "regression" and len(np.unique(y)) < (2 if task == "binary" else 3):
        return
    more = {
        "n_estimators": data.draw(st.integers(1, 60)),
        "max_depth": data.draw(st.integers(1, 6)),
        "learning_rate": data.draw(st.sampled_from([0.05, 0.3, 1.0])),
        "tree_method": data.draw(st.sampled_from(["hist", "exact", "approx"])),
        "subsample": data.draw(st.sampled_from([0.6, 1.0])),
        "grow_policy": data.draw(st.sampled_from(["depthwise", "lossguide"])),
    }
    if more["tree_method"] == "exact":
        del more["grow_policy"]
    words = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    model = prepared((regressor if task == "regression" else classifier)(**more), numbers="passthrough", words=words)
    gated(model, task, y, table, held, COLUMNS)


def test_a_pipeline_of_its_own_class_names_its_step():
    model = make_pipeline(regressor()).fit(TABLE, Y["regression"])
    steps = export_estimator(model, NUMERIC, "regression").steps
    assert [(step.kind, step.exactness, step.stock) for step in steps] == [("XGBRegressor", "single", False)]
