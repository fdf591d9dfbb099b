"""What rounding may do to a linear model, and what it may not."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import StackingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from modelway.errors import ParityError
from modelway.export.build import export_estimator
from modelway.export.compare import distance
from modelway.export.parity import check_parity
from modelway.export.rounding import slack
from modelway.records import Column

COLUMNS = tuple(Column(name, "number") for name in "abcd")


def table(rows: int = 60) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(0).normal(size=(rows, 4)), columns=list("abcd"))


def cancelling(shift: float = 0.0) -> LinearRegression:
    """Two pairs of weights of 1e8 that cancel on rows where a = b and c = d."""
    model = LinearRegression().fit(table(), np.arange(60.0))
    model.coef_ = np.array([1e8, -1e8, 1e8 + 1 / 3, -1e8]) + shift
    return model


def alike() -> pd.DataFrame:
    rows = table()
    return rows.assign(b=rows["a"], d=rows["c"])


def test_two_orders_of_terms_that_cancel_lie_within_the_slack_and_beyond_the_tolerance():
    model, rows = cancelling(), alike()
    one = model.predict(rows)[:, None]
    terms = rows.to_numpy()[:, ::-1] * model.coef_[::-1]
    other = np.array([sum(row, 0.0) + model.intercept_ for row in terms])[:, None]
    loose = slack(model, rows, one)
    assert distance(one, other).max() > 1e-9
    assert distance(one, other, loose).max() == 0.0
    assert loose.max() < 1e-5


def test_terms_that_cancel_pass_the_gate_and_another_weight_does_not():
    model = cancelling()
    made = export_estimator(model, COLUMNS, "regression")
    check_parity(made.onnx, model, COLUMNS, "regression", alike(), exactness="double", seed=0, hints=made.hints)
    wrong = cancelling(1e-5)
    with pytest.raises(ParityError, match="differs"):
        check_parity(made.onnx, wrong, COLUMNS, "regression", alike(), exactness="double", seed=0, hints=made.hints)


def test_the_slack_of_usual_models_is_far_below_the_tolerance():
    rows, y = table(), np.arange(60.0)
    for model, target in ((LinearRegression(), y), (LogisticRegression(), y > 30), (PoissonRegressor(), y)):
        fitted = make_pipeline(StandardScaler(), model).fit(rows, target)
        scores = np.ones((60, 1))
        assert 0 < slack(fitted, rows, scores).max() < 1e-11, model
    assert not slack(DecisionTreeRegressor().fit(rows, y), rows, y[:, None]).any()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_slack_of_a_network_holds_sums_in_another_order_and_is_far_below_the_tolerance():
    rows, y = table(), np.arange(60.0)
    for activation in ("relu", "tanh", "logistic", "identity"):
        model = MLPRegressor(
            hidden_layer_sizes=(7, 5), activation=activation, solver="lbfgs", max_iter=30, random_state=0
        ).fit(rows, y)
        assert 0 < slack(model, rows, np.ones((60, 1))).max() < 1e-9, activation
        model.coefs_[1] = model.coefs_[1] * 1e6 - 1e6
        one, loose = model.predict(rows)[:, None], slack(model, rows, model.predict(rows)[:, None])
        model.coefs_ = [model.coefs_[0][:, ::-1], model.coefs_[1][::-1, ::-1], model.coefs_[2][::-1]]
        model.intercepts_ = [model.intercepts_[0][::-1], model.intercepts_[1][::-1], model.intercepts_[2]]
        assert (np.abs(model.predict(rows)[:, None] - one) <= loose).all(), activation


def test_the_slack_of_a_stack_is_that_of_its_last_model_on_the_answers_of_the_others():
    rows, y = table(), np.arange(60.0)
    trees = [("a", DecisionTreeRegressor(max_depth=2)), ("b", DecisionTreeRegressor(max_depth=3))]
    stack = StackingRegressor(trees, LinearRegression(), cv=2).fit(rows, y)
    scores = stack.predict(rows)[:, None]
    np.testing.assert_array_equal(
        slack(stack, rows, scores), slack(stack.final_estimator_, pd.DataFrame(stack.transform(rows)), scores)
    )


def test_a_sum_in_float32_is_rounded_2_29_times_as_coarsely():
    rows, ones = table().to_numpy(), np.ones((60, 1))
    model = LinearRegression().fit(rows, np.arange(60.0))
    double = slack(model, rows, ones)
    assert (slack(model, rows.astype(np.float32), ones) < 2 * double).all(), "weights in double: so is the sum"
    model.coef_ = model.coef_.astype(np.float32)
    assert (slack(model, rows.astype(np.float32), ones) > 2.0**28 * double).all()
