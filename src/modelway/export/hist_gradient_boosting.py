"""scikit-learn's HistGradientBoosting: double thresholds, missing values and categories natively."""

from typing import Any

import numpy as np

from modelway.errors import ExportError
from modelway.export import scores, words
from modelway.export.block import Block, numbers
from modelway.export.forest import Forest, Tree
from modelway.export.graph import GraphBuilder


def classifier(graph: GraphBuilder, model: Any, columns: Block) -> str:
    raw = _raw(graph, model, columns)
    if len(model.classes_) > 2:
        return graph.op("Softmax", raw, axis=1)
    return scores.binary(graph, graph.op("Sigmoid", raw))


def decision(graph: GraphBuilder, model: Any, columns: Block) -> str:
    return _raw(graph, model, columns)


def regressor(graph: GraphBuilder, model: Any, columns: Block) -> str:
    link = type(model._loss.link).__name__
    raw = _raw(graph, model, columns)
    if link == "IdentityLink":
        return raw
    if link == "LogLink":
        return graph.op("Exp", raw)
    raise ExportError(f"HistGradientBoostingRegressor has the loss {model.loss}", "use loss='squared_error'")


def _raw(graph: GraphBuilder, model: Any, columns: Block) -> str:
    forest = Forest()
    for iteration in model._predictors:
        for target, predictor in enumerate(iteration):
            forest.add(_tree(predictor), target)
    start = np.asarray(model._baseline_prediction, dtype=np.float64).ravel()
    return scores.plus(graph, forest.node(graph, numbers(graph, columns), len(start)), start)


def _tree(predictor: Any) -> Tree:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    sets = {
        int(node): _members(predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]])
        for node in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~leaf)
    }
    return Tree(
        left=np.where(leaf, 0, nodes["left"]).astype(np.int64),
        right=np.where(leaf, 0, nodes["right"]).astype(np.int64),
        leaf=leaf,
        feature=nodes["feature_idx"],
        split=nodes["num_threshold"],
        missing_left=nodes["missing_go_to_left"],
        value=nodes["value"],
        sets=sets,
    )


def _members(bits: np.ndarray) -> tuple[float, ...]:
    """The codes (0–255) whose bit is set in eight words of 32 bits."""
    return tuple(float(code) for code in range(256) if int(bits[code // 32]) >> (code % 32) & 1)


def encoded(graph: GraphBuilder, model: Any, columns: Block) -> Block:
    """The columns as the trees number them: with categories, their codes come first, then the numbers."""
    if model._preprocessor is None:
        return columns
    chosen = model._preprocessor._transformer_to_input_indices
    categories = tuple(columns[i] for i in chosen["encoder"])
    codes = words.ordinal(graph, model._preprocessor.named_transformers_["encoder"], categories)
    return codes + tuple(columns[i] for i in chosen["numerical"])
