"""What answers for a version: who proves it, who may be loaded, and that nobody else need know."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import polars as pl
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from modelway.errors import EngineError, ExportError, ParityError, StateError
from modelway.flow.forms import open_run
from modelway.flow.proving import proved
from modelway.flow.scoring import graph_scores
from modelway.flow.serving import loader
from modelway.records import (
    Column,
    Fit,
    Graph,
    Manifest,
    OperatingPoint,
    PythonModel,
    TrainingSet,
    Trigger,
    dumps,
    loads,
)
from modelway.serving.answer import answer_rows
from modelway.serving.servable import nowhere
from modelway.spec.model import Spec
from modelway.state import runs
from modelway.training.frames import parquet_bytes
from modelway.training.predict import scores
from modelway.workspace import Workspace
from tests.unit.serving.made import LOANS, make_workspace, put_version

NOW = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = (Column("income", "number"),)
ODD = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

class Odd(ClassifierMixin, BaseEstimator):
    def fit(self, rows, target):
        self.classes_ = np.unique(target)
        return self

    def predict_proba(self, rows):
        p = 1 / (1 + np.exp(-rows["income"].fillna(0.0).clip(-1e3, 1e3) / 7))
        return np.column_stack([1 - p, p])
"""


@pytest.fixture
def workspace(tmp_path: Path):
    made = make_workspace(tmp_path / "bank")
    yield made
    made.close()


def table(rows: int = 200) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    income = rng.normal(size=rows) * 10
    return pl.DataFrame(
        {
            "_key": [f"k{n}" for n in range(rows)],
            "_at": [NOW] * rows,
            "_part": ["train" if n % 2 else "holdout" for n in range(rows)],
            "_target": np.where(income + rng.normal(size=rows) > 0, "good", "bad"),
            "income": income,
        }
    )


def fitted(workspace: Workspace, estimator: Any, *, recorded: bool = True) -> tuple[TrainingSet, Fit, Any]:
    """An estimator as a run leaves it."""
    rows = table()
    data = workspace.artifacts.put(parquet_bytes(rows))
    made = TrainingSet(data, (), COLUMNS, "binary", ("bad", "good"), 200, 100, 100, 0, NOW)
    estimator = estimator.fit(rows.select("income").to_pandas(), (rows["_target"] == "good").cast(pl.Int64).to_numpy())
    fit = Fit(workspace.artifacts.put(cloudpickle.dumps(estimator)), {}, 0, 0.0, "", "")
    if recorded:
        runs.open_run(workspace.database, "loans-0001", "loans", Trigger("manual", "a test"), NOW)
        runs.keep_step(workspace.database, "loans-0001", "train", dumps(fit).decode(), 0.0, None)
    return made, fit, estimator


def odd() -> Any:
    space: dict[str, Any] = {"__name__": "of_a_user"}
    exec(ODD, space)
    return space["Odd"]()


def spec(**serving: Any) -> Spec:
    return Spec.model_validate({**LOANS, "serving": serving})


def proof(workspace: Workspace, wanted: Spec, made: TrainingSet, fit: Fit, estimator: Any, told: list[str]) -> Graph:
    point = OperatingPoint("fixed", 0.5, "good")
    return proved(workspace, wanted, made, fit, estimator, point, lambda what, share=None: told.append(what))


def test_what_has_no_graph_is_refused_with_the_way_out_unless_the_spec_allows_a_process(workspace):
    made, fit, estimator = fitted(workspace, odd())
    with pytest.raises(ExportError, match=r"Odd.*\n.*serving: \{python: \{\}\}"):
        proof(workspace, spec(), made, fit, estimator, [])
    told: list[str] = []
    graph = proof(workspace, spec(python={"timeout": "3s", "memory": 512}), made, fit, estimator, told)
    assert graph.form == "python"
    assert graph.parity.worst == 0
    assert graph.parity.cases["holdout"] == 100
    assert any("no exact graph" in one for one in told)
    model = loads(PythonModel, workspace.artifacts.get(graph.graph))
    assert (model.estimator, model.seconds, model.megabytes) == (fit.estimator, 3.0, 512)
    assert {"python", "numpy", "pandas", "sklearn"} <= model.versions.keys()
    rows = table()
    want = scores(estimator, rows.select("income").to_pandas(), "binary", 2)
    np.testing.assert_array_equal(graph_scores(workspace, graph, rows, "loans@1"), want)


def test_what_has_a_graph_gets_it_unless_the_spec_always_wants_a_process(workspace):
    made, fit, estimator = fitted(workspace, make_pipeline(SimpleImputer(), LogisticRegression()))
    assert proof(workspace, spec(python={}), made, fit, estimator, []).form == "graph"
    graph = proof(workspace, spec(python={"when": "always"}), made, fit, estimator, [])
    assert graph.form == "python"
    assert graph.refuses.get("missing") is None
    assert "infinite" in graph.refuses


