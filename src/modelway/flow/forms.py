"""What answers for a version: an ONNX graph in this process, the fitted estimator in a process of its own, or other versions.

Nobody else asks which it is: all are a `Run`. A challenger's graph answers in a process of its own too, until it is champion, and
so does every graph that is asked off line.
Imports no library for tables or training, since the server comes by here.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from modelway.errors import StateError
from modelway.flow.composed import open_composed
from modelway.isolation.live import Launch
from modelway.isolation.offline import Offline
from modelway.isolation.process import PythonProcess
from modelway.records import Column, Composition, Graph, Limits, Manifest, PythonModel, loads
from modelway.serving import graph_child
from modelway.serving.onnxruntime import Run, open_session
from modelway.state import runs
from modelway.workspace import Workspace

_GRAPH_CHILD = Path(graph_child.__file__)
_PATIENT_SECONDS = 600.0
"""What a call may take that no client waits for: it has thousands of rows."""
_CHALLENGER_SECONDS, _CHALLENGER_MEGABYTES, _LOADED = 1.0, 1024, 8
"""What a challenger's graph may take: seconds, and beyond them the promised latency for each row; megabytes, and beyond them so
many times its size."""


def open_run(workspace: Workspace, of: Manifest | Graph, name: str, *, patient: bool = False) -> Run:
    """Numbers and words → scores of a version, named `name` in errors; `patient`: for many rows, and with no client waiting.

    Then a graph is asked in a process of its own: nobody knows yet what it does there, and the control loop has other models.
    A Python model answers clients on the libraries that it was proved with and no others; to be compared with a candidate, on
    those that are there: else no run could replace it after an upgrade.

    Raises EngineError when it cannot be loaded, GraphError when that takes its process along, StateError for an estimator that no
    run of this workspace fitted.
    """
    stands = workspace.artifacts.get(of.graph)
    if of.form == "graph":
        return open_offline(workspace, lambda: stands, of.columns, name) if patient else open_session(stands, name)
    if of.form == "composed":
        return open_composed(workspace, loads(Composition, stands), open_run, patient=patient)
    return open_python(workspace, loads(PythonModel, stands), name, patient=patient)


def open_offline(workspace: Workspace, graph: Callable[[], bytes], columns: Sequence[Column], name: str) -> Offline:
    """The process of a graph that is asked before anybody hears it, within the `candidates` of stack.yaml. Raises EngineError."""
    return Offline(name, graph, _GRAPH_CHILD, columns, limits_of(workspace), workspace.places.logs / "candidates.log")


def limits_of(workspace: Workspace) -> Limits:
    """What stack.yaml allows a candidate's graph."""
    allowed = workspace.stack.candidates
    return Limits(allowed.timeout.total_seconds(), allowed.memory)


def open_apart(workspace: Workspace, of: Manifest, name: str, row_seconds: float) -> PythonProcess:
    """The process of a challenger's graph: whatever becomes of it there, nobody else is hurt. Raises EngineError.

    `row_seconds`: the promised latency.
    """
    graph = workspace.artifacts.get(of.graph)
    megabytes = _CHALLENGER_MEGABYTES + _LOADED * len(graph) // 1_000_000
    asked = PythonModel(of.graph, of.columns, of.task, of.width, _CHALLENGER_SECONDS, megabytes)
    log = workspace.places.logs / f"challenger-{name}.log"
    return PythonProcess(
        Launch(
            name, asked, lambda: workspace.artifacts.get(of.graph), "", log, graph=_GRAPH_CHILD, row_seconds=row_seconds
        )
    )


def open_python(workspace: Workspace, model: PythonModel, name: str, *, patient: bool = False) -> PythonProcess:
    """The process of a Python model. Only a pickle that this workspace has made itself is ever loaded."""
    if not runs.fitted_here(workspace.database, model.estimator):
        raise StateError(
            f"the estimator of {name} was fitted by no run of this workspace: its pickle is not loaded",
            "train the model here: modelway run",
        )
    if patient:
        model = replace(model, seconds=max(model.seconds, _PATIENT_SECONDS), versions={})
    place = str(workspace.places.root / model.interpreter) if model.interpreter else ""
    log = workspace.places.logs / f"python-{name.replace(' ', '-')}.log"
    return PythonProcess(Launch(name, model, lambda: workspace.artifacts.get(model.estimator), place, log))
