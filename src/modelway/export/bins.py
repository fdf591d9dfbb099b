"""KBinsDiscretizer and Binarizer: comparisons only, so equal to the last bit."""

from typing import Any

import numpy as np
from onnx import TensorProto

from modelway.export.block import Block, block, held, numbers
from modelway.export.graph import GraphBuilder
from modelway.export.intervals import places


def kbins(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    """KBinsDiscretizer of every strategy and encoding: the outermost edges do not bound their bins."""
    if step.dtype == np.float32:
        single = graph.cast(graph.cast(numbers(graph, columns), TensorProto.FLOAT), TensorProto.DOUBLE)
        columns = held(columns, single)
    found = places(graph, columns, [np.asarray(edges)[1:-1] for edges in step.bin_edges_])
    if step.encode == "ordinal":
        return block(found, "number", [None] * len(columns))
    widths = [int(width) for width in step.n_bins_]
    spread = graph.op("Gather", found, graph.constant(np.repeat(np.arange(len(widths)), widths)), axis=1)
    hot = graph.op("Equal", spread, graph.row(np.concatenate([np.arange(width) for width in widths])))
    return block(graph.cast(hot, TensorProto.DOUBLE), "number", [None] * sum(widths))


def binarizer(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    """1 above the threshold, else 0."""
    above = graph.op("Greater", numbers(graph, columns), graph.constant(np.float64(step.threshold)))
    return block(graph.cast(above, TensorProto.DOUBLE), "number", [None] * len(columns))
