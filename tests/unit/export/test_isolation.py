"""IsolationForest: the graph gives −score_samples, exactly."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from modelway.errors import ExportError
from modelway.export.build import export_estimator
from modelway.export.parity import check_parity
from tests.unit.export.frames import COLUMNS, NUMBERS, frame, run, targets
from tests.unit.export.test_families import prepared

TABLE, HELD = frame(400, 1), frame(200, 2)
NUMERIC = COLUMNS[: len(NUMBERS)]


def gated(model, table=TABLE, held=HELD, columns=COLUMNS, **more):
    fitted = model.fit(table)
    made = export_estimator(fitted, columns, "anomaly")
    proof = check_parity(
        made.onnx, fitted, columns, "anomaly", held, exactness=made.exactness, seed=0, hints=made.hints, **more
    )
    assert made.exactness == "double"
    assert proof.parity.worst <= proof.parity.tolerance == 1e-9
    return fitted, made


@pytest.mark.parametrize(
    "more",
    [{}, {"max_features": 0.5}, {"bootstrap": True, "max_samples": 60}, {"max_samples": 2}, {"contamination": 0.1}],
    ids=str,
)
def test_the_score_is_exact_with_missing_values(more):
    gated(prepared(IsolationForest(n_estimators=20, random_state=0, **more), numbers="passthrough"))


def test_decisions_agree_at_the_forest_s_own_offset():
    model = make_pipeline(IsolationForest(n_estimators=30, contamination=0.1, random_state=0))
    table, held = TABLE[list(NUMBERS)], HELD[list(NUMBERS)]
    fitted, made = gated(model, table, held, NUMERIC)
    threshold = -fitted[-1].offset_
    gated(model, table, held, NUMERIC, threshold=threshold)
    odd = run(made.onnx, held, NUMERIC)[:, 0] > threshold
    assert 0 < odd.sum() < len(held)
    np.testing.assert_array_equal(odd, fitted.predict(held) == -1)


def test_splits_are_those_of_the_columns_that_each_tree_was_given():
    table = TABLE[list(NUMBERS)].fillna(0.0)
    table = table.assign(ratio=table["ratio"] * 1e-6)
    model = IsolationForest(n_estimators=20, max_features=1, random_state=0).fit(table)
    splits = export_estimator(model, NUMERIC, "anomaly").hints.splits
    assert set(splits) == set(NUMBERS)
    assert np.abs(splits["ratio"]).max() < 1e-4 < np.abs(splits["balance"]).max()


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_it_is_no_classifier_and_no_regression(task):
    with pytest.raises(ExportError, match="how odd a row is") as refused:
        export_estimator(IsolationForest(n_estimators=3).fit(TABLE[list(NUMBERS)]), NUMERIC, task)
    assert refused.value.fix


def test_other_detectors_and_other_models_are_refused():
    table = TABLE[list(NUMBERS)].fillna(0.0)
    with pytest.raises(ExportError, match="OneClassSVM"):
        export_estimator(OneClassSVM().fit(table), NUMERIC, "anomaly")
    with pytest.raises(ExportError, match="no score_samples"):
        export_estimator(
            make_pipeline(StandardScaler(), LogisticRegression()).fit(table, targets(TABLE)["binary"]),
            NUMERIC,
            "anomaly",
        )


@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(data=st.data())
def test_random_forests_on_random_data(data):
    seed = data.draw(st.integers(0, 10_000))
    table = frame(data.draw(st.integers(1, 300)), seed, missing=data.draw(st.sampled_from([0.0, 0.1, 0.5])))
    forest = IsolationForest(
        n_estimators=data.draw(st.integers(1, 30)),
        max_features=data.draw(st.sampled_from([0.3, 1.0])),
        random_state=seed,
    )
    gated(prepared(forest, numbers="passthrough"), table, frame(60, seed + 1))
