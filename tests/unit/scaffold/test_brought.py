"""A project around a graph that is brought: what it takes becomes the contract, with rows beside it or without."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from modelway.errors import DataError, NotFoundError, UsageError
from modelway.features.plan import plan_of
from modelway.scaffold.brought import brought_project
from modelway.spec.load import load_spec
from modelway.training.user_code import load_user_code, write_sources
from tests.support.graphs import linear

WEIGHTS = [[0.0, 1.0], [0.0, -1.0], [0.0, 2.0]]


def rows(count: int = 200, good: str = "good", bad: str = "bad") -> pl.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 3))
    label = np.where(x @ [1.0, -1.0, 2.0] + rng.normal(size=count) > 1.5, bad, good)
    named = {"id": [f"R{n:04d}" for n in range(count)], "a": x[:, 0], "b": x[:, 1], "c": x[:, 2]}
    return pl.DataFrame({**named, "label": label})


def made(root: Path, graph: bytes, frame: pl.DataFrame | None = None, target: str = "label", **options):
    file, data = root / "theirs.onnx", root / "rows.csv"
    file.write_bytes(graph)
    if frame is not None:
        frame.write_csv(data)
    return brought_project(root, "risk", file, target, data=data if frame is not None else None, frame=frame, **options)


def test_the_project_is_sound_and_its_estimator_answers(tmp_path):
    created = made(tmp_path, linear(WEIGHTS), rows())
    names = ("modelway.yaml", "model.py", "tests/test_model.py", "model.onnx")
    assert created.files == tuple(f"models/risk/{name}" for name in names)
    spec = load_spec(tmp_path / created.files[0])
    assert (spec.task, spec.data.key, spec.training.holdout, spec.retraining.on) == ("binary", "id", 0.5, ())
    assert [c.name for c in plan_of(spec).columns] == ["a", "b", "c"]
    assert "nothing is learned" in created.decisions.about("model").why
    assert created.decisions.about("inputs").decision == "x: a, b, c"
    assert '    "x": ["a", "b", "c"],\n' in (tmp_path / "models/risk/model.py").read_text()
    code = load_user_code(tmp_path / "models/risk")
    frame = rows().to_pandas()
    estimator = code.build({}, "binary").fit(frame[["a", "b", "c"]], (frame["label"] == "bad").to_numpy().astype(int))
    assert estimator.predict_proba(frame[["a", "b", "c"]]).shape == (200, 2)


def test_the_graphs_columns_follow_the_positive_class(tmp_path):
    """Exporters sort labels: `bad` is column 0; it is the rarer one, and stands last among the scores."""
    created = made(tmp_path, linear(WEIGHTS), rows())
    told = created.decisions.about("scores")
    assert told.decision == "column 0 is bad, column 1 is good"
    assert "assumed" in told.why
    assert "scores=[1, 0]" in (tmp_path / "models/risk/model.py").read_text()


def test_columns_that_the_graph_does_not_name_are_ignored(tmp_path):
    import onnx

    model = onnx.load_model_from_string(linear([[1.0]], activation="Sigmoid"))
    model.graph.input[0].name = "b"
    model.graph.node[0].input[0] = "b"
    made(tmp_path, model.SerializeToString(), rows())
    spec = load_spec(tmp_path / "models/risk/modelway.yaml")
    assert spec.data.ignore == ("a", "c")
    assert [c.name for c in plan_of(spec).columns] == ["b"]


def test_without_rows_the_inputs_are_the_contract(tmp_path):
    created = made(tmp_path, linear(WEIGHTS), target="default")
    spec = load_spec(tmp_path / created.files[0])
    assert (spec.task, spec.topic, spec.data.target) == ("binary", "risk", "default")
    assert [c.name for c in plan_of(spec).columns] == ["x_1", "x_2", "x_3"]


def test_what_does_not_fit_leaves_no_project(tmp_path):
    with pytest.raises(DataError, match=r"takes x \(3 of float\)"):
        made(tmp_path, linear(WEIGHTS), rows().drop("c"))
    with pytest.raises(UsageError, match="no column 'nosuch'"):
        made(tmp_path, linear(WEIGHTS), rows(), target="nosuch")
    with pytest.raises(NotFoundError, match="cannot be read"):
        brought_project(tmp_path, "risk", tmp_path / "nosuch.onnx", "label")
    assert not (tmp_path / "models").exists() or not list((tmp_path / "models").iterdir())


def test_the_graph_travels_with_the_code(tmp_path):
    made(tmp_path, linear(WEIGHTS), rows())
    code = load_user_code(tmp_path / "models/risk")
    copy = tmp_path / "copy"
    write_sources(code.sources, copy)
    assert (copy / "model.onnx").read_bytes() == (tmp_path / "theirs.onnx").read_bytes()
    assert load_user_code(copy).digest == code.digest
    (copy / "model.onnx").write_bytes(linear([[1.0, 2.0]] * 3))
    assert load_user_code(copy).digest != code.digest


def test_the_tests_that_come_with_it_pass(tmp_path):
    from runpy import run_path

    made(tmp_path, linear(WEIGHTS), rows())
    run_path(str(tmp_path / "models/risk/tests/test_model.py"))["test_each_column_has_its_input"]()
