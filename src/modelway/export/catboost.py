"""CatBoost, read from its own JSON: numbers rounded to float32, leaves in double, every usual objective.

Categories are refused: a CatBoost model keeps hashes of words and not the words, which no graph could look up.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto

from modelway.errors import ExportError
from modelway.export import scores
from modelway.export.block import Block, numbers
from modelway.export.forest import Forest, Tree
from modelway.export.graph import GraphBuilder

LOGISTIC = {"Logloss", "CrossEntropy"}
EXPONENTIAL = {"Poisson", "Tweedie"}
IDENTITY = {"RMSE", "MAE", "Quantile", "Huber", "MAPE", "LogCosh", "Expectile", "Lq"}

_OBJECTIVES = (
    f"use one of Logloss, CrossEntropy, MultiClass, MultiClassOneVsAll, {', '.join(sorted(IDENTITY | EXPONENTIAL))}"
)


@dataclass(frozen=True, slots=True)
class _Read:
    """A model as CatBoost writes it: the trees, once for each output."""

    trees: tuple[tuple[Tree, ...], ...]
    scale: float
    bias: np.ndarray
    loss: str


def classifier(graph: GraphBuilder, model: Any, columns: Block) -> str:
    read = _read(model)
    raw = _raw(graph, read, columns)
    if read.loss in LOGISTIC:
        return scores.binary(graph, scores.logistic(graph, raw))
    if read.loss == "MultiClass":
        return graph.op("Softmax", raw, axis=1)
    if read.loss == "MultiClassOneVsAll":
        return scores.logistic(graph, raw)
    raise ExportError(f"CatBoost has the loss {read.loss}, which gives no probabilities", _OBJECTIVES)


def regressor(graph: GraphBuilder, model: Any, columns: Block) -> str:
    read = _read(model)
    if len(read.bias) != 1:
        raise ExportError(f"CatBoost has {len(read.bias)} outputs", "train one model for each target or quantile")
    raw = _raw(graph, read, columns)
    if read.loss in EXPONENTIAL:
        return graph.op("Exp", raw)
    if read.loss in IDENTITY:
        return raw
    raise ExportError(f"CatBoost has the loss {read.loss}", _OBJECTIVES)


def thresholds(model: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Features and thresholds of the splits, tree by tree; empty where the model is not read (`regressor` says why)."""
    try:
        trees = _read(model).trees
    except ExportError:
        return []
    return [(tree.feature[~tree.leaf], tree.split[~tree.leaf]) for tree, *_ in trees]


def _raw(graph: GraphBuilder, read: _Read, columns: Block) -> str:
    """double[N, outputs]."""
    rounded = graph.cast(graph.cast(numbers(graph, columns), TensorProto.FLOAT), TensorProto.DOUBLE)
    forest = Forest()
    for copies in read.trees:
        for output, tree in enumerate(copies):
            forest.add(tree, output)
    made = forest.node(graph, rounded, len(read.bias))
    return scores.plus(graph, scores.times(graph, made, read.scale), read.bias)


def _read(model: Any) -> _Read:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        told = json.loads(path.read_text())
    _check(told["features_info"])
    loss = told["model_info"]["params"]["loss_function"]["type"]
    scale, bias = told["scale_and_bias"]
    places = {f["feature_index"]: f["flat_feature_index"] for f in told["features_info"]["float_features"]}
    right = {f["feature_index"]: f["nan_value_treatment"] == "AsTrue" for f in told["features_info"]["float_features"]}
    grown = [_symmetric(tree) for tree in told.get("oblivious_trees", ())] or [_grown(t) for t in told.get("trees", ())]
    trees = tuple(tuple(_tree(nodes, places, right)) for nodes in grown)
    outputs = max((len(copies) for copies in trees), default=1)
    start = np.asarray(bias, dtype=np.float64)
    return _Read(trees, float(scale), start if len(start) == outputs else np.repeat(start, outputs), loss)


def _check(features: Mapping[str, Any]) -> None:
    for kind, called in (
        ("categorical_features", "categories"),
        ("text_features", "texts"),
        ("embedding_features", "vectors"),
    ):
        if features.get(kind):
            names = ", ".join(str(f.get("feature_id") or f["flat_feature_index"]) for f in features[kind])
            raise ExportError(
                f"CatBoost takes {called} itself ({names}), of which its model keeps hashes only",
                "encode them first, with OneHotEncoder, OrdinalEncoder or TargetEncoder, and leave cat_features out",
            )


@dataclass(frozen=True, slots=True)
class _Node:
    """A split (`feature`, `border`, places of both children) or a leaf (`values`, one for each output)."""

    feature: int = 0
    border: float = 0.0
    left: int = 0
    right: int = 0
    values: tuple[float, ...] = ()


def _symmetric(tree: Mapping[str, Any]) -> list[_Node]:
    """A tree with one split a level; the first split decides the lowest bit of the leaf's number, so the last is the root."""
    splits = tree["splits"]
    depth, values = len(splits), tree["leaf_values"]
    outputs = len(values) >> depth
    nodes = [
        _Node(
            splits[depth - 1 - level]["float_feature_index"],
            splits[depth - 1 - level]["border"],
            2 * at + 1,
            2 * at + 2,
        )
        for level in range(depth)
        for at in range(2**level - 1, 2 ** (level + 1) - 1)
    ]
    leaves = (tuple(values[at * outputs : (at + 1) * outputs]) for at in range(2**depth))
    return nodes + [_Node(values=leaf) for leaf in leaves]


def _grown(tree: Mapping[str, Any]) -> list[_Node]:
    """A tree that was grown leaf by leaf or level by level."""
    nodes: list[_Node] = [_Node()]
    waiting = [(0, tree)]
    while waiting:
        at, branch = waiting.pop()
        if "split" not in branch:
            value = branch["value"]
            nodes[at] = _Node(values=tuple(value) if isinstance(value, list) else (value,))
            continue
        left = len(nodes)
        nodes[at] = _Node(branch["split"]["float_feature_index"], branch["split"]["border"], left, left + 1)
        nodes += [_Node(), _Node()]
        waiting += [(left, branch["left"]), (left + 1, branch["right"])]
    return nodes


def _tree(nodes: list[_Node], places: Mapping[int, int], nan_right: Mapping[int, bool]) -> Iterator[Tree]:
    """One tree for each output: x ≤ border goes left; missing values too, unless CatBoost takes them as the largest."""
    leaf = np.array([bool(node.values) for node in nodes])
    feature = np.array([0 if node.values else places[node.feature] for node in nodes])
    missing = np.array([0 if node.values else not nan_right[node.feature] for node in nodes], dtype=np.int64)
    for output in range(max(len(node.values) for node in nodes)):
        yield Tree(
            left=np.array([node.left for node in nodes]),
            right=np.array([node.right for node in nodes]),
            leaf=leaf,
            feature=feature,
            split=np.array([node.border for node in nodes]).astype(np.float32).astype(np.float64),
            missing_left=missing,
            value=np.array([node.values[output] if node.values else 0.0 for node in nodes]),
        )