def test_a_graph_that_fails_its_gate_gives_way_to_a_process_too(workspace, monkeypatch):
    import modelway.flow.proving as module

    made, fit, estimator = fitted(workspace, make_pipeline(SimpleImputer(), LogisticRegression()))
    other = make_pipeline(SimpleImputer(), LogisticRegression(C=1e-3)).fit(
        table().select("income").to_pandas(), (table()["_target"] == "good").to_numpy()
    )
    export = module.export_estimator
    monkeypatch.setattr(module, "export_estimator", lambda _, *rest, **more: export(other, *rest, **more))
    with pytest.raises(ParityError, match=r"differs(.|\n)*serving: \{python"):
        proof(workspace, spec(), made, fit, estimator, [])
    assert proof(workspace, spec(python={}), made, fit, estimator, []).form == "python"


def test_a_pickle_that_no_run_of_this_workspace_made_is_not_loaded(workspace):
    made, fit, estimator = fitted(workspace, odd(), recorded=False)
    with pytest.raises(StateError, match="fitted by no run of this workspace"):
        proof(workspace, spec(python={"when": "always"}), made, fit, estimator, [])


def test_a_process_that_answers_otherwise_than_the_estimator_fails_the_gate(workspace):
    made, fit, _ = fitted(workspace, odd())
    other = make_pipeline(SimpleImputer(), LogisticRegression()).fit(
        table().select("income").to_pandas(), (table()["_target"] == "good").cast(pl.Int64).to_numpy()
    )
    with pytest.raises(ParityError, match="differs from the Python model"):
        proof(workspace, spec(python={"when": "always"}), made, fit, other, [])


def test_the_server_loads_either_and_waits_for_a_process_in_a_thread(workspace):
    made, fit, estimator = fitted(workspace, odd())
    graph = proof(workspace, spec(python={}), made, fit, estimator, [])
    plain = put_version(workspace)
    manifest = loads(Manifest, workspace.artifacts.get(plain))
    digest = workspace.artifacts.put(dumps(replace(manifest, graph=graph.graph, form=graph.form)))
    load = loader(workspace)
    assert load(plain, "loans", 1).upto is nowhere
    servable = load(digest, "loans", 2)
    assert servable.upto is not nowhere
    assert servable.upto() == {}
    (answer,) = answer_rows(servable, ["r"], [{"income": 7.0}], NOW)
    assert answer.scores == pytest.approx((1 - 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(-1))))


def test_libraries_that_have_changed_since_the_proof_are_refused_to_clients_and_not_to_a_comparison(workspace):
    made, fit, estimator = fitted(workspace, odd())
    graph = proof(workspace, spec(python={}), made, fit, estimator, [])
    model = loads(PythonModel, workspace.artifacts.get(graph.graph))
    changed = workspace.artifacts.put(dumps(replace(model, versions={**model.versions, "numpy": "1.0"})))
    with pytest.raises(EngineError, match=r"numpy .* \(was 1\.0\)"):
        open_run(workspace, replace(graph, graph=changed), "loans@1")
    compared = graph_scores(workspace, replace(graph, graph=changed), table(), "loans@1")
    np.testing.assert_array_equal(compared, scores(estimator, table().select("income").to_pandas(), "binary", 2))


def test_a_manifest_of_before_is_of_a_graph_and_keeps_its_digest(workspace):
    import json

    plain = json.loads(workspace.artifacts.get(put_version(workspace)))
    del plain["form"]
    digest = workspace.artifacts.put(json.dumps(plain).encode())
    assert loads(Manifest, workspace.artifacts.get(digest)).form == "graph"
    assert loader(workspace)(digest, "loans", 1).digest == digest


def test_an_interpreter_is_named_from_the_workspace(workspace):
    import sys

    made, fit, estimator = fitted(workspace, odd())
    place = workspace.places.root / "environments" / "own" / "python"
    place.parent.mkdir(parents=True)
    place.write_text(f'#!/bin/sh\necho asked >> "{place.parent}/asked"\nexec "{sys.executable}" "$@"\n')
    place.chmod(0o755)
    wanted = spec(python={"interpreter": "environments/own/python"})
    graph = proof(workspace, wanted, made, fit, estimator, [])
    assert graph.parity.worst == 0
    assert loads(PythonModel, workspace.artifacts.get(graph.graph)).interpreter == "environments/own/python"
    graph_scores(workspace, graph, table(), "loans@1")
    assert (place.parent / "asked").read_text().split() == ["asked", "asked"]
