"""CatBoost, read from its own JSON: numbers rounded to float32, leaves in double, every usual objective.

Categories come as numbers by then (`catboost_words.py`): which of the words that trees split by, and target statistics.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto

from modelway.errors import ExportError
from modelway.export import catboost_words, scores
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
    found = []
    for tree, *_ in trees:
        numeric = ~tree.leaf & ~np.isin(np.arange(len(tree.leaf)), list(tree.sets))
        found.append((tree.feature[numeric], tree.split[numeric]))
    return found


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
    told = catboost_words.told(model)
    _check(told["features_info"])
    loss = told["model_info"]["params"]["loss_function"]["type"]
    scale, bias = told["scale_and_bias"]
    asked = _questions(told["features_info"], len(model.feature_names_))
    grown = [_symmetric(tree) for tree in told.get("oblivious_trees", ())] or [_grown(t) for t in told.get("trees", ())]
    trees = tuple(tuple(_tree(nodes, asked)) for nodes in grown)
    outputs = max((len(copies) for copies in trees), default=1)
    start = np.asarray(bias, dtype=np.float64)
    return _Read(trees, float(scale), start if len(start) == outputs else np.repeat(start, outputs), loss)


def _check(features: Mapping[str, Any]) -> None:
    for kind, called in (("text_features", "texts"), ("embedding_features", "vectors")):
        if features.get(kind):
            names = ", ".join(str(f.get("feature_id") or f["flat_feature_index"]) for f in features[kind])
            raise ExportError(f"CatBoost takes {called} itself ({names})", "make numbers of them first")


@dataclass(frozen=True, slots=True)
class _Question:
    """What a split asks of a row: whether a column is above a border, or (`member`) has a category."""

    column: int
    border: float = 0.0
    nan_right: bool = False
    member: float | None = None


def _questions(features: Mapping[str, Any], width: int) -> list[_Question]:
    """All of them in CatBoost's own order: of numbers, of categories, of target statistics (columns from `width` on)."""
    asked = [
        _Question(number["flat_feature_index"], border, number["nan_value_treatment"] == "AsTrue")
        for number in features.get("float_features", ())
        for border in number["borders"]
    ]
    for cat in features.get("categorical_features", ()):
        asked += [_Question(cat["flat_feature_index"], member=float(i)) for i in range(len(cat.get("values", ())))]
    for place, ctr in enumerate(features.get("ctrs", ())):
        asked += [_Question(width + place, border) for border in ctr["borders"]]
    return asked


@dataclass(frozen=True, slots=True)
class _Node:
    """A split (the number of its question, the places of both children) or a leaf (`values`, one for each output)."""

    question: int = 0
    left: int = 0
    right: int = 0
    values: tuple[float, ...] = ()


def _symmetric(tree: Mapping[str, Any]) -> list[_Node]:
    """A tree with one split a level; the first split decides the lowest bit of the leaf's number, so the last is the root."""
    splits = tree.get("splits") or []
    depth, values = len(splits), tree["leaf_values"]
    outputs = len(values) >> depth
    nodes = [
        _Node(splits[depth - 1 - level]["split_index"], 2 * at + 1, 2 * at + 2)
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
        nodes[at] = _Node(branch["split"]["split_index"], left, left + 1)
        nodes += [_Node(), _Node()]
        waiting += [(left, branch["left"]), (left + 1, branch["right"])]
    return nodes


def _tree(nodes: list[_Node], asked: list[_Question]) -> Iterator[Tree]:
    """One tree for each output: x ≤ border goes left, missing values too unless CatBoost takes them as the largest.

    A category that is the one asked for goes right, so such a node is turned round.
    """
    leaf = np.array([bool(node.values) for node in nodes])
    of = [_Question(0) if node.values else asked[node.question] for node in nodes]
    turned = np.array([question.member is not None for question in of])
    left, right = np.array([node.left for node in nodes]), np.array([node.right for node in nodes])
    for output in range(max(len(node.values) for node in nodes)):
        yield Tree(
            left=np.where(turned, right, left),
            right=np.where(turned, left, right),
            leaf=leaf,
            feature=np.array([question.column for question in of]),
            split=np.array([question.border for question in of]).astype(np.float32).astype(np.float64),
            missing_left=np.array([not question.nan_right and question.member is None for question in of]).astype(
                np.int64
            ),
            value=np.array([node.values[output] if node.values else 0.0 for node in nodes]),
            sets={at: (question.member,) for at, question in enumerate(of) if question.member is not None},
        )
