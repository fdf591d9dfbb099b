"""Versions that are broken in every way that is known: graphs, and estimators that answer in a process of their own."""

from collections.abc import Callable, Mapping

import cloudpickle
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def constant(width: int, value: float, columns: int = 2, *, twice: bool = False) -> bytes:
    """Every score is `value`; `twice`: two rows for each that was asked."""
    return _graph(width, [*_filled(columns, value, "made"), _concat("made", "scores", 2 if twice else 1)])


def raising(width: int) -> bytes:
    """Asks for a row that is not there."""
    nodes = [
        *_filled(2, 0.5, "made"),
        helper.make_node("Add", ["count", "beyond"], ["place"]),
        helper.make_node("Gather", ["made", "place"], ["scores_"], axis=0),
        helper.make_node("Add", ["made", "scores_"], ["scores"]),
    ]
    return _graph(width, nodes, beyond=np.array([1000], dtype=np.int64))


def huge(width: int) -> bytes:
    """Wants 80 GB for a moment."""
    nodes = [
        *_filled(2, 0.5, "made"),
        helper.make_node("Mul", ["count", "many"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["large"], value=_value(0.0)),
        helper.make_node("ReduceMax", ["large"], ["none"], keepdims=0),
        helper.make_node("Add", ["made", "none"], ["scores"]),
    ]
    return _graph(width, nodes, many=np.array([10**10], dtype=np.int64))


def dying(width: int) -> bytes:
    """Divides the least whole number by −1: the processor stops the process for it, and ONNX Runtime does not look before."""
    nodes = [
        *_filled(2, 0.5, "made"),
        helper.make_node("Add", ["made", "least"], ["all"]),
        helper.make_node("Cast", ["all"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Div", ["whole", "minus"], ["divided"]),
        helper.make_node("Cast", ["divided"], ["scores"], to=TensorProto.DOUBLE),
    ]
    return _graph(width, nodes, least=np.array([-(2.0**63)]), minus=np.array([-1], dtype=np.int64))


def turning(width: int, turns: int) -> bytes:
    """Goes round so many times, and then answers 0.5."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Sqrt", ["carried"], ["rooted"]),
            helper.make_node("Mul", ["rooted", "rooted"], ["next"]),
        ],
        "turn",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.DOUBLE, None),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.DOUBLE, None),
        ],
    )
    nodes = [
        *_filled(2, 0.5, "made"),
        helper.make_node("Loop", ["turns", "yes", "made"], ["turned"], body=body),
        helper.make_node("Clip", ["turned", "low", "high"], ["scores"]),
    ]
    return _graph(
        width, nodes, turns=np.array(turns, dtype=np.int64), yes=np.array(True), low=np.array(0.4), high=np.array(0.6)
    )


GRAPHS: Mapping[str, Callable[[int], bytes]] = {
    "NaN": lambda width: constant(width, float("nan")),
    "wrong width": lambda width: constant(width, 0.3, 3),
    "wrong rows": lambda width: constant(width, 0.5, twice=True),
    "no probability": lambda width: constant(width, 7.0),
    "raises": raising,
    "80 GB": huge,
    "dies": dying,
    "endless": lambda width: turning(width, 10**12),
    "no graph": lambda width: b"no graph at all",
}
"""By kind: the number of columns → the graph."""

_CODE = """
import ctypes, os
import numpy as np

class Broken:
    classes_ = np.array([0, 1])
    asked = 0

    def predict_proba(self, rows):
        self.asked += 1
        made = np.full((len(rows), 2), 0.5)
        return made if self.asked <= {after} else self.breaks(rows, made)

    def breaks(self, rows, made):
        {breaks}
"""
_BREAKS = {
    "raises": "raise ValueError('no')",
    "NaN": "return made * np.nan",
    "wrong width": "return np.full((len(rows), 3), 1 / 3)",
    "no probability": "return made * -9",
    "aborts": "os.abort()",
    "segfault": "ctypes.string_at(0)",
    "exits": "os._exit(0)",
    "grows": "self.kept = getattr(self, 'kept', []) + [np.ones(8_000_000)]; return made",
}
ESTIMATORS = tuple(_BREAKS)


def estimator(kind: str, after: int = 0) -> bytes:
    """A pickled estimator of a kind, which answers well so many times before."""
    space: dict[str, object] = {"__name__": "of_a_user"}
    exec(_CODE.format(after=after, breaks=_BREAKS[kind]), space)
    broken = space["Broken"]
    assert isinstance(broken, type)
    return bytes(cloudpickle.dumps(broken()))


def _filled(columns: int, value: float, name: str) -> list[onnx.NodeProto]:
    """Nodes that make [rows, columns] of one value."""
    return [
        helper.make_node("Shape", ["numbers"], ["count"], start=0, end=1),
        helper.make_node(
            "Constant", [], ["columns"], value=numpy_helper.from_array(np.array([columns], dtype=np.int64))
        ),
        helper.make_node("Concat", ["count", "columns"], ["asked"], axis=0),
        helper.make_node("ConstantOfShape", ["asked"], [name], value=_value(value)),
    ]


def _concat(name: str, to: str, times: int) -> onnx.NodeProto:
    return helper.make_node("Concat", [name] * times, [to], axis=0)


def _value(value: float) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array([value], dtype=np.float64))


def _graph(width: int, nodes: list[onnx.NodeProto], **held: np.ndarray) -> bytes:
    graph = helper.make_graph(
        nodes,
        "broken",
        [helper.make_tensor_value_info("numbers", TensorProto.DOUBLE, [None, width])],
        [helper.make_tensor_value_info("scores", TensorProto.DOUBLE, None)],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    )
