"""What the boosters and linear models minimise, and the shapes that they are held to: all exact."""

import lightgbm
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sklearn import ensemble, linear_model

from modelway.errors import ExportError
from modelway.export.build import export_estimator
from tests.unit.export.frames import COLUMNS, NUMBERS, frame, run, targets
from tests.unit.export.test_families import lgb, prepared, proved

TABLE, HELD = frame(500, 1), frame(200, 2)
Y = targets(TABLE)
NUMERIC = COLUMNS[: len(NUMBERS)]
WIDTH = len(NUMBERS) + 3
RISING = [1, 0, -1, 0, 0, 0, 0]


def positive(y):
    return np.exp(y / 1000) + 0.1


def gated(model, task, y=None, table=TABLE, held=HELD):
    exported, proof = proved(model, task, table, held, COLUMNS, y)
    assert exported.exactness == "double"
    assert proof.parity.worst <= proof.parity.tolerance == 1e-9
    return exported


LIGHTGBM = {
    "plain": {},
    "l1": {"objective": "regression_l1"},
    "huber": {"objective": "huber"},
    "fair": {"objective": "fair"},
    "quantile": {"objective": "quantile", "alpha": 0.9},
    "mape": {"objective": "mape"},
    "poisson": {"objective": "poisson"},
    "gamma": {"objective": "gamma"},
    "tweedie": {"objective": "tweedie", "tweedie_variance_power": 1.3},
    "roots": {"objective": "regression", "reg_sqrt": True},
    "monotone, basic": {"monotone_constraints": RISING},
    "monotone, intermediate": {"monotone_constraints": RISING, "monotone_constraints_method": "intermediate"},
    "monotone, advanced": {"monotone_constraints": RISING, "monotone_constraints_method": "advanced"},
    "dart": {"boosting_type": "dart"},
    "random forest": {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
    "zero as missing": {"zero_as_missing": True},
    "extra trees": {"extra_trees": True},
}


@pytest.mark.parametrize("name", LIGHTGBM)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_lightgbm_regressions(name):
    gated(
        prepared(lgb("LGBMRegressor", **LIGHTGBM[name]), numbers="passthrough"), "regression", positive(Y["regression"])
    )


@pytest.mark.parametrize(
    ("task", "more"),
    [
        ("binary", {"objective": "cross_entropy"}),
        ("binary", {"is_unbalance": True, "monotone_constraints": RISING}),
        ("multiclass", {"objective": "multiclassova"}),
    ],
    ids=str,
)
def test_lightgbm_classifiers(task, more):
    gated(prepared(lgb("LGBMClassifier", **more), numbers="passthrough"), task)


def test_lightgbm_that_stopped_early_has_only_its_best_rounds():
    table, held = TABLE[list(NUMBERS)], HELD[list(NUMBERS)]
    model = lightgbm.LGBMClassifier(n_estimators=300, learning_rate=0.5, verbose=-1, n_jobs=1, random_state=0)
    stop = lightgbm.early_stopping(3, verbose=False)
    model.fit(table, Y["binary"], eval_X=held, eval_y=targets(HELD)["binary"], callbacks=[stop])
    assert model.best_iteration_ < 300
    graph = run(export_estimator(model, NUMERIC, "binary").onnx, held, NUMERIC)
    np.testing.assert_allclose(graph, model.predict_proba(held), rtol=0, atol=1e-12)


HISTOGRAM = {
    "squared": {},
    "absolute": {"loss": "absolute_error"},
    "quantile": {"loss": "quantile", "quantile": 0.1},
    "poisson": {"loss": "poisson"},
    "gamma": {"loss": "gamma"},
    "monotone": {"monotonic_cst": RISING},
    "interactions": {"interaction_cst": "pairwise"},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 2, "learning_rate": 1.0},
}


@pytest.mark.parametrize("name", HISTOGRAM)
def test_histogram_boosting(name):
    model = ensemble.HistGradientBoostingRegressor(max_iter=15, random_state=0, **HISTOGRAM[name])
    gated(prepared(model, numbers="passthrough"), "regression", positive(Y["regression"]))


@pytest.mark.parametrize("task", ["binary"])
def test_histogram_boosting_that_rises(task):
    model = ensemble.HistGradientBoostingClassifier(max_iter=15, random_state=0, monotonic_cst=RISING)
    gated(prepared(model, numbers="passthrough"), task)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
def test_gradient_boosting(loss):
    gated(prepared(ensemble.GradientBoostingRegressor(loss=loss, n_estimators=15, random_state=0)), "regression")


def test_gradient_boosting_of_the_exponential_loss():
    gated(prepared(ensemble.GradientBoostingClassifier(loss="exponential", n_estimators=15, random_state=0)), "binary")


@pytest.mark.parametrize("made", [ensemble.RandomForestClassifier, ensemble.ExtraTreesClassifier])
def test_forests_that_rise(made):
    gated(prepared(made(10, max_depth=5, random_state=0, monotonic_cst=RISING)), "binary")


@pytest.mark.parametrize("criterion", ["squared_error", "absolute_error", "poisson", "friedman_mse"])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_extra_trees(criterion):
    forest = ensemble.ExtraTreesRegressor(6, max_depth=6, criterion=criterion, random_state=0)
    gated(prepared(forest), "regression", positive(Y["regression"]))


@pytest.mark.parametrize(
    "model",
    [
        linear_model.PoissonRegressor(max_iter=500),
        linear_model.GammaRegressor(max_iter=500),
        linear_model.TweedieRegressor(power=1.5, max_iter=500),
        linear_model.TweedieRegressor(power=0, max_iter=500),
        linear_model.TweedieRegressor(power=0, link="log", max_iter=500),
        linear_model.QuantileRegressor(quantile=0.8, alpha=0.01),
    ],
    ids=str,
)
def test_generalised_linear_models(model):
    gated(prepared(model), "regression", positive(Y["regression"]))


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (lgb("LGBMRegressor", linear_tree=True), "linear models in its leaves"),
        (lgb("LGBMRegressor", objective=lambda y, p: (p - y, np.ones_like(y))), "of your own"),
    ],
)
def test_what_has_no_graph_is_refused(model, told):
    model.fit(np.nan_to_num(TABLE[list(NUMBERS)].to_numpy()), Y["regression"])
    with pytest.raises(ExportError, match=told) as refused:
        export_estimator(model, NUMERIC, "regression")
    assert refused.value.fix


@settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(data=st.data())
def test_objectives_constraints_and_data_at_random(data):
    seed = data.draw(st.integers(0, 10_000))
    table, held = frame(data.draw(st.integers(100, 300)), seed), frame(80, seed + 1)
    y = positive(targets(table, seed)["regression"])
    y = y * 10.0 ** data.draw(st.integers(-3, 5))
    rising = data.draw(st.lists(st.sampled_from([-1, 0, 1]), min_size=WIDTH, max_size=WIDTH))
    if data.draw(st.booleans()):
        objective = data.draw(st.sampled_from(["regression", "poisson", "gamma", "tweedie", "regression_l1"]))
        constrained = (
            {} if objective == "regression_l1" else {"monotone_constraints": rising}
        )  # LightGBM takes none there
        model = lgb("LGBMRegressor", objective=objective, **constrained)
    else:
        loss = data.draw(st.sampled_from(["squared_error", "poisson", "gamma", "absolute_error"]))
        model = ensemble.HistGradientBoostingRegressor(loss=loss, max_iter=8, random_state=0, monotonic_cst=rising)
    gated(prepared(model, numbers="passthrough"), "regression", y, table, held)
