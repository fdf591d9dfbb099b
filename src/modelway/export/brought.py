"""A graph that a team brings, made into one of ours: inputs `numbers` and `words`, output `scores`; in between it is as it was."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, compose, helper, numpy_helper

from modelway.export.build import Exported, Hints
from modelway.export.pipeline import Step
from modelway.files.onnx import Feed, TeamGraph
from modelway.records import Column

_OURS = "brought/"
_OPSET, _IR = 13, 7
"""For graphs of other domains alone, and those from before constants need no longer be inputs too."""
_TYPES = {
    "float": TensorProto.FLOAT,
    "double": TensorProto.DOUBLE,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
}


def export_brought(
    graph: TeamGraph, feeds: Sequence[Feed], columns: Sequence[Column], places: Sequence[int] | None
) -> Exported:
    """`places` are the graph's column of each class; () where it gives the second of two alone, None for a regression.

    Not yet proved: hand it to the parity gate, in single precision, since a float32 sum depends on how many rows come at once.
    """
    model = compose.add_prefix(onnx.load_model_from_string(graph.onnx), _OURS)
    held = _Held()
    before = [node for feed in feeds for node in _fed(feed, columns, held)]
    after = list(_scored(_OURS + graph.scores, places, held))
    inputs = [
        helper.make_tensor_value_info(name, element, [None, count])
        for name, kind, element in (("numbers", "number", TensorProto.DOUBLE), ("words", "word", TensorProto.STRING))
        if (count := sum(column.kind == kind for column in columns))
    ]
    width = 1 if places is None else len(places) or 2
    whole = helper.make_graph(
        [*before, *model.graph.node, *after],
        "brought",
        inputs,
        [helper.make_tensor_value_info("scores", TensorProto.DOUBLE, [None, width])],
        [*model.graph.initializer, *held.tensors],
        value_info=list(model.graph.value_info),
    )
    whole.sparse_initializer.extend(model.graph.sparse_initializer)
    imports = list(model.opset_import)
    if not any(one.domain in ("", "ai.onnx") for one in imports):
        imports.append(helper.make_opsetid("", _OPSET))
    made = helper.make_model(whole, opset_imports=imports, functions=list(model.functions))
    made.ir_version = max(model.ir_version, _IR)
    step = Step("graph", "a graph that was brought", "single")
    return Exported(made.SerializeToString(deterministic=True), "single", (step,), Hints())


@dataclass(frozen=True, slots=True)
class _Held:
    """Constants of the nodes around the graph."""

    tensors: list[TensorProto] = field(default_factory=list)

    def __call__(self, values: Sequence[Any], kind: type[np.generic]) -> str:
        name = f"held_{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.array(values, dtype=kind), name))
        return name


def _fed(feed: Feed, columns: Sequence[Column], held: _Held) -> Iterator[NodeProto]:
    """From `numbers` or `words` to one input of the graph."""
    name, kind = _OURS + feed.input.name, feed.input.kind
    own = [column.name for column in columns if column.kind == kind]
    places = held([own.index(column) for column in feed.columns], np.int64)
    steps = [helper.make_node("Gather", ["words" if kind == "word" else "numbers", places], [f"{name}/taken"], axis=1)]
    if kind == "number":
        steps.append(helper.make_node("Cast", [f"{name}/taken"], [f"{name}/cast"], to=_TYPES[feed.input.element]))
    if feed.input.flat:
        steps.append(helper.make_node("Reshape", [steps[-1].output[0], held([-1], np.int64)], [name]))
    steps[-1].output[0] = name
    yield from steps


def _scored(scores: str, places: Sequence[int] | None, held: _Held) -> Iterator[NodeProto]:
    """From the graph's output to `scores`: by rows, in double, in the order of the classes."""
    yield helper.make_node("Cast", [scores], ["wide"], to=TensorProto.DOUBLE)
    if places:
        yield helper.make_node("Gather", ["wide", held(list(places), np.int64)], ["scores"], axis=1)
        return
    shape = held([-1, 1], np.int64)
    if places is None:
        yield helper.make_node("Reshape", ["wide", shape], ["scores"])
        return
    yield helper.make_node("Reshape", ["wide", shape], ["positive"])
    yield helper.make_node("Sub", [held([[1.0]], np.float64), "positive"], ["negative"])
    yield helper.make_node("Concat", ["negative", "positive"], ["scores"], axis=1)
