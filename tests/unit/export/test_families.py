"""Every family on every task: the parity gate passes, in double, on holdout and adversarial rows."""

import warnings

import lightgbm
import numpy as np
import onnxruntime
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn import ensemble, linear_model, tree
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler

from modelway.export.build import export_estimator
from modelway.export.parity import check_parity
from modelway.records import Column
from tests.unit.export.frames import COLUMNS, NUMBERS, WORDS, frame, targets

TABLE, HELD = frame(500, 1), frame(200, 2)
Y = targets(TABLE)
ORDINAL = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
ONEHOT = OneHotEncoder(handle_unknown="ignore")


def prepared(model, *, numbers=None, words=ORDINAL):
    numbers = numbers if numbers is not None else make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    parts = [("n", numbers, list(NUMBERS)), ("w", words, list(WORDS))]
    return make_pipeline(ColumnTransformer(parts, sparse_threshold=0), model)


def lgb(kind, **more):
    return getattr(lightgbm, kind)(
        n_estimators=12, num_leaves=7, verbose=-1, random_state=0, n_jobs=1, deterministic=True, **more
    )


CLASSIFIERS = {
    "decision tree": lambda: tree.DecisionTreeClassifier(max_depth=6, random_state=0),
    "random forest": lambda: ensemble.RandomForestClassifier(8, random_state=0),
    "extra trees": lambda: ensemble.ExtraTreesClassifier(8, random_state=0),
    "gradient boosting": lambda: ensemble.GradientBoostingClassifier(n_estimators=8, random_state=0),
    "hist gradient boosting": lambda: ensemble.HistGradientBoostingClassifier(max_iter=8, random_state=0),
    "lightgbm": lambda: lgb("LGBMClassifier"),
    "logistic regression": lambda: linear_model.LogisticRegression(max_iter=500),
}
REGRESSORS = {
    "decision tree": lambda: tree.DecisionTreeRegressor(max_depth=6, random_state=0),
    "random forest": lambda: ensemble.RandomForestRegressor(8, random_state=0),
    "extra trees": lambda: ensemble.ExtraTreesRegressor(8, random_state=0),
    "gradient boosting": lambda: ensemble.GradientBoostingRegressor(n_estimators=8, random_state=0),
    "hist gradient boosting": lambda: ensemble.HistGradientBoostingRegressor(max_iter=8, random_state=0),
    "lightgbm": lambda: lgb("LGBMRegressor"),
    "linear": linear_model.LinearRegression,
    "ridge": linear_model.Ridge,
    "elastic net": lambda: linear_model.ElasticNet(0.1),
}


def proved(model, task, table=TABLE, held=HELD, columns=COLUMNS, y=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = model.fit(table, Y[task] if y is None else y)
        exported = export_estimator(fitted, columns, task)
        proof = check_parity(
            exported.onnx, fitted, columns, task, held, exactness=exported.exactness, seed=0, hints=exported.hints
        )
    return exported, proof


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers(name, task):
    exported, proof = proved(prepared(CLASSIFIERS[name]()), task)
    assert exported.exactness == "double"
    assert proof.parity.worst <= 1e-9
    assert proof.parity.rows > 800
    assert proof.parity.cases["missing, blank and unseen at once"] > 100


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors(name):
    exported, proof = proved(prepared(REGRESSORS[name]()), "regression")
    assert exported.exactness == "double"
    assert proof.parity.worst <= 1e-9


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler(), MinMaxScaler(clip=True), RobustScaler()])
@pytest.mark.parametrize(
    "imputer",
    [
        SimpleImputer(strategy="median", add_indicator=True),
        SimpleImputer(strategy="mean"),
        SimpleImputer(strategy="most_frequent"),
        SimpleImputer(strategy="constant", fill_value=-1.0),
    ],
    ids=lambda i: i.strategy,
)
def test_scalers_and_imputers(imputer, scaler):
    model = prepared(ensemble.RandomForestClassifier(5, random_state=0), numbers=make_pipeline(imputer, scaler))
    assert proved(model, "binary")[0].exactness == "double"


@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(handle_unknown="ignore", min_frequency=8),
        OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=3),
        OneHotEncoder(handle_unknown="ignore", drop="if_binary"),
        OneHotEncoder(handle_unknown="error"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, min_frequency=8),
        make_pipeline(SimpleImputer(missing_values="", strategy="constant", fill_value="none"), ONEHOT),
        make_pipeline(SimpleImputer(missing_values="", strategy="most_frequent"), ONEHOT),
    ],
)
def test_encoders(encoder):
    _, proof = proved(
        prepared(ensemble.HistGradientBoostingClassifier(max_iter=5, random_state=0), words=encoder), "binary"
    )
    assert proof.parity.worst <= 1e-9


