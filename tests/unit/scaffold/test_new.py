"""The project as it is written: whole or not at all, and readable by everything that reads it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.errors import DataError, DiskFullError, UsageError
from modelway.features.plan import plan_of
from modelway.files.read import read_table
from modelway.scaffold.new import Created, new_project
from modelway.scaffold.yaml_text import flow, scalar
from modelway.spec.document import read_document
from modelway.spec.load import load_spec
from modelway.training.user_code import load_user_code


def loans(rows: int = 400) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    amount = rng.normal(size=rows)
    return pl.DataFrame(
        {
            "id": [f"L{i:05d}" for i in range(rows)],
            "amount": [None if i % 9 == 0 else float(a) for i, a in enumerate(amount)],
            "colour": rng.choice(["red", "green"], rows),
            "bad": (amount + rng.normal(size=rows) > 0).astype(int),
        }
    )


def made(root: Path, frame: pl.DataFrame | None = None, model: str = "loans", **options) -> Created:
    data = root / "train.csv"
    return new_project(root, model, data, "bad", frame=loans() if frame is None else frame, **options)


def test_the_three_files_are_written_and_read(tmp_path):
    created = made(tmp_path)
    assert created.files == tuple(f"models/loans/{n}" for n in ("modelway.yaml", "model.py", "tests/test_model.py"))
    spec = load_spec(tmp_path / created.files[0])
    assert (spec.model, spec.task, spec.data.key) == ("loans", "binary", "id")
    assert [c.name for c in plan_of(spec).columns] == ["amount", "colour"]
    assert [p.name for p in (tmp_path / "models").iterdir()] == ["loans"]


@pytest.mark.parametrize(
    ("place", "named"),
    [("bank/data/a.csv", "data/a.csv"), ("a.csv", "../a.csv"), ("other/a [1].csv", "../other/a [[]1].csv")],
)
def test_files_in_the_workspace_or_beside_it_are_named_relative_to_it(tmp_path, place, named):
    root, path = tmp_path / "bank", tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    root.mkdir(exist_ok=True)
    loans().write_csv(path)
    new_project(root, "loans", path, "bad", frame=read_table(path))
    spec = load_spec(root / "models" / "loans" / "modelway.yaml")
    assert spec.data.source.files == (named,)


def test_a_file_far_away_is_named_in_full(tmp_path):
    root = tmp_path / "a" / "b" / "bank"
    root.mkdir(parents=True)
    new_project(root, "loans", tmp_path / "x.csv", "bad", frame=loans())
    assert load_spec(root / "models/loans/modelway.yaml").data.source.files == (str(tmp_path / "x.csv"),)


@pytest.mark.parametrize(
    ("rows", "target", "model"),
    [
        (400, "bad", "logistic regression"),
        (400, "amount", "ridge regression"),
        (999, "bad", "logistic regression"),
        (1000, "bad", "boosted trees"),
    ],
)
def test_few_rows_get_a_linear_model_and_it_is_said(tmp_path, rows, target, model):
    frame = loans(rows).with_columns(pl.col("amount").fill_null(0.5))
    created = new_project(tmp_path, "loans", tmp_path / "a.csv", target, frame=frame)
    told = created.decisions.about("model")
    assert (told.decision, told.how_to_change) == (model, "build in model.py")
    assert ("fewer than 1,000 rows" in told.why) == (rows < 1000)
    text = (tmp_path / "models/loans/model.py").read_text()
    assert ("HistGradientBoosting" in text) == (model == "boosted trees")


@pytest.mark.parametrize(
    ("rows", "target"), [(100, "amount"), (400, "bad"), (400, "kind"), (1200, "amount"), (1000, "bad"), (1000, "kind")]
)
def test_the_written_test_passes_under_pytest(tmp_path, rows, target):
    frame = loans(rows).with_columns(kind=pl.Series([("a", "b", "c")[i % 3] for i in range(rows)]))
    new_project(tmp_path, "loans", tmp_path / "a.csv", target, frame=frame.drop_nulls(target))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "models/loans"]
    environment = {"PATH": "", "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "3 passed" in ran.stdout


@pytest.mark.parametrize("rows", [400, 1000])
def test_model_py_builds_with_params_and_has_a_search_space(tmp_path, rows):
    made(tmp_path, loans(rows))
    code = load_user_code(tmp_path / "models" / "loans")

    class Trial:
        def suggest_float(self, name: str, low: float, high: float, **_: object) -> float:
            return high

        def suggest_int(self, name: str, low: int, high: int, **_: object) -> int:
            return high

    assert code.search_space is not None
    params = code.search_space(Trial())
    last = code.build(params)[-1].get_params()
    assert all(last[name] == value for name, value in params.items())


def test_an_existing_project_is_not_overwritten_unasked(tmp_path):
    made(tmp_path)
    project = tmp_path / "models" / "loans"
    (project / "mine.py").write_text("x = 1\n")
    (project / "model.py").write_text("changed\n")
    with pytest.raises(UsageError, match="exists already") as caught:
        made(tmp_path)
    assert "--overwrite" in caught.value.fix
    assert (project / "model.py").read_text() == "changed\n"
    made(tmp_path, overwrite=True)
    assert "def build" in (project / "model.py").read_text()
    assert (project / "mine.py").exists()


@pytest.mark.parametrize("point", ["scaffold.before-rename", "scaffold.between-renames", "scaffold.after-rename"])
def test_a_crash_leaves_a_whole_project(tmp_path, monkeypatch, point):
    """As after kill -9: nothing is mended by the one that died."""
    made(tmp_path)
    project = tmp_path / "models" / "loans"
    (project / "model.py").write_text("old\n")

    def die(name: str) -> None:
        if name == point:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("modelway.faults.point", die)
        patch.setattr("modelway.scaffold.new._mend", lambda _: None)
        with pytest.raises(KeyboardInterrupt):
            made(tmp_path, overwrite=True)
    with pytest.raises(UsageError, match="exists already"):
        made(tmp_path)
    text = (project / "model.py").read_text()
    assert ("def build" in text) if point == "scaffold.after-rename" else (text == "old\n")
    assert load_spec(project / "modelway.yaml").model == "loans"
    assert [p.name for p in (tmp_path / "models").iterdir()] == ["loans"]


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskFullError):
        made(tmp_path)
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "better"), [("Loans", "loans"), ("my loans!", "my-loans"), ("9lives", "model-9lives"), ("", "model")]
)
def test_a_name_that_cannot_be_gets_a_better_one(tmp_path, name, better):
    with pytest.raises(UsageError, match="cannot be the name of a model") as caught:
        made(tmp_path, model=name)
    assert caught.value.fix == f"take for example {better}"


def test_columns_that_are_ours_and_targets_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match="_at"):
        made(tmp_path, loans().with_columns(_at=pl.lit(1)))
    with pytest.raises(UsageError, match="no column 'bda'") as caught:
        new_project(tmp_path, "loans", tmp_path / "a.csv", "bda", frame=loans())
    assert caught.value.fix == "did you mean --target 'bad'?"
    assert not (tmp_path / "models").exists()


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=12)


SCALARS = NAMES | st.booleans() | st.integers(-99, 99) | st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAMES, SCALARS))
def test_names_and_values_read_back_as_themselves(tmp_path_factory, values):
    lines = [f"{scalar(name)}: {flow({'v': value, 'l': [value]})}" for name, value in values.items()]
    path = tmp_path_factory.mktemp("yaml") / "a.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    made = read_document(path)
    assert made.mistakes == ()
    assert (made.value or {}) == {name: {"v": value, "l": [value]} for name, value in values.items()}


HEADER = NAMES.filter(lambda name: name.strip() == name and not name.startswith("_") and name != "bad")


@settings(max_examples=30, deadline=None)
@given(st.lists(HEADER, min_size=1, max_size=4, unique=True), st.integers(0, 99))
def test_any_header_makes_a_project(tmp_path_factory, headers, seed):
    root = tmp_path_factory.mktemp("any")
    rng = np.random.default_rng(seed)
    columns = {name: rng.normal(size=60) if i % 2 else rng.choice(["a", "b: c"], 60) for i, name in enumerate(headers)}
    frame = pl.DataFrame({**columns, "bad": [0, 1] * 30})
    new_project(root, "loans", root / "a.csv", "bad", frame=frame)
    spec = load_spec(root / "models/loans/modelway.yaml")
    assert [n for n in spec.contract if n != "bad"] == [n for n in headers if n not in spec.data.ignore]
    load_user_code(root / "models" / "loans").build({})


def test_a_column_that_is_there_twice_is_told(tmp_path):
    frame = loans().with_columns(pl.col("amount").alias("amount.1"))
    created = made(tmp_path, frame, heads=["id", "amount", "colour", "amount", "bad"])
    (told,) = [one for one in created.decisions.made if one.decision == "the later ones are called amount.1"]
    assert (told.about, told.why) == ("amount", "the header of train.csv has amount 2 times")
