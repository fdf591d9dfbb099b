"""PyTorch modules that skorch trained, by PyTorch's own exporter: the module in eval mode, then what skorch makes of its answer.

`torch.export` follows `forward` with a free number of rows, and refuses what depends on the data; nothing is traced. Modules
compute in single precision unless they were made double, and so do their graphs.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from onnx import TensorProto

from modelway.errors import ExportError
from modelway.export import stock
from modelway.export.block import Block, numbers
from modelway.export.graph import OPSET, GraphBuilder

FOREIGN = (*stock.FOREIGN, AssertionError)
"""What modules and PyTorch's exporter raise when they cannot."""
INPUTS = (("float32", TensorProto.FLOAT), ("float64", TensorProto.DOUBLE), ("int64", TensorProto.INT64))
"""What `forward` may take. scikit-learn's steps give float64, those told to give other types the rest."""
ASKED = (0.0, 1.0, 0.5)
"""Rows of these numbers are asked before the export: embeddings take them too."""
APART = 1e-3
ONE_TENSOR = (
    "write forward(self, x) for one tensor of all columns, with x.float() first (in columns of codes x[:, i].long()), and "
    "put a step that makes an array before the net, such as StandardScaler or ColumnTransformer"
)


def classifier(graph: GraphBuilder, model: Any, columns: Block) -> str:
    """NeuralNetClassifier, NeuralNetBinaryClassifier."""
    return _written(graph, model, columns, len(model.classes_))


def regressor(graph: GraphBuilder, model: Any, columns: Block) -> str:
    """NeuralNetRegressor."""
    return _written(graph, model, columns, 1)


def is_double(model: Any) -> bool:
    """Whether all numbers that the module has learned are in double precision."""
    kinds = {str(t.dtype) for t in model.module_.state_dict().values() if t.is_floating_point()}
    return kinds == {"torch.float64"}


def _written(graph: GraphBuilder, model: Any, columns: Block, answers: int) -> str:
    given = numbers(graph, columns)
    answering = _answering(model)
    kind, element = _taken(answering, len(columns))
    rows = _rows(kind, len(columns))
    _check_answers(answering, rows, answers)
    exported = _exported(answering, rows)
    _check_runs(exported, rows.numpy(), answers)
    made = graph.include(exported, "x", given if element == TensorProto.DOUBLE else graph.cast(given, element))[0]
    return graph.cast(graph.op("Reshape", made, graph.constant(np.array([-1, answers]))), TensorProto.DOUBLE)


def _answering(model: Any) -> Any:
    """A module from a tensor to what `predict_proba` gives."""
    import copy

    import torch

    after = model._get_predict_nonlinearity()
    flat = type(model).__name__ == "NeuralNetBinaryClassifier"
    trained = getattr(model.module_, "_orig_mod", model.module_)  # of torch.compile
    if str(model.device) not in ("cpu", "None"):
        trained = copy.deepcopy(trained).cpu()

    class Answering(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trained = trained

        def forward(self, x: Any) -> Any:
            made = self.trained(x)
            made = made[0] if isinstance(made, tuple) else made
            return after(made.reshape(-1) if flat else made)

    return Answering().eval()


def _taken(answering: Any, width: int) -> tuple[str, int]:
    """The first type that the module takes: double where it casts by itself, as Python gives it."""
    told: list[str] = []
    for kind, element in (INPUTS[1], INPUTS[0], INPUTS[2]):
        try:
            _asked(answering, _rows(kind, width))
        except FOREIGN as error:
            told.append(_first_line(error))
        else:
            return kind, element
    raise ExportError(f"its module does not take one tensor of {width} columns ({told[1]})", ONE_TENSOR)


def _rows(kind: str, width: int) -> Any:
    import torch

    return torch.tensor([[number] * width for number in ASKED], dtype=torch.float64).to(getattr(torch, kind))


def _asked(answering: Any, rows: Any) -> Any:
    import torch

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return answering(rows)


def _check_answers(answering: Any, rows: Any, answers: int) -> None:
    """One answer of the right width a row, and the same one among other rows."""
    together = _asked(answering, rows)
    shape, wanted = tuple(together.shape), (len(rows), answers)
    if shape != wanted and not (answers == 1 and shape == wanted[:1]):
        raise ExportError(
            f"its module gives {list(shape)} for {len(rows)} rows, where {list(wanted)} is wanted",
            "let the last layer have one output a class, or one in all for a regression and NeuralNetBinaryClassifier",
        )
    try:
        alone = np.concatenate([np.atleast_1d(_asked(answering, rows[i : i + 1]).numpy()) for i in range(len(rows))])
    except FOREIGN as error:
        raise ExportError(
            f"its module does not take a row alone ({_first_line(error)})",
            "keep the first dimension in forward: no squeeze() without a dimension, and BatchNorm in eval mode",
        ) from error
    if not np.allclose(together.numpy().reshape(alone.shape), alone, rtol=APART, atol=APART, equal_nan=True):
        raise ExportError(
            "its module answers a row alone otherwise than among others",
            "let no row look at the others (a mean over the batch), and draw no numbers at random outside of training",
        )


def _exported(answering: Any, rows: Any) -> Any:
    """The module as ONNX of one input `x`, in the opset of our graphs, with nothing in it that tells of this machine."""
    import onnx.inliner
    import torch

    try:
        with torch.no_grad(), _quiet():
            free = ({0: torch.export.Dim("rows")},)
            followed = torch.export.export(answering, (rows,), dynamic_shapes=free, strict=False)
            program = torch.onnx.export(
                followed, dynamo=True, opset_version=OPSET, input_names=["x"], external_data=False, verbose=False
            )
            model = onnx.inliner.inline_local_functions(program.model_proto)
    except ImportError as error:
        raise ExportError(
            f"PyTorch's exporter needs a package that is not there ({error})", "pip install 'modelway[torch]'"
        ) from error
    except FOREIGN as error:
        raise ExportError(
            f"PyTorch's exporter refuses its module ({_first_line(error)})",
            "let forward do the same for every row: torch.where in place of if and loops that depend on the data",
        ) from error
    for part in (*model.graph.node, *model.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    return model


def _check_runs(model: Any, rows: np.ndarray, answers: int) -> None:
    """Raises ExportError where it needs more than our graphs have, or where onnxruntime lacks a kernel for its precision."""
    import onnxruntime

    nodes = model.graph.node
    if any(node.domain for node in nodes) or any(a.HasField("g") for node in nodes for a in node.attribute):
        raise ExportError("its module needs operators outside the standard, or control flow", "use other layers")
    versions = {opset.domain: opset.version for opset in model.opset_import}
    if versions[""] != OPSET:
        raise ExportError(
            f"PyTorch's exporter gives opset {versions['']}, not {OPSET}", "pip install -U onnxscript torch"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        sizes = [session.run(None, {"x": some})[0].size for some in (rows, rows[:1])]
    except stock.runtime_errors() as error:
        raise ExportError(
            f"onnxruntime does not run its module ({_first_line(error)})",
            "use other layers; in double precision there are fewer (no GELU), so leave out .double()",
        ) from error
    if sizes != [len(rows) * answers, answers]:
        raise ExportError("its graph depends on the number of rows", "keep the first dimension in forward as it is")


@contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch tells of packages that it does not find, and of what it deprecates inside."""
    log = logging.getLogger("torch")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:200]
