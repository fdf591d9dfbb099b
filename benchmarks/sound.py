"""A workspace with a sound version that is made by hand in a moment: what benchmarks of releases begin with."""

from pathlib import Path

from onnx import TensorProto, helper

from modelway import lifecycle
from modelway.contracts.contract import contract_of, to_plain
from modelway.features.plan import plan_of
from modelway.records import Manifest, OperatingPoint, Trigger, Validation, dumps
from modelway.registry import versions
from modelway.state import runs
from modelway.workspace import Workspace, create_workspace, open_workspace

MODEL = "loans"
COLUMNS = ("x0", "x1", "x2")
_SPEC = """\
model: loans
task: binary
data: {source: applications, key: id, target: good, positive: "1"}
contract:
  id: {type: string}
  x0: {type: float}
  x1: {type: float}
  x2: {type: float}
  good: {type: int}
release: RELEASE
"""


def founded(root: Path, stack: str, release: str, more: str = "") -> Workspace:
    """A new workspace, with a version that is asked to be released; `more` of the spec."""
    create_workspace(root, stack).close()
    project = root / "models" / MODEL
    project.mkdir(parents=True)
    (project / "modelway.yaml").write_text(_SPEC.replace("RELEASE", release) + more)
    (project / "model.py").write_text("def build(params):\n    raise NotImplementedError\n")
    workspace = open_workspace(root)
    lifecycle.release(workspace, MODEL, pushed(workspace, "sound"), "ann", "the first")
    return workspace


def pushed(workspace: Workspace, run_id: str) -> int:
    """Another sound version; its number."""
    return registered(workspace, run_id, manifest_of(workspace, sound(run_id)))


def sound(name: str = "sound") -> bytes:
    """The sigmoid of the sum; `name` makes it another graph."""
    nodes = [
        helper.make_node("ReduceSum", ["numbers"], ["sum"], keepdims=1),
        helper.make_node("Sigmoid", ["sum"], ["one"]),
        helper.make_node("Sub", ["all", "one"], ["other"]),
        helper.make_node("Concat", ["other", "one"], ["scores"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("numbers", TensorProto.DOUBLE, [None, len(COLUMNS)])],
        [helper.make_tensor_value_info("scores", TensorProto.DOUBLE, None)],
        [helper.make_tensor("all", TensorProto.DOUBLE, [1, 1], [1.0])],
    )
    graph.node[0].input.append("axes")
    graph.initializer.append(helper.make_tensor("axes", TensorProto.INT64, [1], [1]))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(made.SerializeToString())


def manifest_of(workspace: Workspace, graph: bytes) -> Manifest:
    """A version of this graph."""
    spec = workspace.spec(MODEL)
    plan = plan_of(spec)
    put = workspace.artifacts.put
    return Manifest(
        model=MODEL,
        task="binary",
        graph=put(graph),
        columns=plan.columns,
        classes=("0", "1"),
        exactness="double",
        contract=to_plain(contract_of(spec)),
        features=plan.to_plain(),
        operating_point=OperatingPoint(),
        key="id",
        event_time="",
        entities=(),
        spec=put(dumps(spec.model_dump(mode="json", by_alias=True, exclude_unset=True))),
    )


def registered(workspace: Workspace, run_id: str, manifest: Manifest) -> int:
    """As a run would that found nothing wrong; the version's number."""
    database, now = workspace.database, workspace.clock.now()
    runs.open_run(database, run_id, MODEL, Trigger("manual", "a push"), now)
    digest = workspace.artifacts.put(dumps(manifest))
    made = versions.register(database, MODEL, run_id, digest, Validation((), (), OperatingPoint()), now)
    runs.finish(database, run_id, now)
    return made.number
