"""CatBoost: exact at every objective and shape of tree, and with categories where the words of training are given."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.preprocessing import OneHotEncoder

from modelway.errors import ExportError
from modelway.export.build import export_estimator
from modelway.export.catboost_words import told
from modelway.export.parity import check_parity
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


def with_words(model, task, y, table=TABLE, held=HELD):
    fitted = model.fit(table, y)
    words = {name: table[name].unique().tolist() for name in WORDS}
    exported = export_estimator(fitted, COLUMNS, task, words=words)
    assert set(exported.hints.words) == set(WORDS)
    proof = check_parity(exported.onnx, fitted, COLUMNS, task, held, exactness="double", seed=0, hints=exported.hints)
    assert exported.exactness == "double"
    assert proof.parity.worst <= proof.parity.tolerance == 1e-9
    return exported


def categorical(kind, **more):
    return made(kind, cat_features=list(WORDS), **more)


@pytest.mark.parametrize(
    ("task", "more"),
    [
        ("binary", {"one_hot_max_size": 50}),
        ("binary", {"one_hot_max_size": 2, "max_ctr_complexity": 1}),
        ("binary", {"one_hot_max_size": 2, "iterations": 120}),
        ("binary", {"one_hot_max_size": 6, "iterations": 60}),
        ("binary", {"simple_ctr": ["Counter", "Buckets", "BinarizedTargetMeanValue"], "max_ctr_complexity": 1}),
        ("binary", {"grow_policy": "Lossguide", "iterations": 60}),
        ("multiclass", {"iterations": 60}),
        ("regression", {"iterations": 60}),
        ("regression", {"iterations": 60, "simple_ctr": ["Borders:TargetBorderCount=3", "Counter"]}),
    ],
    ids=str,
)
def test_categories_by_one_hot_splits_and_target_statistics(task, more):
    kind = "CatBoostRegressor" if task == "regression" else "CatBoostClassifier"
    with_words(categorical(kind, **more), task, Y[task])


@pytest.mark.parametrize(
    ("one_hot_max_size", "kind"), [(2, "cat_feature_value"), (2, "float_feature"), (3, "cat_feature_exact_value")]
)
def test_statistics_of_columns_taken_together(one_hot_max_size, kind):
    """The target is decided by two columns of words at once, and by one of them with a number."""
    table, held = frame(1500, 1, rare=0.1), frame(300, 2, rare=0.1)
    for rows in (table, held):
        rows["job"] = np.where(rows["job"] == "DE", "DE", np.where(rows["job"] == "FR", "FR", ""))
    together = table["country"].isin(["DE", "x1"]) ^ table["channel"].isin(["FR", "x2"]) ^ (table["ratio"] > 0)
    y = (together ^ (table["job"] == "DE")).astype(int)
    more = {"one_hot_max_size": one_hot_max_size, "max_ctr_complexity": 4, "model_size_reg": 0, "learning_rate": 0.3}
    model = categorical("CatBoostClassifier", iterations=60, depth=6, **more)
    with_words(model, "binary", y, table, held)
    elements = [[e["combination_element"] for e in ctr["elements"]] for ctr in told(model)["features_info"]["ctrs"]]
    assert any(len(parts) > 1 and kind in parts[1:] for parts in elements)


def test_words_with_odd_characters_are_found():
    odd = ['a"b', "tab\there", "line\nbreak", "back\\slash", "Ö", "漢字", "'", "{}", "x" * 200, ""]
    table = TABLE.assign(job=np.array(odd, dtype=object)[np.arange(len(TABLE)) % len(odd)])
    y = table["job"].isin(odd[::2]).astype(int)
    with_words(categorical("CatBoostClassifier", one_hot_max_size=50), "binary", y, table, table.tail(200))
    with_words(categorical("CatBoostClassifier", one_hot_max_size=2), "binary", y, table, table.tail(200))


@pytest.mark.parametrize("one_hot_max_size", [2, 50])
def test_without_the_words_of_training_it_is_refused_with_a_way_out(one_hot_max_size):
    model = categorical("CatBoostClassifier", one_hot_max_size=one_hot_max_size).fit(TABLE, Y["binary"])
    with pytest.raises(ExportError, match="keeps hashes only") as refused:
        export_estimator(model, COLUMNS, "binary")
    assert "OneHotEncoder" in refused.value.fix
    some = {name: ["DE"] for name in WORDS}
    with pytest.raises(ExportError, match="not among the words of training"):
        export_estimator(model, COLUMNS, "binary", words=some)


def test_combinations_of_too_many_words_are_refused():
    many = np.array([f"w{i}" for i in range(600)], dtype=object)
    random = np.random.default_rng(0)
    table = frame(3000, 1).assign(country=random.choice(many, 3000), channel=random.choice(many, 3000))
    y = (table["country"].str[-1] < "5") ^ (table["channel"].str[-1] < "5")
    model = categorical("CatBoostClassifier", iterations=40, max_ctr_complexity=2, model_size_reg=0)
    model.fit(table, y.astype(int))
    assert any(len(ctr["elements"]) > 1 for ctr in told(model)["features_info"]["ctrs"])
    words = {name: table[name].unique().tolist() for name in WORDS}
    with pytest.raises(ExportError, match="combines columns to") as refused:
        export_estimator(model, COLUMNS, "binary", words=words)
    assert "max_ctr_complexity=1" in refused.value.fix


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
    if data.draw(st.booleans()) and (table[list(WORDS)].nunique() > 1).all():
        model.set_params(cat_features=list(WORDS), one_hot_max_size=data.draw(st.sampled_from([2, 5, 50])))
        model.set_params(max_ctr_complexity=data.draw(st.integers(1, 3)))
        with_words(model, task, y, table, held)
        return
    gated(prepared(model, numbers="passthrough"), task, y, table, held)
