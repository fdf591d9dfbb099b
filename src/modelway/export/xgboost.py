"""XGBoost, read from its own JSON: single precision throughout, in the order of operations of the library.

XGBoost rounds a row to float32, sends x < threshold left, and adds leaves up in float32, the base score first. The graph
does the same, so that margins are equal bit for bit; only the exponential of a link may be one float32 step away.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto

from modelway.errors import ExportError
from modelway.export.block import Block, numbers
from modelway.export.forest import Forest, Tree
from modelway.export.graph import GraphBuilder

LOGISTIC = {"binary:logistic", "reg:logistic"}
EXPONENTIAL = {"count:poisson", "reg:gamma", "reg:tweedie"}
IDENTITY = {
    *("reg:squarederror", "reg:linear", "reg:squaredlogerror", "reg:pseudohubererror", "reg:absoluteerror"),
    "reg:quantileerror",
}
LARGEST = 88.7
"""Beyond this XGBoost takes no exponential in its logistic function."""
CATEGORIES = float(2**24)
"""XGBoost takes codes from 0 to below this as categories."""

_OBJECTIVES = f"use one of binary:logistic, multi:softprob, multi:softmax, {', '.join(sorted(IDENTITY | EXPONENTIAL))}"


@dataclass(frozen=True, slots=True)
class _Read:
    """A model as XGBoost writes it: the trees that it uses, the group of each, and the start of each group's sum."""

    trees: tuple[Tree, ...]
    groups: tuple[int, ...]
    start: np.ndarray
    objective: str
    categorical: frozenset[int]


def classifier(graph: GraphBuilder, model: Any, columns: Block) -> str:
    """XGBClassifier, XGBRFClassifier."""
    read = _read(model)
    margin = _margin(graph, model, read, columns)
    if read.objective == "binary:logistic":
        positive = _logistic(graph, margin)
        one = graph.constant(np.float32(1))
        return _wide(graph, graph.op("Concat", graph.op("Sub", one, positive), positive, axis=1))
    if read.objective in ("multi:softprob", "multi:softmax"):
        return _wide(graph, _softmax(graph, margin))
    raise ExportError(f"XGBoost has the objective {read.objective}, which gives no probabilities", _OBJECTIVES)


def regressor(graph: GraphBuilder, model: Any, columns: Block) -> str:
    """XGBRegressor, XGBRFRegressor."""
    read = _read(model)
    if len(read.start) != 1:
        raise ExportError(f"XGBoost has {len(read.start)} outputs", "train one model for each target or quantile")
    margin = _margin(graph, model, read, columns)
    if read.objective in LOGISTIC:
        return _wide(graph, _logistic(graph, margin))
    if read.objective in EXPONENTIAL:
        return _wide(graph, _exponential(graph, margin))
    return _wide(graph, margin)


