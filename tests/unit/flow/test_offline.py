"""A graph off line, with nobody behind it but the control loop: what hangs, grows or dies is told, and the loop goes on."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from benchmarks.broken import GRAPHS
from onnx import helper, numpy_helper

from modelway.errors import EngineError, GraphError
from modelway.flow.forms import open_offline
from modelway.isolation.offline import BLOCK, Offline
from modelway.records import Column
from modelway.serving.onnxruntime import open_session
from modelway.workspace import Workspace
from tests.support.running import until
from tests.unit.serving.made import graph_of, make_workspace

BROKEN = {
    "endless": r"the process of loans@2 took longer than 1 s for .* and was stopped",
    "80 GB": r"the graph of loans@2 needs more than 300 MB for one row",
    "dies": r"the process of loans@2 died of .* \(killed by signal 8\)",
}
"""By kind: what is told of it."""
STRICT = "candidates: {timeout: 1s, memory: 300}\n"


@pytest.fixture
def workspace(tmp_path: Path):
    made = make_workspace(tmp_path)
    made.places.stack.write_text("serving: {port: 0}\n" + STRICT)
    again = Workspace(made.places)
    made.close()
    yield again
    again.close()


def opened(workspace: Workspace, graph: bytes, width: int = 1) -> Offline:
    columns = [Column(f"x{n}", "number") for n in range(width)]
    return open_offline(workspace, lambda: graph, columns, "loans@2")


def test_many_rows_get_the_very_scores_that_the_graph_gives_here(workspace):
    graph = graph_of(3, 0.5)
    rows = np.random.default_rng(0).normal(size=(2 * BLOCK + 1, 3))
    apart, here = opened(workspace, graph, 3), open_session(graph, "loans@2")
    np.testing.assert_array_equal(apart(rows, [[]] * len(rows)), here(rows, [[]] * len(rows)))
    assert 0 < apart.way() < 5
    assert apart.way() == 0


@pytest.mark.parametrize("kind", BROKEN)
def test_what_takes_its_process_along_is_told_and_not_tried_again(kind, workspace):
    apart = opened(workspace, GRAPHS[kind](1))
    for _ in range(2):
        with pytest.raises(GraphError, match=BROKEN[kind]) as told:
            apart([[1.0]] * 3, [[]] * 3)
        assert not told.value.transient
    assert "candidates" in told.value.fix
    if kind != "80 GB":
        assert apart._process.pid is None
    apart.close()


def test_its_process_is_gone_with_whoever_opened_it(workspace):
    apart = opened(workspace, graph_of(1, 0.0))
    pid = apart._process.pid
    assert pid is not None
    del apart
    until(lambda: not Path(f"/proc/{pid}").exists(), what="the process of a candidate stays")


def test_a_block_that_is_too_much_at_once_is_halved(workspace):
    """1.6 MB a row: 400 rows are too many for 300 MB, and 50 are not."""
    graph = onnx.load_model_from_string(GRAPHS["80 GB"](1))
    graph.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array([200_000], dtype=np.int64), "many"))
    apart = opened(workspace, graph.SerializeToString())
    assert apart([[1.0]] * 400, [[]] * 400) == [[0.5, 0.5]] * 400
    apart.close()


def test_rows_that_a_graph_refuses_are_no_end_of_it(workspace):
    apart = opened(workspace, GRAPHS["raises"](1))
    for _ in range(2):
        with pytest.raises(EngineError, match="the graph of loans@2 failed on 2 rows") as told:
            apart([[1.0]] * 2, [[]] * 2)
        assert not isinstance(told.value, GraphError)
    with pytest.raises(EngineError, match="cannot be loaded"):
        opened(workspace, GRAPHS["no graph"](1))
    apart.close()


def test_one_that_dies_while_it_is_loaded_is_told(workspace):
    """Constants are computed when a graph is loaded."""
    nodes = [
        helper.make_node("Div", ["least", "minus"], ["divided"]),
        helper.make_node("Cast", ["divided"], ["one"], to=onnx.TensorProto.DOUBLE),
        helper.make_node("Add", ["numbers", "one"], ["scores"]),
    ]
    held = [numpy_helper.from_array(np.array(value), name) for name, value in (("least", -(2**63)), ("minus", -1))]
    shape = [helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, [None, 1]) for name in ("numbers", "scores")]
    graph = helper.make_graph(nodes, "g", shape[:1], shape[1:], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    with pytest.raises(GraphError, match=r"the process of loans@2 died while it was loading \(killed by signal 8\)"):
        opened(workspace, model.SerializeToString())
