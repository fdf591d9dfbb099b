"""Each listed file: read, looked at, written as a project, typed, fitted and exported exactly; or refused with the reason."""

import runpy
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modelway import errors
from modelway.export.build import export_estimator
from modelway.export.parity import check_parity
from modelway.files.read import read_table
from modelway.scaffold.new import new_project
from modelway.training.predict import scores
from tests.corpus.case import Case
from tests.corpus.listed import PAGE, listed
from tests.corpus.made import MADE, REFUSED
from tests.corpus.prepared import Prepared
from tests.corpus.real import REAL

Prepare = Callable[[Case], Prepared]
ACCEPTED = (*REAL, *MADE)


def by_name(case: Case) -> str:
    return case.name


def test_the_list_is_long_and_has_no_name_twice():
    names = [case.name for case in (*ACCEPTED, *REFUSED)]
    assert len(names) == len(set(names)) >= 24


def test_the_list_is_up_to_date():
    """To renew it: `python -m tests.corpus.listed`."""
    assert PAGE.read_text(encoding="utf-8") == listed(REAL, MADE, REFUSED)


@pytest.mark.parametrize("case", ACCEPTED, ids=by_name)
def test_a_file_becomes_a_project(case: Case, prepared: Prepare):
    made = prepared(case)
    assert made.spec.task == made.project.task == case.task
    assert made.spec.data.target == case.target
    assert made.spec.data.key == case.key
    assert made.spec.data.event_time == case.event_time
    assert set(case.ignored) <= set(made.spec.data.ignore)
    for told in case.says:
        about, _, part = told.partition(": ")
        found = [d for d in made.project.decisions.made if about in (d.about, *d.about.split(", "))]
        assert any(part in f"{d.decision} {d.why}" for d in found), (told, made.project.decisions.rows())


@pytest.mark.parametrize("case", ACCEPTED, ids=by_name)
def test_the_file_keeps_the_contract_that_was_made_from_it(case: Case, prepared: Prepare):
    checked = prepared(case).checked
    assert list(checked.breaches) == []
    assert checked.accepted.height == prepared(case).frame.height


@pytest.mark.parametrize("case", ACCEPTED, ids=by_name)
def test_a_project_fits_and_predicts(case: Case, prepared: Prepare):
    made = prepared(case).fitted
    assert made.notes == (), "no warning"
    k = max(1, len(made.classes))
    answers = scores(made.estimator, made.table, case.task, k)
    assert answers.shape == (made.table.shape[0], k)
    assert np.isfinite(answers).all()
    assert answers.std(axis=0).min() > 0, "the rows are told apart"


@pytest.mark.parametrize("case", [case for case in ACCEPTED if case.exact], ids=by_name)
def test_a_project_has_an_exact_graph(case: Case, prepared: Prepare):
    made = prepared(case).fitted
    k = len(made.classes) or None
    exported = export_estimator(made.estimator, made.columns, case.task, classes=k)
    assert exported.exactness == "double"
    proof = check_parity(
        exported.onnx, made.estimator, made.columns, case.task, made.table.head(100), exactness="double", seed=0,
        classes=k, hints=exported.hints,
    )  # fmt: skip
    assert proof.parity.worst <= 1e-9
    assert not proof.refuses.get("missing"), "what a serving row may lack is answered"
    assert not proof.refuses.get("unseen")


@pytest.mark.parametrize("name", ["iris", "spector", "diabetes", "longley", "blanks", "ndjson", "whole-classes"])
def test_the_test_that_comes_with_a_project_passes(name: str, prepared: Prepare):
    made = prepared(next(case for case in ACCEPTED if case.name == name))
    tests = runpy.run_path(str(made.folder / made.project.files[2]))
    ran = [tests[test]() for test in tests if test.startswith("test_")]
    assert len(ran) == 3


@pytest.mark.parametrize("case", REFUSED, ids=by_name)
def test_a_file_is_refused_with_place_and_fix(case: Case, tmp_path: Path):
    path = case.make(tmp_path)
    assert path is not None
    with pytest.raises(getattr(errors, case.refused)) as refusal:
        new_project(tmp_path, "loans", path, case.target, frame=read_table(path))
    assert refusal.type.__name__ == case.refused
    assert refusal.value.fix
    for part in case.says:
        assert part in str(refusal.value)
    assert not (tmp_path / "models").exists()


def test_what_pandas_reads_is_read_with_as_many_rows_and_columns(prepared: Prepare):
    separators = {"german": ";", "tabs": "\t", "utf-16": "\t"}
    encodings = {"latin-1": "latin-1", "utf-16": "utf-16"}
    for made in (prepared(case) for case in MADE if case.name not in ("index-by-r", "wide", "headers")):
        if made.path.suffix not in (".csv", ".tsv", ".txt"):
            continue
        name = made.case.name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = pd.read_csv(made.path, sep=separators.get(name, ","), encoding=encodings.get(name, "utf-8"))
        assert made.frame.shape == theirs.shape, name
