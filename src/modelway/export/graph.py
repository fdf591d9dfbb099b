"""A small builder of ONNX graphs: every method adds something and returns the name of its tensor."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx.compose
from onnx import TensorProto, helper, numpy_helper

from modelway.errors import ExportError

ML = "ai.onnx.ml"
OPSET = 21
IR_VERSION = 10
SUPERSEDED = {"TreeEnsembleClassifier", "TreeEnsembleRegressor"}
"""Operators of the stock converters that `ai.onnx.ml` 5 no longer has."""


class GraphBuilder:
    """Nodes, constants and inputs in the order in which they were asked for, so that equal calls give equal bytes."""

    def __init__(self) -> None:
        self._inputs: list[Any] = []
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._known: dict[tuple[Any, ...], str] = {}
        self._count = 0

    def input(self, name: str, element: int, width: int) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, element, [None, width]))
        return name

    def constant(self, value: Any) -> str:
        """A tensor of numbers; equal constants are stored once."""
        array = np.ascontiguousarray(value)
        key = (array.dtype.str, np.shape(value), array.tobytes())
        if key not in self._known:
            name = self.fresh("c")
            self._constants[name] = numpy_helper.from_array(array.reshape(np.shape(value)), name)
            self._known[key] = name
        return self._known[key]

    def row(self, values: Sequence[float] | np.ndarray) -> str:
        """double[1, n]: one value a column."""
        return self.constant(np.asarray(values, dtype=np.float64).reshape(1, -1))

    def words(self, values: Sequence[str]) -> str:
        """string[1, n]."""
        key = ("words", *values)
        if key not in self._known:
            name = self.fresh("c")
            self._constants[name] = word_tensor(values, [1, len(values)], name)
            self._known[key] = name
        return self._known[key]

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        return self.ops(kind, *inputs, outputs=1, domain=domain, **attributes)[0]

    def ops(self, kind: str, *inputs: str, outputs: int, domain: str = "", **attributes: Any) -> list[str]:
        """An operator with several outputs."""
        names = [self.fresh("t") for _ in range(outputs)]
        self._nodes.append(helper.make_node(kind, list(inputs), names, domain=domain, **attributes))
        return names

    def cast(self, tensor: str, element: int) -> str:
        return self.op("Cast", tensor, to=element)

    def include(self, model: Any, name: str, tensor: str) -> list[str]:
        """Another model's nodes, its only input `name` bound to our tensor; returns its output tensors in order."""
        prefix = self.fresh("s") + "_"
        graph = onnx.compose.add_prefix(model, prefix).graph
        self._constants |= {constant.name: constant for constant in graph.initializer}
        self._nodes.append(helper.make_node("Identity", [tensor], [prefix + name]))
        self._nodes += graph.node
        return [output.name for output in graph.output]

    def fresh(self, letter: str) -> str:
        self._count += 1
        return f"{letter}{self._count}"

    def finish(self, scores: str, width: int) -> bytes:
        """The model with the single output `scores` double[N, width]; nodes that it does not need are left out."""
        self._nodes.append(helper.make_node("Identity", [scores], ["scores"]))
        nodes = self._needed("scores")
        read = {name for node in nodes for name in node.input}
        graph = helper.make_graph(
            nodes,
            "modelway",
            self._inputs,
            [helper.make_tensor_value_info("scores", TensorProto.DOUBLE, [None, width])],
            [tensor for name, tensor in self._constants.items() if name in read],
        )
        model = helper.make_model(graph, opset_imports=_opsets(nodes), ir_version=IR_VERSION, producer_name="modelway")
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))

    def _needed(self, wanted: str) -> list[Any]:
        needed, kept = {wanted}, []
        for node in reversed(self._nodes):
            if needed.intersection(node.output):
                needed.update(node.input)
                kept.append(node)
        return kept[::-1]


def word_tensor(values: Sequence[str], shape: Sequence[int], name: str) -> Any:
    return helper.make_tensor(name, TensorProto.STRING, list(shape), [value.encode() for value in values])


def _opsets(nodes: Sequence[Any]) -> list[Any]:
    kinds = {node.op_type for node in nodes}
    if kinds & SUPERSEDED and "TreeEnsemble" in kinds:
        raise ExportError(
            "one graph cannot hold both our trees and those of the stock converter",
            "use one family of tree models in the pipeline",
        )
    return [helper.make_opsetid("", OPSET), helper.make_opsetid(ML, 4 if kinds & SUPERSEDED else 5)]
