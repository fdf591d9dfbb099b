"""Everything else through skl2onnx, one step at a time; in double where its operators exist, else in float32.

The stock converter may be silently wrong, so what it made is marked "single" and stands or falls with the parity gate.
"""

import warnings
from typing import Any

import numpy as np
from onnx import TensorProto

from modelway.errors import ExportError
from modelway.export.block import Block, block, joined
from modelway.export.graph import GraphBuilder

TARGET = {"": 21, "ai.onnx.ml": 3}
FOREIGN = (RuntimeError, TypeError, ValueError, NotImplementedError, AttributeError, KeyError, NameError, IndexError)
"""What the converter raises when it cannot: it has no error class of its own."""


NEIGHBOURS = ("KNeighbors", "RadiusNeighbors", "KNNImputer", "LocalOutlierFactor")
"""Of rows that lie nearly equally far the converter finds other ones: wrong on ordinary rows which no gate meets."""
TEXT = ("CountVectorizer", "TfidfVectorizer", "HashingVectorizer", "FeatureHasher", "DictVectorizer")


def transformed(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    """The columns that leave a transformer which we do not write ourselves."""
    model, tensor = _converted(graph, step, columns)
    made = graph.include(model, "x", tensor)[0]
    width = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value or _width(step, columns)
    return block(graph.cast(made, TensorProto.DOUBLE), "number", [None] * width)


def scored(graph: GraphBuilder, model: Any, columns: Block) -> str:
    """The scores of a model which we do not write ourselves: double[N, k]."""
    if (outputs := getattr(model, "n_outputs_", 1)) != 1:
        raise ExportError(f"it has {outputs} targets", "train one model for each target")
    if hasattr(model, "score_samples") and not hasattr(model, "predict_proba"):
        raise ExportError("no exact graph is known for it", "use IsolationForest")
    converted, tensor = _converted(graph, model, columns)
    made = graph.include(converted, "x", tensor)
    classes = len(model.classes_) if hasattr(model, "classes_") else 1
    return graph.op("Reshape", graph.cast(made[-1], TensorProto.DOUBLE), graph.constant(np.array([-1, classes])))


def _converted(graph: GraphBuilder, step: Any, columns: Block) -> tuple[Any, str]:
    if type(step).__name__.startswith(NEIGHBOURS):
        raise ExportError(
            "the stock converter finds other neighbours where distances are nearly equal",
            "use a model of docs/explanation/exact-export.md, such as HistGradientBoosting",
        )
    if type(step).__name__ in TEXT:
        raise ExportError(
            "it parts text by a regular expression and by Unicode's rules for letters, which ONNX has not",
            "encode whole words, with OneHotEncoder or TargetEncoder, or compute what matters in the text before the data "
            "reach modelway",
        )
    kinds = {slot.kind for slot in columns}
    if len(kinds) > 1:
        raise ExportError("numbers and words reach it together", "use a ColumnTransformer to part them")
    tensor = joined(graph, columns)
    if kinds == {"word"}:
        return _convert(step, len(columns), TensorProto.STRING), tensor
    try:
        return _convert(step, len(columns), TensorProto.DOUBLE), tensor
    except ExportError:
        return _convert(step, len(columns), TensorProto.FLOAT), graph.cast(tensor, TensorProto.FLOAT)


def _convert(step: Any, width: int, element: int) -> Any:
    """The step as a model of its own that onnxruntime loads and runs."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    foreign: tuple[type[Exception], ...] = (*FOREIGN, *runtime_errors())
    kind = {TensorProto.DOUBLE: DoubleTensorType, TensorProto.FLOAT: FloatTensorType}.get(element, StringTensorType)
    options = {id(step): {"zipmap": False}} if hasattr(step, "predict_proba") else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = convert_sklearn(
                step, initial_types=[("x", kind([None, width]))], target_opset=TARGET, options=options
            )
            _run_once(model, width, element)
    except foreign as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ExportError(
            f"no exact graph is known for it, and the stock converter refuses ({lines[0][:200]})",
            "use a step of docs/explanation/exact-export.md, or compute this column as a feature in modelway.yaml",
        ) from error
    if len(model.functions) or any(node.domain not in ("", "ai.onnx.ml") for node in model.graph.node):
        raise ExportError("the stock converter needs operators outside the standard", "use another step")
    return model


def runtime_errors() -> tuple[type[Exception], ...]:
    """onnxruntime's exceptions: they share no base class below Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented", "RuntimeException")
    return tuple(getattr(state, name) for name in names)


def _run_once(model: Any, width: int, element: int) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    row = {
        TensorProto.DOUBLE: np.zeros((1, width)),
        TensorProto.FLOAT: np.zeros((1, width), dtype=np.float32),
        TensorProto.STRING: np.full((1, width), "", dtype=object),
    }[element]
    onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {"x": row})


def _width(step: Any, columns: Block) -> int:
    if hasattr(step, "get_feature_names_out"):
        return len(step.get_feature_names_out())
    return len(columns)
