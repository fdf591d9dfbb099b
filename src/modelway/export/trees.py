"""scikit-learn's DecisionTree, RandomForest, ExtraTrees, GradientBoosting and IsolationForest.

All of them round their input to float32 before they compare it with thresholds in double: so does the graph.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from onnx import TensorProto

from modelway.errors import ExportError
from modelway.export import scores
from modelway.export.block import Block, numbers
from modelway.export.forest import Forest, Tree
from modelway.export.graph import GraphBuilder


def forest_classifier(graph: GraphBuilder, model: Any, columns: Block) -> str:
    """The mean over the trees of each leaf's class shares (DecisionTree: a forest of one)."""
    trees = _fitted_trees(model)
    features, classes = _single(graph, columns), len(model.classes_)
    forest = Forest()
    if classes == 2:
        for tree in trees:
            forest.add(_tree(tree, tree.value[:, 0, 1]))
        return scores.binary(graph, _mean(graph, forest.node(graph, features), len(trees)))
    tables = []
    for target, tree in enumerate(trees):
        leaves = tree.children_left == -1
        forest.add(_tree(tree, np.cumsum(leaves) - 1.0 + forest.leaves), target)
        tables.append(tree.value[leaves, 0, :])
    reached = graph.cast(forest.node(graph, features, len(trees)), TensorProto.INT64)
    shares = graph.op("Gather", graph.constant(np.concatenate(tables)), reached, axis=0)
    total = graph.op("ReduceSum", shares, graph.constant(np.array([1])), keepdims=0)
    return _mean(graph, total, len(trees))


def forest_regressor(graph: GraphBuilder, model: Any, columns: Block) -> str:
    forest, trees = Forest(), _fitted_trees(model)
    for tree in trees:
        forest.add(_tree(tree, tree.value[:, 0, 0]))
    return _mean(graph, forest.node(graph, _single(graph, columns)), len(trees))


def boosting_classifier(graph: GraphBuilder, model: Any, columns: Block) -> str:
    raw = _boosted(graph, model, columns)
    if len(model.classes_) > 2:
        return graph.op("Softmax", raw, axis=1)
    return scores.binary(
        graph, graph.op("Sigmoid", scores.times(graph, raw, 2.0 if model.loss == "exponential" else 1.0))
    )


def boosting_decision(graph: GraphBuilder, model: Any, columns: Block) -> str:
    return _boosted(graph, model, columns)


def boosting_regressor(graph: GraphBuilder, model: Any, columns: Block) -> str:
    return _boosted(graph, model, columns)


def isolation(graph: GraphBuilder, model: Any, columns: Block) -> str:
    """IsolationForest: `−score_samples`, in (0, 1], the higher the odder (Liu, Ting and Zhou 2008)."""
    forest, count = Forest(), len(model.estimators_)
    lengths = zip(model._decision_path_lengths, model._average_path_length_per_tree, strict=True)
    for member, features, (passed, below) in zip(model.estimators_, model.estimators_features_, lengths, strict=True):
        tree = _tree(member.tree_, passed + below - 1.0)
        forest.add(replace(tree, feature=np.asarray(features)[np.maximum(tree.feature, 0)]))
    depth = forest.node(graph, _single(graph, columns))
    usual = count * _average_path_length(model._max_samples)
    shares = (
        graph.op("Div", depth, graph.constant(np.float64(usual)))
        if usual
        else graph.op("Exp", scores.times(graph, depth, 0.0))
    )
    return graph.op("Pow", graph.constant(np.float64(2)), graph.op("Neg", shares))


def _average_path_length(rows: int) -> float:
    """Of an unsuccessful search in a binary tree of so many rows."""
    if rows <= 2:
        return float(max(rows - 1, 0))
    return float(2.0 * (np.log(rows - 1.0) + np.euler_gamma) - 2.0 * (rows - 1.0) / rows)


def _boosted(graph: GraphBuilder, model: Any, columns: Block) -> str:
    if not (model.init_ == "zero" or type(model.init_).__name__ in ("DummyClassifier", "DummyRegressor")):
        raise ExportError(
            f"{type(model).__name__} starts from another model (init={type(model.init_).__name__})",
            "leave init out, or set init='zero'",
        )
    forest = Forest()
    for stage in model.estimators_:
        for target, member in enumerate(stage):
            tree = member.tree_
            forest.add(_tree(tree, tree.value[:, 0, 0] * model.learning_rate), target)
    start = model._raw_predict_init(np.zeros((1, model.n_features_in_), dtype=np.float32))[0]
    return scores.plus(graph, forest.node(graph, _single(graph, columns), len(start)), start)


def _fitted_trees(model: Any) -> list[Any]:
    if model.n_outputs_ != 1:
        raise ExportError(f"{type(model).__name__} has {model.n_outputs_} targets", "train one model for each target")
    return [member.tree_ for member in getattr(model, "estimators_", [model])]


def _tree(tree: Any, value: np.ndarray) -> Tree:
    leaf = tree.children_left == -1
    return Tree(
        left=np.where(leaf, 0, tree.children_left),
        right=np.where(leaf, 0, tree.children_right),
        leaf=leaf,
        feature=tree.feature,
        split=tree.threshold,
        missing_left=tree.missing_go_to_left,
        value=value,
    )


def _mean(graph: GraphBuilder, total: str, count: int) -> str:
    return total if count == 1 else graph.op("Div", total, graph.constant(np.float64(count)))


def _single(graph: GraphBuilder, columns: Block) -> str:
    return graph.cast(graph.cast(numbers(graph, columns), TensorProto.FLOAT), TensorProto.DOUBLE)
