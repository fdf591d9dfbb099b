"""A graph that is brought answers through ours as the team would have it answer, or is refused in words."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from benchmarks.broken import GRAPHS
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelway.errors import DataError, GraphError, UnreadableFileError, UserCodeError
from modelway.export.brought import export_brought
from modelway.export.parity import check_parity
from modelway.files.onnx import feeds_of, read_graph
from modelway.records import Column, Limits
from modelway.training.brought import BroughtClassifier, BroughtRegressor
from tests.support.graphs import by_column, linear
from tests.unit.export.frames import COLUMNS, NUMBERS, WORDS, frame, run, targets

XS = ("x1", "x2", "x3")
INPUTS = {"x": XS}


def numbers(rows: int, seed: int = 0) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(seed).normal(size=(rows, 3)), columns=list(XS))


def proved(estimator, columns, task, rows, classes=None):
    places = getattr(estimator, "places_", None)
    made = export_brought(estimator.taken_.graph, estimator.taken_.feeds, columns, places)
    onnx.checker.check_model(onnx.load_model_from_string(made.onnx))
    proof = check_parity(
        made.onnx, estimator, columns, task, rows, exactness=made.exactness, seed=0, classes=classes, hints=made.hints
    )
    return made.onnx, proof


def brought(place: Path, graph: bytes) -> Path:
    file = place / "model.onnx"
    file.write_bytes(graph)
    return file


def test_a_graph_with_an_input_a_column_and_a_zipmap_is_taken_as_it_is(tmp_path):
    table, y = frame(400, 3, missing=0.0), targets(frame(400, 3, missing=0.0))["binary"]
    parts = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), list(NUMBERS)),
            ("words", OneHotEncoder(handle_unknown="ignore"), list(WORDS)),
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = make_pipeline(parts, LogisticRegression()).fit(table, y)
        graph = by_column(theirs, table)
    read = read_graph(graph, "model.onnx")
    assert read.labels == ("0", "1")
    assert [i.name for i in read.inputs] == [*NUMBERS, *WORDS]
    estimator = BroughtClassifier(brought(tmp_path, graph)).fit(table, y)
    held = frame(100, 5, missing=0.0)
    np.testing.assert_allclose(estimator.predict_proba(held), theirs.predict_proba(held), atol=1e-5)
    _, proof = proved(estimator, COLUMNS, "binary", held, 2)
    assert proof.parity.worst <= 1e-6
    again = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(again.predict_proba(held), estimator.predict_proba(held))


COLUMN_COUNT = st.integers(2, 4)
WEIGHT = st.floats(-3, 3)


@settings(max_examples=6, deadline=None)
@given(
    weights=st.integers(2, 4).flatmap(
        lambda k: st.lists(st.lists(WEIGHT, min_size=k, max_size=k), min_size=3, max_size=3)
    ),
    element=st.sampled_from([TensorProto.FLOAT, TensorProto.DOUBLE]),
    seed=st.integers(0, 100),
    data=st.data(),
)
def test_one_tensor_of_numbers_in_any_order_of_classes(tmp_path_factory, weights, element, seed, data):
    classes = len(weights[0])
    order = data.draw(st.permutations(range(classes)))
    file = brought(tmp_path_factory.mktemp("g"), linear(weights, element=element))
    rows = numbers(50, seed)
    estimator = BroughtClassifier(file, INPUTS, scores=order).fit(rows, np.arange(50) % classes)
    raw = np.exp(rows.to_numpy() @ np.array(weights))
    np.testing.assert_allclose(estimator.predict_proba(rows), (raw / raw.sum(1, keepdims=True))[:, order], atol=1e-5)
    columns = tuple(Column(name, "number") for name in XS)
    task = "binary" if classes == 2 else "multiclass"
    made, proof = proved(estimator, columns, task, rows, classes)
    assert proof.parity.decisions_differ == 0
    table = rows.astype(np.float64)
    np.testing.assert_allclose(run(made, table, columns), estimator.predict_proba(table), atol=1e-6)


def test_one_score_is_the_probability_of_the_second_class(tmp_path):
    file = brought(tmp_path, linear([[1.0], [0.0], [-1.0]], activation="Sigmoid"))
    rows = numbers(30)
    estimator = BroughtClassifier(file, INPUTS).fit(rows, np.arange(30) % 2)
    made = estimator.predict_proba(rows)
    np.testing.assert_allclose(made[:, 1], 1 / (1 + np.exp(rows["x3"] - rows["x1"])), atol=1e-6)
    proved(estimator, tuple(Column(n, "number") for n in XS), "binary", rows, 2)


def test_a_regression_gives_one_number(tmp_path):
    file = brought(tmp_path, linear([[1.0], [2.0], [3.0]], activation="Identity", element=TensorProto.DOUBLE))
    rows = numbers(30)
    estimator = BroughtRegressor(file, INPUTS).fit(rows, np.zeros(30))
    np.testing.assert_allclose(estimator.predict(rows), rows.to_numpy() @ [1.0, 2.0, 3.0], atol=1e-12)
    proved(estimator, tuple(Column(n, "number") for n in XS), "regression", rows)


def test_whole_numbers_that_are_missing_are_refused_by_the_server_later(tmp_path):
    file = brought(tmp_path, linear([[1], [2], [3]], activation="Identity", element=TensorProto.INT64))
    with pytest.raises(DataError, match="numbers are none"):
        read_graph(file.read_bytes(), "model.onnx")
    nodes = onnx.load_model_from_string(file.read_bytes())
    nodes.graph.node[1].op_type = "Cast"
    nodes.graph.node[1].attribute.append(onnx.helper.make_attribute("to", TensorProto.FLOAT))
    nodes.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    file = brought(tmp_path, nodes.SerializeToString())
    rows = numbers(30).round()
    estimator = BroughtRegressor(file, INPUTS).fit(rows, np.zeros(30))
    _, proof = proved(estimator, tuple(Column(n, "number") for n in XS), "regression", rows)
    assert proof.refuses["missing"] == list(XS)


@pytest.mark.parametrize(
    ("graph", "error", "words"),
    [
        (b"\x00 no graph \xff", UnreadableFileError, "is no ONNX file"),
        (b"", UnreadableFileError, "is no ONNX file"),
        (linear([[1.0]] * 3, opset=8, activation="Sigmoid"), DataError, "is of opset 8"),
        (linear([[1.0]] * 3, rows=1, activation="Sigmoid"), DataError, r"has the shape \[1, 3\]"),
        (
            linear([[1.0]] * 3, element=TensorProto.FLOAT16, activation="Sigmoid"),
            DataError,
            "of a type that rows cannot have",
        ),
        (linear([[1.0]] * 3, activation="Sigmoid", outputs={"raw": 1, "out": 1}), DataError, "which output of"),
    ],
    ids=["torn", "empty", "old", "one row", "half precision", "two outputs"],
)
def test_a_graph_that_cannot_be_fed_is_refused_in_words(graph, error, words):
    with pytest.raises(error, match=words):
        read_graph(graph, "model.onnx")


def test_an_output_is_chosen_by_its_name():
    graph = linear([[1.0]] * 3, activation="Sigmoid", outputs={"raw": 1, "out": 1})
    assert read_graph(graph, "model.onnx", "out").scores == "out"
    with pytest.raises(DataError, match="which output"):
        read_graph(graph, "model.onnx", "nosuch")


def test_columns_that_do_not_fit_are_told_with_the_inputs():
    graph = read_graph(linear([[1.0]] * 3, activation="Sigmoid"), "model.onnx")
    with pytest.raises(DataError, match=r"takes x \(3 of float\); there are a \(number\), b \(word\)"):
        feeds_of(graph, [Column("a", "number"), Column("b", "word")], "model.onnx")
    with pytest.raises(DataError, match="do not fit"):
        feeds_of(graph, [Column(name, "number") for name in "abcd"], "model.onnx")


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (linear([[1.0, 2.0]] * 3, activation="Identity"), "are no probabilities"),
        (linear([[1.0, 2.0, 3.0]] * 3), "gives 3 scores a row, and the target has 2 classes"),
        (linear([[1.0, 2.0]] * 3, activation="Log"), "NaN or infinity for"),
        (linear([[1.0, 2.0]] * 2), "do not fit"),
    ],
    ids=["logits", "classes", "not finite", "width"],
)
def test_what_is_no_model_of_these_rows_is_seen_before_it_is_taken(graph, words, tmp_path):
    with pytest.raises(UserCodeError, match=words):
        BroughtClassifier(brought(tmp_path, graph), INPUTS).fit(numbers(40), np.arange(40) % 2)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserCodeError, match="cannot be read"):
        BroughtClassifier(tmp_path / "nosuch.onnx").fit(numbers(10), np.arange(10) % 2)


def test_the_columns_of_a_tensor_must_be_named_in_their_order(tmp_path):
    """A spec does not keep the order of its columns: to guess it would be to answer wrongly."""
    file = brought(tmp_path, linear([[1.0], [2.0], [3.0]], activation="Sigmoid"))
    rows = numbers(30)
    with pytest.raises(UserCodeError, match=r"which columns, in which order, go into x"):
        BroughtClassifier(file).fit(rows, np.arange(30) % 2)
    straight = BroughtClassifier(file, INPUTS).fit(rows, np.arange(30) % 2)
    turned = BroughtClassifier(file, INPUTS).fit(rows[["x3", "x1", "x2"]], np.arange(30) % 2)
    np.testing.assert_array_equal(straight.predict_proba(rows), turned.predict_proba(rows[["x3", "x1", "x2"]]))
    proved(turned, tuple(Column(n, "number") for n in ("x3", "x1", "x2")), "binary", rows[["x3", "x1", "x2"]], 2)
    with pytest.raises(UserCodeError, match="do not fit"):
        BroughtClassifier(file, {"x": ["x1", "x2"]}).fit(rows, np.arange(30) % 2)


def test_a_graph_of_the_ml_domain_alone_in_an_old_format_is_taken(tmp_path):
    """Constants were inputs too, and the default operators need not be named where none is used."""
    node = onnx.helper.make_node(
        "LinearClassifier",
        ["x"],
        ["label", "scores"],
        domain="ai.onnx.ml",
        coefficients=[-1.0, 0.0, 1.0, 1.0, 0.0, -1.0],
        intercepts=[0.0, 0.0],
        multi_class=0,
        post_transform="SOFTMAX",
        classlabels_strings=["good", "bad"],
    )
    graph = onnx.helper.make_graph(
        [node],
        "g",
        [onnx.helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])],
        [
            onnx.helper.make_tensor_value_info("label", TensorProto.STRING, [None]),
            onnx.helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 2]),
        ],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("ai.onnx.ml", 1)], ir_version=3)
    assert read_graph(model.SerializeToString(), "model.onnx").labels == ("good", "bad")
    rows = numbers(30)
    estimator = BroughtClassifier(brought(tmp_path, model.SerializeToString()), INPUTS).fit(rows, np.arange(30) % 2)
    proved(estimator, tuple(Column(n, "number") for n in XS), "binary", rows, 2)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("endless", "of .*/model.onnx took longer than 1 s for 64 rows"),
        ("80 GB", "the graph of .*/model.onnx needs more than 300 MB for one row"),
        ("dies", r"of .*/model.onnx died of 64 rows \(killed by signal 8\)"),
    ],
)
def test_one_that_takes_its_process_along_does_so_alone(kind, words, tmp_path):
    file = brought(tmp_path, GRAPHS[kind](3))
    with pytest.raises(GraphError, match=words):
        BroughtClassifier(file, {"numbers": XS}, limits=Limits(1.0, 300)).fit(numbers(40), np.arange(40) % 2)


def test_rows_that_it_cannot_answer_are_told_in_its_own_words(tmp_path):
    file = brought(tmp_path, GRAPHS["raises"](3))
    with pytest.raises(
        UserCodeError, match=r"cannot answer rows of these columns: .*failed on 64 rows: .*indices element"
    ):
        BroughtClassifier(file, {"numbers": XS}).fit(numbers(40), np.arange(40) % 2)
