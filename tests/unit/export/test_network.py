"""Multi-layer perceptrons: every activation, every output, in double."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelway.errors import ExportError
from modelway.export.build import export_estimator
from tests.unit.export.frames import COLUMNS, NUMBERS, frame, targets
from tests.unit.export.test_families import prepared, proved

TABLE, HELD = frame(400, 1), frame(200, 2)
Y = targets(TABLE)
ONEHOT = OneHotEncoder(handle_unknown="ignore")


def gated(model, task, y=None, table=TABLE, held=HELD):
    exported, proof = proved(prepared(model, words=ONEHOT), task, table, held, COLUMNS, y)
    assert exported.exactness == "double"
    assert proof.parity.worst <= proof.parity.tolerance == 1e-9


@pytest.mark.parametrize("activation", ["identity", "tanh", "logistic", "relu"])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_activations(task, activation):
    made = MLPRegressor if task == "regression" else MLPClassifier
    y = Y[task] / 1000 if task == "regression" else Y[task]
    gated(made(hidden_layer_sizes=(9, 4), activation=activation, max_iter=30, random_state=0), task, y)


def test_a_network_of_the_poisson_loss():
    counts = np.random.default_rng(0).poisson(2, len(TABLE))
    gated(MLPRegressor(hidden_layer_sizes=(6,), loss="poisson", max_iter=30, random_state=0), "regression", counts)


def test_several_targets_are_refused():
    both = np.column_stack([Y["regression"], Y["regression"]]) / 1000
    model = make_pipeline(
        SimpleImputer(), StandardScaler(), MLPRegressor(hidden_layer_sizes=(4,), max_iter=300, tol=1e-2)
    )
    model.fit(TABLE[list(NUMBERS)], both)
    with pytest.raises(ExportError, match="2 targets"):
        export_estimator(model, COLUMNS[: len(NUMBERS)], "regression")


@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(data=st.data())
def test_random_networks_on_random_data(data):
    seed = data.draw(st.integers(0, 10_000))
    task = data.draw(st.sampled_from(["binary", "multiclass", "regression"]))
    table, held = frame(data.draw(st.integers(60, 200)), seed), frame(80, seed + 1)
    y = targets(table, seed)[task]
    if task != "regression" and len(np.unique(y)) < (2 if task == "binary" else 3):
        return
    layers = tuple(data.draw(st.lists(st.integers(1, 20), min_size=1, max_size=3)))
    activation = data.draw(st.sampled_from(["identity", "tanh", "logistic", "relu"]))
    solver = data.draw(st.sampled_from(["adam", "lbfgs"]))
    made = MLPRegressor if task == "regression" else MLPClassifier
    gated(
        made(hidden_layer_sizes=layers, activation=activation, solver=solver, max_iter=20, random_state=0),
        task,
        y,
        table,
        held,
    )
