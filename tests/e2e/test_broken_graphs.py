"""Teams bring graphs that hang, grow or die: their runs fail with that reason, and one control loop goes on with another model."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.broken import GRAPHS

from modelway import lifecycle
from modelway.control.loop import tick
from modelway.flow import answered, pairs
from modelway.flow import runs as records_of
from modelway.monitoring.alerts import open_alerts
from modelway.records import Trigger, Version, dumps
from modelway.registry import versions
from modelway.state import ledger, runs
from modelway.workspace import Workspace, open_workspace
from tests.support.projects import SPEC, bank

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
STACK = "candidates: {timeout: 3s, memory: 400}\n"
BROKEN = {
    "a-endless": ("endless", "the process of a-endless/model.onnx took longer than 3 s for 64 rows and was stopped"),
    "b-grows": ("80 GB", "the graph of b-grows/model.onnx needs more than 400 MB for one row"),
    "c-dies": ("dies", "the process of c-dies/model.onnx died of 64 rows (killed by signal 8)"),
}
MODEL = """\
from pathlib import Path

from modelway.training.brought import BroughtClassifier


def build(params):
    return BroughtClassifier(Path(__file__).with_name("model.onnx"), {"numbers": ["income", "debt"]})
"""


@pytest.fixture
def workspace(tmp_path: Path):
    root = bank(tmp_path, stack=STACK)
    for name, (kind, _) in BROKEN.items():
        project = root / "models" / name
        project.mkdir()
        job = "  job: {type: string, in: [office, trade, none, Self]}\n"
        spec = (
            SPEC.replace("model: loans", f"model: {name}")
            .replace(job, "")
            .replace("data:\n", "data:\n  ignore: [job]\n")
        )
        (project / "modelway.yaml").write_text(spec)
        (project / "model.py").write_text(MODEL)
        (project / "model.onnx").write_bytes(GRAPHS[kind](2))
    made = open_workspace(root)
    yield made
    made.close()


def asked(workspace: Workspace, model: str) -> str:
    """A run that automation asked for."""
    run = f"{model}-0001"
    runs.open_run(workspace.database, run, model, Trigger("schedule", "every 7d"), workspace.clock.now())
    return run


def test_the_loop_goes_on_and_tries_none_of_them_again(workspace):
    broken = {name: asked(workspace, name) for name in BROKEN}
    good = asked(workspace, "loans")
    for _ in range(2):
        tick(workspace, "one loop")
    for name, run in broken.items():
        done, problem = runs.get(workspace.database, run), BROKEN[name][1]
        assert (done.state, done.attempts, done.error) == ("failed", 1, problem)
        told = [one.reason for one in ledger.history(workspace.database, name) if one.action == "run_failed"]
        assert told == [f"GraphError: {problem}"]
    assert runs.get(workspace.database, good).state == "done"
    assert open_alerts(workspace.database, "loans") == ()
    version = versions.of_run(workspace.database, good)
    assert version is not None
    assert version.accepted, version.validation.verdicts
    _a_candidate_whose_graph_hangs_is_refused(workspace)


def _a_candidate_whose_graph_hangs_is_refused(workspace: Workspace) -> None:
    """As if its proof had not met the rows that it hangs on."""
    run = lifecycle.open_run(workspace, "loans", Trigger("manual", "another", "ann"))
    for step in ("ingest", "prepare", "train"):
        lifecycle.one_step(workspace, run, step)
    sound = records_of.record(workspace, "loans-0001", "export")
    hangs = replace(sound, graph=replace(sound.graph, graph=workspace.artifacts.put(GRAPHS["endless"](2))))
    runs.keep_step(workspace.database, run, "export", dumps(hangs).decode(), 0.0, None)
    version = lifecycle.run(workspace, run)
    rows = records_of.record(workspace, run, "prepare").holdout_rows
    problem = f"the process of {run} took longer than 3 s for {rows} rows and was stopped"
    assert not version.accepted
    assert [(one.gate, one.outcome, one.reason) for one in version.validation.verdicts] == [("graph", "fail", problem)]
    (refused,) = (one for one in ledger.history(workspace.database, "loans") if one.action == "refused")
    assert refused.reason == f"graph fail: {problem}"
    ledger.verify(workspace.database)
    _nor_does_it_hold_up_who_watches_it(workspace, version)


def _nor_does_it_hold_up_who_watches_it(workspace: Workspace, version: Version) -> None:
    """Had it been released by force: each look at it would ask for its scores on the holdout, and is told once that it has none."""
    spec, made = workspace.spec("loans"), records_of.record(workspace, version.run, "prepare")
    assert answered.holdout(workspace, spec, version) is None
    assert pairs._held_scores(workspace, "loans", version.number, made) is None
    began = time.monotonic()
    assert answered.holdout(workspace, spec, version) is None
    assert pairs._held_scores(workspace, "loans", version.number, made) is None
    assert time.monotonic() - began < 2
