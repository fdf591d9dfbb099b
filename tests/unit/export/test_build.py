import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelway.errors import ExportError, ParityError
from modelway.export.build import export_estimator
from modelway.export.parity import check_parity
from modelway.records import Column
from tests.unit.export.frames import COLUMNS, NUMBERS, WORDS, frame, run, targets


def pipeline(model):
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    words = OneHotEncoder(handle_unknown="ignore")
    return make_pipeline(ColumnTransformer([("numbers", numbers, list(NUMBERS)), ("words", words, list(WORDS))]), model)


TABLE = frame(400, 1)
Y = targets(TABLE)


def test_a_pipeline_becomes_one_graph_with_the_declared_inputs_and_output():
    fitted = pipeline(LogisticRegression()).fit(TABLE, Y["binary"])
    exported = export_estimator(fitted, COLUMNS, "binary")
    assert exported.exactness == "double"
    assert [step.kind for step in exported.steps] == [
        *("SimpleImputer", "StandardScaler", "OneHotEncoder", "LogisticRegression")
    ]
    np.testing.assert_allclose(run(exported.onnx, TABLE), fitted.predict_proba(TABLE), atol=1e-15)


def test_equal_estimators_have_equal_bytes():
    made = [
        export_estimator(pipeline(RandomForestClassifier(5, random_state=3)).fit(TABLE, Y["binary"]), COLUMNS, "binary")
        for _ in range(2)
    ]
    assert made[0].onnx == made[1].onnx


def test_an_input_without_columns_is_left_out():
    columns = tuple(Column(name, "number") for name in NUMBERS)
    fitted = RandomForestClassifier(3, random_state=0).fit(TABLE[list(NUMBERS)], Y["binary"])
    scores = run(export_estimator(fitted, columns, "binary").onnx, TABLE[list(NUMBERS)], columns)
    np.testing.assert_allclose(scores, fitted.predict_proba(TABLE[list(NUMBERS)]), atol=1e-15)


def test_a_batch_of_no_rows_and_of_one_row():
    fitted = pipeline(RandomForestClassifier(3, random_state=0)).fit(TABLE, Y["multiclass"])
    onnx = export_estimator(fitted, COLUMNS, "multiclass").onnx
    assert run(onnx, TABLE[:0]).shape == (0, 3)
    np.testing.assert_allclose(run(onnx, TABLE[:1]), fitted.predict_proba(TABLE[:1]), atol=1e-15)


def test_a_class_that_the_estimator_has_not_met_gets_zero():
    known = Y["multiclass"] != 1
    fitted = pipeline(LogisticRegression()).fit(TABLE[known], Y["multiclass"][known])
    scores = run(export_estimator(fitted, COLUMNS, "multiclass", classes=4).onnx, TABLE)
    np.testing.assert_allclose(scores[:, [0, 2]], fitted.predict_proba(TABLE), atol=1e-15)
    assert not scores[:, [1, 3]].any()


def test_an_estimator_that_was_not_fitted_is_named():
    with pytest.raises(ExportError, match="Pipeline is not fitted"):
        export_estimator(pipeline(LogisticRegression()), COLUMNS, "binary")


def test_other_columns_than_those_of_training_are_refused():
    fitted = pipeline(LogisticRegression()).fit(TABLE, Y["binary"])
    with pytest.raises(ExportError, match="was fitted on"):
        export_estimator(fitted, COLUMNS[::-1], "binary")


@pytest.mark.parametrize(
    ("model", "task"),
    [
        (MultiOutputRegressor(Ridge()), "regression"),
        (RegressorChain(Ridge()), "regression"),
        (Ridge(), "regression"),
        (RandomForestRegressor(2, max_depth=3), "regression"),
        (MultiOutputClassifier(RandomForestClassifier(2)), "binary"),
        (RandomForestClassifier(2, max_depth=3), "binary"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_models_of_several_targets_are_refused(model, task):
    columns = tuple(Column(name, "number") for name in NUMBERS)
    table = TABLE[list(NUMBERS)].fillna(0.0)
    both = table[["age", "ratio"]].to_numpy()
    model.fit(table, both if task == "regression" else (both > 0).astype(int))

    def exported_and_proved():
        made = export_estimator(model, columns, task, classes=None if task == "regression" else 2)
        check_parity(made.onnx, model, columns, task, table, exactness=made.exactness, seed=0, hints=made.hints)

    with pytest.raises((ExportError, ParityError), match="targets") as refused:
        exported_and_proved()
    assert "one model for each target" in refused.value.fix