def thresholds(model: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Features and thresholds of the numeric splits, tree by tree; empty where the model is not read (`regressor` says why)."""
    try:
        trees = _read(model).trees
    except ExportError:
        return []
    found = []
    for tree in trees:
        numeric = ~tree.leaf & ~np.isin(np.arange(len(tree.leaf)), list(tree.sets))
        found.append((tree.feature[numeric], np.nextafter(tree.split[numeric], np.float32(np.inf))))
    return found


def _margin(graph: GraphBuilder, model: Any, read: _Read, columns: Block) -> str:
    """float[N, groups]."""
    values = graph.cast(numbers(graph, columns), TensorProto.FLOAT)
    marker = np.float32(model.missing)
    if not np.isnan(marker):
        gone = graph.op("Equal", values, graph.constant(marker))
        values = graph.op("Where", gone, graph.constant(np.float32("nan")), values)
    if read.categorical:
        mask = graph.constant(np.array([[index in read.categorical for index in range(len(columns))]]))
        values = graph.op("Where", mask, graph.op("Floor", values), values)
    forest, none = Forest(), np.zeros(1, dtype=np.int64)
    for group, start in enumerate(read.start):
        forest.add(Tree(none, none, none == 0, none, none + 0.0, none, np.array([start])), group)
    for tree, group in zip(read.trees, read.groups, strict=True):
        forest.add(tree, group)
    return forest.node(graph, values, len(read.start), np.float32)


def _wide(graph: GraphBuilder, tensor: str) -> str:
    return graph.cast(tensor, TensorProto.DOUBLE)


def _exponential(graph: GraphBuilder, tensor: str) -> str:
    """e^x, rounded once: as good as the C library's in single precision."""
    return graph.cast(graph.op("Exp", _wide(graph, tensor)), TensorProto.FLOAT)


def _logistic(graph: GraphBuilder, margin: str) -> str:
    one = graph.constant(np.float32(1))
    falling = graph.op("Min", graph.op("Neg", margin), graph.constant(np.float32(LARGEST)))
    return graph.op("Div", one, graph.op("Add", _exponential(graph, falling), one))


def _softmax(graph: GraphBuilder, margin: str) -> str:
    below = graph.op("Sub", margin, graph.op("ReduceMax", margin, graph.constant(np.array([1])), keepdims=1))
    raised = _exponential(graph, below)
    total = graph.op("ReduceSum", _wide(graph, raised), graph.constant(np.array([1])), keepdims=1)
    return graph.op("Div", raised, graph.cast(total, TensorProto.FLOAT))


def _read(model: Any) -> _Read:
    if callable(model.objective):
        raise ExportError("XGBoost has an objective of your own", _OBJECTIVES)
    learner = json.loads(model.get_booster().save_raw("json"))["learner"]
    objective, booster = learner["objective"]["name"], learner["gradient_booster"]
    if booster["name"] not in ("gbtree", "dart"):
        raise ExportError(f"XGBoost has the booster {booster['name']}", "use booster='gbtree', or a linear model")
    inner = booster["gbtree"]["model"] if booster["name"] == "dart" else booster["model"]
    if (inner.get("cats") or {}).get("enc"):
        raise ExportError(
            "XGBoost was trained on columns of pandas categories",
            "encode them first, with OneHotEncoder or OrdinalEncoder",
        )
    if any(int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in inner["trees"]):
        raise ExportError("XGBoost has trees with several outputs", "use multi_strategy='one_output_per_tree'")
    count = inner["iteration_indptr"][_rounds(model, len(inner["iteration_indptr"]) - 1)]
    weights = booster["weight_drop"] if booster["name"] == "dart" else [1.0] * count
    made = [_tree(tree, np.float32(w)) for tree, w in zip(inner["trees"][:count], weights[:count], strict=True)]
    sets = {int(tree.feature[node]) for tree in made for node in tree.sets}
    groups = max(int(learner["learner_model_param"]["num_class"]), int(learner["learner_model_param"]["num_target"]), 1)
    groups = max(groups, 1 + max(inner["tree_info"], default=0))
    return _Read(
        trees=tuple(made),
        groups=tuple(inner["tree_info"][:count]),
        start=_start(objective, learner["learner_model_param"]["base_score"], groups),
        objective=objective,
        categorical=frozenset(sets),
    )


def _rounds(model: Any, trained: int) -> int:
    """How many rounds count: up to the best one where training was stopped early."""
    try:
        return int(model.best_iteration) + 1
    except AttributeError:
        return trained


def _start(objective: str, text: str, groups: int) -> np.ndarray:
    """float32[groups]: the base score, given on the scale of the answers, on the scale of the margin."""
    base = np.array([float(word) for word in text.strip("[]").split(",")], dtype=np.float32)
    base = np.repeat(base, groups) if len(base) == 1 else base
    one = np.float32(1)
    if objective in LOGISTIC:
        return np.asarray(-_log(one / base - one))
    if objective in EXPONENTIAL:
        return _log(base)
    if objective in IDENTITY or objective.startswith("multi:soft"):
        return base
    raise ExportError(f"XGBoost has the objective {objective}", _OBJECTIVES)


def _log(values: np.ndarray) -> np.ndarray:
    """The logarithm in double, rounded once (NumPy's own in single precision may be one step away from the C library's)."""
    return np.log(values.astype(np.float64)).astype(np.float32)


def _tree(tree: dict[str, Any], weight: np.float32) -> Tree:
    """x < t in single precision is x ≤ the number before t. Categories of a set go right, so such a node is turned round."""
    left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
    condition = np.array(tree["split_conditions"], dtype=np.float32)
    default_left = np.array(tree["default_left"], dtype=np.int64)
    sets = _sets(tree)
    turned = np.isin(np.arange(len(left)), list(sets))
    leaf = left == -1
    return Tree(
        left=np.where(leaf, 0, np.where(turned, right, left)),
        right=np.where(leaf, 0, np.where(turned, left, right)),
        leaf=leaf,
        feature=np.array(tree["split_indices"]),
        split=np.where(turned, np.float32(0), np.nextafter(condition, np.float32(-np.inf))),
        missing_left=np.where(turned, 1 - default_left, default_left),
        value=condition * weight,
        sets=sets,
    )


def _sets(tree: dict[str, Any]) -> dict[int, tuple[float, ...]]:
    parts: Sequence[tuple[int, int, int]] = list(
        zip(tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True)
    )
    return {node: tuple(float(c) for c in tree["categories"][first : first + size]) for node, first, size in parts}
