"""Graphs as a team would bring them: out of skl2onnx with its defaults, and made by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def by_column(model: Any, rows: Any) -> bytes:
    """One input a column, labels and a ZipMap at the end: what skl2onnx writes of a pipeline that was fitted on a frame."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    kinds = [
        (name, StringTensorType([None, 1]) if rows[name].dtype == object else FloatTensorType([None, 1]))
        for name in rows
    ]
    made = to_onnx(model, initial_types=kinds, target_opset={"": 18, "ai.onnx.ml": 3})
    return bytes(made.SerializeToString())


def linear(
    weights: Sequence[Sequence[float]],
    *,
    element: int = TensorProto.FLOAT,
    activation: str = "Softmax",
    rows: Any = "rows",
    opset: int = 13,
    outputs: Mapping[str, int] | None = None,
) -> bytes:
    """`x` [rows, n] → `activation` of x · weights."""
    made = np.array(weights, dtype=helper.tensor_dtype_to_np_dtype(element))
    more = {"axis": 1} if activation == "Softmax" else {}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["raw"]),
        helper.make_node(activation, ["raw"], ["out"], **more),
    ]
    told = outputs or {"out": made.shape[1]}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", element, [rows, made.shape[0]])],
        [helper.make_tensor_value_info(name, element, ["rows", width]) for name, width in told.items()],
        [numpy_helper.from_array(made, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