def test_where_python_raises_the_rows_are_named_and_refused():
    strict = prepared(linear_model.LogisticRegression(max_iter=500), words=OneHotEncoder(handle_unknown="error"))
    _, proof = proved(strict, "binary")
    assert set(proof.refuses["unseen"]) == set(WORDS)
    missing = make_pipeline(ColumnTransformer([("n", StandardScaler(), ["ratio"])]), linear_model.LogisticRegression())
    columns = tuple(c for c in COLUMNS if c.name == "ratio")
    table = TABLE[["ratio"]].fillna(0.0)
    _, proof = proved(missing, "binary", table, HELD[["ratio"]].fillna(0.0), columns)
    assert list(proof.refuses["missing"]) == ["ratio"]


def test_boosting_with_native_categories_and_missing_values():
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    model = ensemble.HistGradientBoostingClassifier(
        max_iter=10, random_state=0, categorical_features=[len(NUMBERS) + i for i in range(len(WORDS))]
    )
    exported, proof = proved(prepared(model, numbers="passthrough", words=codes), "binary")
    assert exported.exactness == "double"
    assert proof.parity.worst <= 1e-9


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_random_pipelines_on_random_data(data):
    seed = data.draw(st.integers(0, 10_000))
    task = data.draw(st.sampled_from(["binary", "multiclass", "regression"]))
    makers = REGRESSORS if task == "regression" else CLASSIFIERS
    model = makers[data.draw(st.sampled_from(sorted(makers)))]()
    steps = [
        SimpleImputer(strategy=data.draw(st.sampled_from(["mean", "median"])), add_indicator=data.draw(st.booleans()))
    ]
    if data.draw(st.booleans()):
        steps.append(data.draw(st.sampled_from([StandardScaler(), RobustScaler(), MinMaxScaler()])))
    words = data.draw(st.sampled_from([ORDINAL, ONEHOT, OneHotEncoder(handle_unknown="ignore", max_categories=4)]))
    table = frame(data.draw(st.integers(60, 300)), seed, missing=data.draw(st.sampled_from([0.0, 0.1, 0.5])))
    scale = 10.0 ** data.draw(st.integers(-8, 8))
    table["ratio"] *= scale
    held = frame(80, seed + 1)
    held["ratio"] *= scale
    y = targets(table, seed)[task]
    if task != "regression" and len(np.unique(y)) < (2 if task == "binary" else 3):
        return
    exported, proof = proved(prepared(model, numbers=make_pipeline(*steps), words=words), task, table, held, y=y)
    assert exported.exactness == "double"
    assert proof.parity.worst <= proof.parity.tolerance == 1e-9


def test_lightgbm_on_its_own_thresholds_where_single_precision_is_wrong():
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(2000, 4)), columns=list("abcd"))
    y = (table["a"] * table["b"] + random.normal(0, 0.3, 2000) > 0).astype(int)
    columns = tuple(type(COLUMNS[0])(name, "number") for name in "abcd")
    exported, proof = proved(lgb("LGBMClassifier"), "binary", table, table.head(500), columns, y)
    assert proof.parity.cases["on and next to splits"] == 2500
    assert exported.exactness == "double"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_values_that_lightgbm_takes_as_zero_fall_on_the_side_of_zero():
    """|x| ≤ 1e-35 (as float32) is dropped from a row, so −1e-35 lies right of a threshold of −1.0000000180025095e-35."""
    from lightgbm import LGBMClassifier

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.integers(-2, 3, 2000).astype(float)})
    labels = (frame["a"].to_numpy() >= 0).astype(int) ^ (rng.random(2000) < 0.1)
    model = LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1).fit(frame, labels)
    assert "-1.0000000180025095e-35" in model.booster_.model_to_string()
    tiny = float(np.float32(1e-35))
    values = [
        -1.0,
        -2e-35,
        np.nextafter(-tiny, -1),
        -tiny,
        np.nextafter(-tiny, 0),
        0.0,
        tiny,
        np.nextafter(tiny, 1),
        1.0,
    ]
    made = export_estimator(model, (Column("a", "number"),), "binary", classes=2)
    session = onnxruntime.InferenceSession(made.onnx, providers=["CPUExecutionProvider"])
    graph = session.run(["scores"], {"numbers": np.array(values)[:, None]})[0]
    python = model.predict_proba(pd.DataFrame({"a": values}))
    np.testing.assert_allclose(graph, python, rtol=0, atol=1e-12)
