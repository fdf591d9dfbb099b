"""Each listed file: read, looked at, written as a project, fitted and exported exactly; or refused with the reason."""

import runpy
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import yaml

from modelway import errors
from modelway.export.build import export_estimator
from modelway.export.parity import check_parity
from modelway.features.plan import plan_of
from modelway.files.read import read_table
from modelway.records import Column
from modelway.scaffold.new import Created, new_project
from modelway.spec.model import Spec
from modelway.training.classes import ordered_classes, target_text
from modelway.training.estimate import fit_once
from modelway.training.frames import codes, to_pandas
from modelway.training.predict import scores
from modelway.training.user_code import load_user_code
from tests.corpus.case import Case
from tests.corpus.made import MADE, REFUSED
from tests.corpus.real import REAL

ACCEPTED = (*REAL, *MADE)


def made(case: Case, folder: Path) -> Path:
    path = case.make(folder)
    if path is None:
        pytest.skip(f"the source of {case.name} is not here: {case.origin}")
    return path


def created(case: Case, folder: Path) -> tuple[pl.DataFrame, Created, Spec]:
    path = made(case, folder)
    frame = read_table(path)
    project = new_project(folder, case.name, path, case.target, frame=frame)
    text = (folder / "models" / case.name / "modelway.yaml").read_text()
    return frame, project, Spec.model_validate(yaml.safe_load(text))


def ready(frame: pl.DataFrame, spec: Spec) -> pl.DataFrame:
    """The columns of the contract as the default plan gives them: dates as days since 1970."""
    days = [
        (pl.col(name).cast(pl.Datetime("us")).dt.epoch("us") / 86_400e6).alias(name)
        for name, rule in spec.contract.items()
        if rule.type in ("date", "datetime") and name in frame.columns
    ]
    return frame.with_columns(days)


def test_the_list_is_long_and_has_no_name_twice():
    names = [case.name for case in (*ACCEPTED, *REFUSED)]
    assert len(names) == len(set(names)) >= 24


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_a_file_becomes_a_project(case: Case, tmp_path: Path):
    _, project, spec = created(case, tmp_path)
    assert spec.task == project.task == case.task
    assert spec.data.target == case.target
    assert spec.data.key == case.key
    assert spec.data.event_time == case.event_time
    assert set(case.ignored) <= set(spec.data.ignore)
    for told in case.says:
        about, _, part = told.partition(": ")
        found = [d for d in project.decisions.made if about in (d.about, *d.about.split(", "))]
        assert any(part in f"{d.decision} {d.why}" for d in found), (told, project.decisions.rows())


@dataclass(frozen=True)
class Fitted:
    estimator: Any
    columns: tuple[Column, ...]
    table: pd.DataFrame
    classes: tuple[str, ...]
    spec: Spec


def fitted(case: Case, folder: Path) -> Fitted:
    """As a run does it: the default plan's columns, the classes in order, one fit, without a warning."""
    frame, _, spec = created(case, folder)
    columns = plan_of(spec).columns
    rows = ready(frame, spec).filter(pl.col(case.target).is_not_null())
    classes: tuple[str, ...] = ()
    target = codes(rows[case.target], ()) if spec.task == "regression" else None
    if target is None:
        names = target_text(rows[case.target])
        classes = ordered_classes(dict(names.value_counts().iter_rows()), spec.task, spec.data.positive)
        target = codes(names, classes)
    table = to_pandas(rows, columns)
    notes: list[str] = []
    code = load_user_code(folder / "models" / case.name)
    estimator = fit_once(code, {}, table, target, spec.task, 0, notes)
    assert [note for note in notes if "n_jobs" not in note] == []
    return Fitted(estimator, columns, table, classes, spec)


@pytest.mark.parametrize("case", [case for case in ACCEPTED if case.fit], ids=lambda case: case.name)
def test_a_project_fits_and_predicts(case: Case, tmp_path: Path):
    made = fitted(case, tmp_path)
    k = max(1, len(made.classes))
    answers = scores(made.estimator, made.table, made.spec.task, k)
    assert answers.shape == (made.table.shape[0], k)
    assert np.isfinite(answers).all()
    assert answers.std(axis=0).min() > 0, "the rows are told apart"


@pytest.mark.parametrize("case", [case for case in ACCEPTED if case.exact], ids=lambda case: case.name)
def test_a_project_has_an_exact_graph(case: Case, tmp_path: Path):
    made = fitted(case, tmp_path)
    task, k = made.spec.task, len(made.classes) or None
    exported = export_estimator(made.estimator, made.columns, task, classes=k)
    assert exported.exactness == "double"
    proof = check_parity(
        exported.onnx, made.estimator, made.columns, task, made.table.head(100), exactness="double", seed=0,
        classes=k, hints=exported.hints,
    )  # fmt: skip
    assert proof.parity.worst <= 1e-9
    assert not proof.refuses.get("missing"), "what a serving row may lack is answered"
    assert not proof.refuses.get("unseen")


@pytest.mark.parametrize("name", ["iris", "spector", "diabetes", "longley", "blanks", "ndjson", "whole-classes"])
def test_the_test_that_comes_with_a_project_passes(name: str, tmp_path: Path):
    created(next(case for case in ACCEPTED if case.name == name), tmp_path)
    tests = runpy.run_path(str(tmp_path / "models" / name / "tests" / "test_model.py"))
    ran = [tests[test]() for test in tests if test.startswith("test_")]
    assert len(ran) == 3


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_a_file_is_refused_with_place_and_fix(case: Case, tmp_path: Path):
    path = made(case, tmp_path)
    with pytest.raises(getattr(errors, case.refused)) as refusal:
        new_project(tmp_path, "loans", path, case.target, frame=read_table(path))
    assert refusal.type.__name__ == case.refused
    assert refusal.value.fix
    for part in case.says:
        assert part in str(refusal.value)
    assert not (tmp_path / "models").exists()


def test_what_pandas_reads_is_read_with_as_many_rows_and_columns(tmp_path: Path):
    separators = {"german": ";", "tabs": "\t", "utf-16": "\t"}
    encodings = {"latin-1": "latin-1", "utf-16": "utf-16"}
    for case in MADE:
        folder = tmp_path / case.name
        folder.mkdir()
        path = made(case, folder)
        if path.suffix not in (".csv", ".tsv", ".txt") or case.name == "index-by-r":
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = pd.read_csv(path, sep=separators.get(case.name, ","), encoding=encodings.get(case.name, "utf-8"))
        assert read_table(path).shape == theirs.shape, case.name
