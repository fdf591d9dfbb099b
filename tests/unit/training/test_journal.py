"""What reaches the tracking server, seen through a tracking port in memory."""

from dataclasses import replace

import pytest

from modelway.records import Metric, OperatingPoint, Trigger, Validation, Verdict
from modelway.training.fit import fit
from modelway.training.journal import begin, holdout_figures, tell_training, tell_validation
from modelway.training.prepare import prepare
from modelway.training.tracking import Tracking
from tests.unit.training.conftest import COLUMNS, MODEL, START, rows, spec_of


class Memory(Tracking):
    def __init__(self):
        self.params, self.metrics, self.tags, self.files = {}, {}, {}, {}

    def start(self, model, run, at, tags=None):
        self.tags |= tags or {}
        return run

    def log(self, tracked, *, params=None, metrics=None, tags=None):
        self.params |= params or {}
        self.metrics |= metrics or {}
        self.tags |= tags or {}

    def file(self, tracked, name, data):
        self.files[name] = data

    def finish(self, tracked, at, *, failed=False): ...
    def register(self, model, version, tracked, tags=None): ...
    def mirror(self, model, aliases): ...
    def link(self, tracked): ...
    def ping(self): ...


def test_a_run_tells_data_versions_parameters_figures_with_intervals_and_verdicts(store, project):
    from modelway.records import TableVersion

    spec, told = spec_of(params={"C": 2.0}), Memory()
    training_set = prepare(rows(), spec, COLUMNS, [TableVersion("loans", 3)], START, store)
    fitted = fit(training_set, spec, project(), store)
    tracked = begin(told, "loans", "run-1", Trigger("drift", "amount moved"), START)
    tell_training(told, tracked, training_set, fitted, store)
    metric = Metric("roc_auc", 0.8, 0.7, 0.9, training_set.holdout_rows)
    verdict = Verdict("baseline", "fail", "no better than guessing")
    tell_validation(told, tracked, Validation((metric,), (verdict,), OperatingPoint()))
    assert told.params == {"C": 2.0}
    assert told.tags["modelway.data"] == "loans@3"
    assert told.tags["modelway.trigger"] == "drift"
    assert told.tags["modelway.accepted"] == "false"
    assert told.tags["modelway.gate.baseline"] == "fail: no better than guessing"
    assert told.metrics["holdout.roc_auc.low"] == 0.7
    assert told.metrics["rows.train"] == training_set.train_rows
    assert b"scikit-learn" in told.files["environment.json"]
    assert b"def build" in told.files["code.json"]


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("binary", {"roc.svg", "precision_recall.svg", "calibration.svg", "importance.svg"}),
        ("multiclass", {"roc.svg", "precision_recall.svg", "calibration.svg", "importance.svg"}),
        ("regression", {"predictions.svg", "residuals.svg", "importance.svg"}),
    ],
)
def test_the_figures_of_each_task_are_drawn_and_equal_when_drawn_again(store, project, task, names):
    source = (
        MODEL
        if task != "regression"
        else MODEL.replace('LogisticRegression(C=params.get("C", 1.0))', "Ridge()").replace(
            "import LogisticRegression", "import Ridge"
        )
    )
    spec = spec_of(task)
    training_set = prepare(rows(task=task), spec, COLUMNS, (), START, store)
    fitted = fit(training_set, spec, project(source), store)
    made = holdout_figures(training_set, fitted, store)
    assert set(made) == names
    assert all(b"<svg" in data for data in made.values())
    assert holdout_figures(training_set, replace(fitted), store) == made
