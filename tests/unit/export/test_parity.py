"""The gate finds what it is there to find: the stock converters' silent faults, and planted ones."""

import warnings

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import numpy_helper
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from modelway.errors import ExportError, ParityError
from modelway.export.build import export_estimator
from modelway.export.parity import check_parity
from modelway.export.refusals import altered
from modelway.records import Column
from tests.unit.export.frames import NUMBERS, frame, targets

COLUMNS = tuple(Column(name, "number") for name in NUMBERS)
TABLE, HELD = frame(600, 3)[list(NUMBERS)], frame(300, 4)[list(NUMBERS)]
Y = targets(frame(600, 3))["binary"]


def scaled(model):
    return make_pipeline(SimpleImputer(), StandardScaler(), model)


def fitted(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(TABLE, Y)


def stock(model, table):
    """What the stock converter makes of it, in the form of our graphs: one double input `numbers`, one output `scores`."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    made = to_onnx(
        model,
        initial_types=[("numbers", FloatTensorType([None, table.shape[1]]))],
        options={id(model): {"zipmap": False}},
        target_opset={"": 21, "ai.onnx.ml": 3},
    )
    graph = made.graph
    graph.input[0].name = "numbers"
    for node in graph.node:
        renamed = {"numbers": "numbers_32", "probabilities": "scores_32"}
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    cast = onnx.helper.make_node("Cast", ["numbers"], ["numbers_32"], to=onnx.TensorProto.FLOAT)
    wide = onnx.helper.make_node("Cast", ["scores_32"], ["scores"], to=onnx.TensorProto.DOUBLE)
    graph.node.insert(0, cast)
    graph.node.append(wide)
    del graph.output[:]
    graph.output.append(onnx.helper.make_tensor_value_info("scores", onnx.TensorProto.DOUBLE, [None, 2]))
    graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    return made.SerializeToString()


CASES = {
    "scaler and forest": lambda: scaled(RandomForestClassifier(30, random_state=0)),
    "forest with missing values": lambda: make_pipeline(RandomForestClassifier(30, random_state=0)),
    "isotonic calibration": lambda: CalibratedClassifierCV(scaled(LogisticRegression()), method="isotonic", cv=2),
    "scaler and histogram boosting": lambda: scaled(HistGradientBoostingClassifier(random_state=0)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_stock_graph_is_refused_and_ours_passes(name):
    model = fitted(CASES[name]())
    ours = export_estimator(model, COLUMNS, "binary")
    proof = check_parity(ours.onnx, model, COLUMNS, "binary", HELD, exactness="double", seed=0)
    assert proof.parity.worst <= 1e-9
    with pytest.raises(ParityError, match="differs from the Python model on"):
        check_parity(stock(model, TABLE), model, COLUMNS, "binary", HELD, exactness="single", seed=0, hints=ours.hints)


def test_a_stock_export_that_is_right_passes_and_is_marked_single():
    model = fitted(scaled(BaggingClassifier(LogisticRegression(), 4, random_state=0)))
    made = export_estimator(model, COLUMNS, "binary")
    assert made.exactness == "single"
    assert made.hints.stock
    proof = check_parity(made.onnx, model, COLUMNS, "binary", HELD, exactness="single", seed=0, hints=made.hints)
    assert proof.parity.tolerance == 1e-6


def test_a_step_without_a_graph_is_refused_by_name_with_a_way_out():
    steps = ColumnTransformer([("odd", FunctionTransformer(lambda table: table * 2), list(NUMBERS))])
    with pytest.raises(ExportError, match="FunctionTransformer") as refused:
        export_estimator(fitted(make_pipeline(steps, HistGradientBoostingClassifier())), COLUMNS, "binary")
    assert refused.value.fix


def test_a_graph_that_was_tampered_with_is_refused():
    model = fitted(scaled(LogisticRegression()))
    graph = onnx.load_from_string(export_estimator(model, COLUMNS, "binary").onnx)
    for constant in graph.graph.initializer:
        value = numpy_helper.to_array(constant)
        if value.dtype == np.float64 and value.size == len(NUMBERS):
            constant.CopyFrom(numpy_helper.from_array(value * (1 + 1e-6), constant.name))
            break
    with pytest.raises(ParityError, match="differs"):
        check_parity(graph.SerializeToString(), model, COLUMNS, "binary", HELD, exactness="double", seed=0)


def test_a_decision_that_differs_is_refused_even_within_the_tolerance():
    model = fitted(scaled(LogisticRegression()))
    made = export_estimator(model, COLUMNS, "binary")
    graph = onnx.load_from_string(made.onnx)
    value = float(model.predict_proba(HELD[:1])[0, 1])
    for node in graph.graph.node:
        node.output[:] = ["before" if name == "scores" else name for name in node.output]
        node.input[:] = ["before" if name == "scores" else name for name in node.input]
    shift = numpy_helper.from_array(np.array([2e-11, -2e-11]), "shift")
    graph.graph.initializer.append(shift)
    graph.graph.node.append(onnx.helper.make_node("Add", ["before", "shift"], ["scores"]))
    with pytest.raises(ParityError, match="decides otherwise"):
        check_parity(
            graph.SerializeToString(), model, COLUMNS, "binary", HELD,
            exactness="double", seed=0, threshold=value - 1e-11, hints=made.hints,
        )  # fmt: skip


def test_a_number_that_trees_only_ask_for_being_there_has_no_splits():
    late = np.where(np.random.default_rng(0).random(600) < np.where(Y == 1, 0.5, 0.1), 1.0, np.nan)
    table = TABLE.assign(late=late)
    model = HistGradientBoostingClassifier(max_iter=20).fit(table, Y)
    columns = (*COLUMNS, Column("late", "number"))
    made = export_estimator(model, columns, "binary")
    assert "late" not in made.hints.splits
    proof = check_parity(made.onnx, model, columns, "binary", table, exactness="double", seed=0, hints=made.hints)
    assert proof.parity.worst <= proof.parity.tolerance


@pytest.mark.parametrize(
    "model", [scaled(KNeighborsClassifier()), make_pipeline(KNNImputer(), LogisticRegression())], ids=["knn", "imputer"]
)
def test_neighbours_are_refused(model):
    """Three of 20,000 ordinary rows differed by up to 0.2 where the gate's rows did not."""
    with pytest.raises(ExportError, match="neighbours") as refused:
        export_estimator(fitted(model), COLUMNS, "binary")
    assert "HistGradientBoosting" in refused.value.fix


def test_one_altered_copy_leaves_the_row_as_it_was():
    base = pd.DataFrame({"a": [1.0], "w": ["x"]})
    assert altered(base, [("a", -1.0)])["a"].tolist() == [-1.0]
    assert base["a"].tolist() == [1.0]
