"""Votes, stacks, calibrated models and transformed targets: exact as their members are."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sklearn import ensemble, linear_model, svm
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from modelway.errors import ExportError
from modelway.export.build import export_estimator
from tests.unit.export.frames import COLUMNS, NUMBERS, frame, run, targets
from tests.unit.export.test_families import CLASSIFIERS, REGRESSORS, lgb, prepared, proved

TABLE, HELD = frame(500, 1), frame(200, 2)
Y = targets(TABLE)
NUMERIC = COLUMNS[: len(NUMBERS)]
POSITIVE = np.exp(Y["regression"] / 1000) + 0.1
MARGINS = {
    "linear svc": lambda: svm.LinearSVC(),
    "ridge classifier": linear_model.RidgeClassifier,
    "perceptron": linear_model.Perceptron,
}


def gated(model, task, y=None, table=TABLE, held=HELD, columns=COLUMNS):
    exported, proof = proved(model, task, table, held, columns, y)
    assert exported.exactness == "double"
    assert proof.parity.worst <= proof.parity.tolerance == 1e-9
    return exported


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("name", [*CLASSIFIERS, *MARGINS])
def test_calibration(name, method, task):
    member = (CLASSIFIERS | MARGINS)[name]()
    gated(prepared(CalibratedClassifierCV(member, method=method, cv=2)), task)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration_of_one_model_around_a_whole_pipeline(method):
    whole = prepared(CLASSIFIERS["random forest"]())
    exported = gated(CalibratedClassifierCV(whole, method=method, cv=2, ensemble=False), "multiclass")
    assert [step.kind for step in exported.steps][-1] == "CalibratedClassifierCV"
    assert set(exported.hints.splits) == set(NUMBERS)


def test_calibration_of_a_model_that_was_fitted_before():
    fitted = prepared(CLASSIFIERS["gradient boosting"]()).fit(TABLE, Y["binary"])
    gated(CalibratedClassifierCV(FrozenEstimator(fitted), method="isotonic"), "binary")


def test_isotonic_calibration_on_and_next_to_every_point_of_its_curve():
    """A row is sent through the curve at its own points, where a step of a double may change the piece."""
    table, held = TABLE[["ratio"]].fillna(0.0), HELD[["ratio"]].fillna(0.0)
    columns = tuple(c for c in COLUMNS if c.name == "ratio")
    model = CalibratedClassifierCV(svm.LinearSVC(), method="isotonic", cv=2, ensemble=False).fit(table, Y["binary"])
    onnx = export_estimator(model, columns, "binary").onnx
    member = model.calibrated_classifiers_[0]
    points = member.calibrators[0].X_thresholds_
    rows = (points - member.estimator.intercept_[0]) / member.estimator.coef_[0, 0]
    rows = np.concatenate([rows, np.nextafter(rows, np.inf), np.nextafter(rows, -np.inf), held["ratio"]])
    rows = held.iloc[[0] * len(rows)].assign(ratio=rows)
    np.testing.assert_allclose(run(onnx, rows, columns), model.predict_proba(rows), rtol=0, atol=1e-12)


def test_calibration_by_temperature_is_refused():
    """It takes scores for probabilities when all the rows of a request look like it: no function of one row."""
    model = prepared(CalibratedClassifierCV(CLASSIFIERS["random forest"](), method="temperature", cv=2))
    with pytest.raises(ExportError, match="temperature") as refused:
        export_estimator(model.fit(TABLE, Y["binary"]), COLUMNS, "binary")
    assert "sigmoid" in refused.value.fix


@pytest.mark.parametrize("weights", [None, [1, 2.5, 0.3]])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_voting(task, weights):
    makers = REGRESSORS if task == "regression" else CLASSIFIERS
    members = [(name, makers[name]()) for name in ("random forest", "lightgbm", "hist gradient boosting")]
    if task == "regression":
        gated(prepared(ensemble.VotingRegressor(members, weights=weights)), task)
    else:
        gated(prepared(ensemble.VotingClassifier(members, voting="soft", weights=weights)), task)


def test_a_dropped_member_has_no_vote():
    members = [("a", CLASSIFIERS["random forest"]()), ("b", "drop"), ("c", CLASSIFIERS["logistic regression"]())]
    gated(prepared(ensemble.VotingClassifier(members, voting="soft", weights=[1, 5, 2])), "binary")


def test_a_vote_by_hands_has_no_probabilities():
    members = [("a", CLASSIFIERS["random forest"]()), ("c", CLASSIFIERS["logistic regression"]())]
    fitted = prepared(ensemble.VotingClassifier(members)).fit(TABLE, Y["binary"])
    with pytest.raises(ExportError, match="no predict_proba"):
        export_estimator(fitted, COLUMNS, "binary")


@pytest.mark.parametrize("passthrough", [False, True])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_stacking(task, passthrough):
    if task == "regression":
        members = [(name, REGRESSORS[name]()) for name in ("extra trees", "ridge", "lightgbm")]
        gated(prepared(ensemble.StackingRegressor(members, passthrough=passthrough, cv=2)), task)
        return
    members = [(name, CLASSIFIERS[name]()) for name in ("random forest", "gradient boosting", "logistic regression")]
    for final in (None, ensemble.HistGradientBoostingClassifier(max_iter=5, random_state=0)):
        gated(prepared(ensemble.StackingClassifier(members, final, passthrough=passthrough, cv=2)), task)


def test_a_stack_of_decision_functions():
    members = [("svc", svm.LinearSVC()), ("forest", CLASSIFIERS["random forest"]())]
    for task in ("binary", "multiclass"):
        gated(prepared(ensemble.StackingClassifier(members, cv=2)), task)


def test_a_stack_of_predicted_classes_is_refused():
    members = [("forest", CLASSIFIERS["random forest"]())]
    model = prepared(ensemble.StackingClassifier(members, cv=2, stack_method="predict")).fit(TABLE, Y["binary"])
    with pytest.raises(ExportError, match="classes that forest predicts") as refused:
        export_estimator(model, COLUMNS, "binary")
    assert "stack_method" in refused.value.fix


def test_a_member_without_a_graph_is_named_with_its_place():
    odd = ensemble.GradientBoostingClassifier(init=CLASSIFIERS["logistic regression"]())
    model = ensemble.VotingClassifier([("plain", CLASSIFIERS["decision tree"]()), ("odd", odd)], voting="soft")
    with pytest.raises(ExportError, match=r"step votingclassifier\.odd \(GradientBoostingClassifier\)"):
        export_estimator(prepared(model).fit(TABLE, Y["binary"]), COLUMNS, "binary")


FUNCTIONS = {
    "log1p": (np.log1p, np.expm1, POSITIVE),
    "log": (np.log, np.exp, POSITIVE),
    "sqrt": (np.sqrt, np.square, POSITIVE),
    "square": (np.square, np.sqrt, POSITIVE),
    "arcsinh": (np.arcsinh, np.sinh, Y["regression"]),
    "expm1": (np.expm1, np.log1p, POSITIVE / POSITIVE.max()),
    "log2": (np.log2, np.exp2, POSITIVE),
    "power": (lambda y: y**3, np.cbrt, POSITIVE / POSITIVE.max()),
    "reciprocal": (np.reciprocal, np.reciprocal, POSITIVE),
    "negative": (np.negative, np.negative, POSITIVE),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_targets_transformed_by_a_function(name):
    there, back, y = FUNCTIONS[name]
    forest = ensemble.RandomForestRegressor(8, random_state=0)
    gated(
        TransformedTargetRegressor(prepared(forest), func=there, inverse_func=back, check_inverse=False),
        "regression",
        y,
    )


@pytest.mark.parametrize(
    "transformer",
    [
        StandardScaler(),
        StandardScaler(with_mean=False),
        RobustScaler(),
        MinMaxScaler((1, 3)),
        MaxAbsScaler(),
        PowerTransformer(),
        PowerTransformer(standardize=False),
        PowerTransformer("box-cox"),
        make_pipeline(FunctionTransformer(np.log, np.exp), StandardScaler()),
        FunctionTransformer(),
        None,
    ],
    ids=str,
)
def test_targets_transformed_by_a_transformer(transformer):
    y = POSITIVE if "box-cox" in str(transformer) or "Function" in str(transformer) else Y["regression"]
    model = prepared(ensemble.HistGradientBoostingRegressor(max_iter=8, random_state=0))
    gated(TransformedTargetRegressor(model, transformer=transformer), "regression", y)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (TransformedTargetRegressor(func=np.log, inverse_func=lambda y: np.exp(y)), "<lambda>"),
        (TransformedTargetRegressor(transformer=QuantileTransformer(n_quantiles=50)), "QuantileTransformer"),
    ],
)
def test_a_target_without_a_known_way_back_is_refused(model, told):
    fitted = make_pipeline(SimpleImputer(), model).fit(TABLE[list(NUMBERS)], POSITIVE)
    with pytest.raises(ExportError, match=told) as refused:
        export_estimator(fitted, NUMERIC, "regression")
    assert "expm1" in refused.value.fix


@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(data=st.data())
def test_models_of_models_at_random(data):
    seed = data.draw(st.integers(0, 10_000))
    task = data.draw(st.sampled_from(["binary", "multiclass", "regression"]))
    makers = REGRESSORS if task == "regression" else CLASSIFIERS
    table, held = frame(data.draw(st.integers(90, 300)), seed), frame(80, seed + 1)
    y = targets(table, seed)[task]
    if task != "regression" and np.bincount(y, minlength=2).min() < 12:
        return

    def model(depth):
        kinds = (
            ["plain"] if depth == 0 else ["plain", "vote", "stack", "target" if task == "regression" else "calibrated"]
        )
        kind = data.draw(st.sampled_from(kinds))
        if kind == "plain":
            return makers[data.draw(st.sampled_from(sorted(makers)))]()
        if kind == "calibrated":
            method = data.draw(st.sampled_from(["sigmoid", "isotonic"]))
            return CalibratedClassifierCV(model(depth - 1), method=method, cv=2, ensemble=data.draw(st.booleans()))
        if kind == "target":
            return TransformedTargetRegressor(model(depth - 1), transformer=StandardScaler())
        members = [(f"m{i}", model(depth - 1)) for i in range(2)]
        if kind == "vote" and task == "regression":
            return ensemble.VotingRegressor(members, weights=[1, 2])
        if kind == "vote":
            return ensemble.VotingClassifier(members, voting="soft", weights=[1, 2])
        above = data.draw(st.booleans())
        if task == "regression":
            return ensemble.StackingRegressor(members, linear_model.RidgeCV(), cv=2, passthrough=above)
        final = linear_model.LogisticRegression(max_iter=500)
        return ensemble.StackingClassifier(members, final, cv=2, passthrough=above)

    gated(prepared(model(2)), task, y, table, held)


def test_a_calibrated_booster_in_a_vote_under_a_search_wrapper():
    calibrated = CalibratedClassifierCV(lgb("LGBMClassifier"), method="isotonic", cv=2)
    vote = ensemble.VotingClassifier([("a", calibrated), ("b", CLASSIFIERS["extra trees"]())], voting="soft")
    exported = gated(
        prepared(FrozenEstimator(vote.fit(np.nan_to_num(TABLE[list(NUMBERS)].to_numpy()), Y["binary"])), words="drop"),
        "binary",
    )
    assert [step.path for step in exported.steps][-1].endswith("frozenestimator")
