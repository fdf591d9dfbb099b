"""LightGBM, read from the model text: thresholds in double, missing values, categories, every usual objective."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from modelway.errors import ExportError
from modelway.export import scores
from modelway.export.block import Block, numbers
from modelway.export.forest import Forest, Tree
from modelway.export.graph import GraphBuilder

CATEGORICAL, DEFAULT_LEFT = 1, 2
NEVER, ZERO, NAN = 0, 1, 2
"""Which values LightGBM takes as missing at a split: none (NaN is then 0), zero and NaN, or NaN."""
TINY = float(np.float32(1e-35))
"""LightGBM takes |x| ≤ this as zero."""
IDENTITY = {"regression", "regression_l1", "huber", "fair", "quantile", "mape"}
EXPONENTIAL = {"poisson", "gamma", "tweedie"}


@dataclass(frozen=True, slots=True)
class _Text:
    """A parsed model text; `missing` says for each feature with numeric splits what it takes as missing."""

    trees: tuple[Tree, ...]
    per_iteration: int
    objective: tuple[str, ...]
    averaged: bool
    categorical: frozenset[int]
    missing: dict[int, int]


def classifier(graph: GraphBuilder, model: Any, columns: Block) -> str:
    text = _parse(model.booster_.model_to_string())
    raw = _raw(graph, text, columns)
    kind, sigmoid = text.objective[0], _option(text, "sigmoid")
    if kind in ("binary", "cross_entropy"):
        return scores.binary(graph, graph.op("Sigmoid", scores.times(graph, raw, sigmoid)))
    if kind == "multiclass":
        return graph.op("Softmax", raw, axis=1)
    if kind == "multiclassova":
        return graph.op("Sigmoid", scores.times(graph, raw, sigmoid))
    raise ExportError(f"LightGBM has the objective {kind or 'of your own'}, which gives no probabilities", _OBJECTIVES)


def decision(graph: GraphBuilder, model: Any, columns: Block) -> str:
    """The raw score; LightGBM knows a decision function from 4.7 on."""
    return _raw(graph, _parse(model.booster_.model_to_string()), columns)


def regressor(graph: GraphBuilder, model: Any, columns: Block) -> str:
    text = _parse(model.booster_.model_to_string())
    raw = _raw(graph, text, columns)
    kind = text.objective[0]
    if kind in IDENTITY and "sqrt" in text.objective:
        return graph.op("Mul", graph.op("Sign", raw), graph.op("Mul", raw, raw))
    if kind in IDENTITY:
        return raw
    if kind in EXPONENTIAL:
        return graph.op("Exp", raw)
    raise ExportError(f"LightGBM has the objective {kind or 'of your own'}", _OBJECTIVES)


_OBJECTIVES = "use binary, multiclass, multiclassova, regression, l1, huber, quantile, mape, poisson, gamma or tweedie"


def _raw(graph: GraphBuilder, text: _Text, columns: Block) -> str:
    forest = Forest()
    for number, tree in enumerate(text.trees):
        forest.add(tree, number % text.per_iteration)
    features = _as_lightgbm_reads(graph, numbers(graph, columns), len(columns), text)
    raw = forest.node(graph, features, text.per_iteration)
    rounds = len(text.trees) // text.per_iteration
    return graph.op("Div", raw, graph.constant(np.float64(rounds))) if text.averaged else raw


def _as_lightgbm_reads(graph: GraphBuilder, features: str, width: int, text: _Text) -> str:
    """Category codes cut to whole numbers (missing and out of range: −1); zero as NaN where it means missing."""
    if text.categorical:
        size = graph.op("Abs", features)
        whole = graph.op("Mul", graph.op("Sign", features), graph.op("Floor", size))
        inside = graph.op("Less", size, graph.constant(np.float64(2**31)))
        codes = graph.op("Where", inside, whole, graph.constant(np.float64(-1)))
        features = graph.op("Where", _mask(graph, text.categorical, width), codes, features)
    zeros = {feature for feature, kind in text.missing.items() if kind == ZERO}
    if zeros:
        tiny = graph.op("LessOrEqual", graph.op("Abs", features), graph.constant(np.float64(TINY)))
        gone = graph.op("And", tiny, _mask(graph, zeros, width))
        features = graph.op("Where", gone, graph.constant(np.float64("nan")), features)
    return features


def _mask(graph: GraphBuilder, features: frozenset[int] | set[int], width: int) -> str:
    return graph.constant(np.array([[index in features for index in range(width)]]))


def _option(text: _Text, name: str) -> float:
    for word in text.objective[1:]:
        key, _, value = word.partition(":")
        if key == name:
            return float(value)
    return 1.0


def _parse(model: str) -> _Text:
    head, *rest = model.split("\nTree=")
    lines = head.splitlines()
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    trees: list[Tree] = []
    categorical: set[int] = set()
    missing: dict[int, int] = {}
    for part in rest:
        values = dict(line.split("=", 1) for line in part.split("\n\n", 1)[0].splitlines()[1:] if "=" in line)
        tree, kinds = _tree(values)
        trees.append(tree)
        for feature, kind in kinds:
            if kind is None:
                categorical.add(feature)
            elif missing.setdefault(feature, kind) != kind:
                raise ExportError(
                    f"LightGBM's feature {feature} means missing values in two ways (training was continued)",
                    "train in one go, without init_model",
                )
    return _Text(
        trees=tuple(trees),
        per_iteration=int(fields["num_tree_per_iteration"]),
        objective=tuple(fields.get("objective", "").split()) or ("",),
        averaged="average_output" in lines,
        categorical=frozenset(categorical),
        missing=missing,
    )


def _tree(values: dict[str, str]) -> tuple[Tree, set[tuple[int, int | None]]]:
    if values.get("is_linear", "0") != "0":
        raise ExportError("LightGBM has linear models in its leaves", "set linear_tree=False")
    leaves = np.array(values["leaf_value"].split(), dtype=np.float64)
    inner = int(values["num_leaves"]) - 1
    if inner == 0:
        none = np.zeros(1, dtype=np.int64)
        return Tree(none, none, none == 0, none, none + 0.0, none, leaves), set()
    pad = np.zeros(len(leaves), dtype=np.int64)

    def column(key: str, kind: Any) -> np.ndarray:
        return np.concatenate([np.array(values[key].split(), dtype=kind), pad.astype(kind)])

    def child(key: str) -> np.ndarray:
        ids = column(key, np.int64)
        return np.where(ids < 0, inner + ~ids, ids)

    decision, split, feature = (
        column("decision_type", np.int64),
        column("threshold", np.float64),
        column("split_feature", np.int64),
    )
    by_set, kind = (decision & CATEGORICAL) > 0, decision >> 2
    default_left = (decision & DEFAULT_LEFT) > 0
    missing_left = np.where(kind == NEVER, split >= 0.0, default_left) & ~by_set
    tree = Tree(
        left=child("left_child"),
        right=child("right_child"),
        leaf=np.arange(inner + len(leaves)) >= inner,
        feature=feature,
        split=np.where(by_set, 0.0, _as_compared(split)),
        missing_left=missing_left,
        value=np.concatenate([np.zeros(inner), leaves]),
        sets=_sets(values, by_set, split),
    )
    kinds = {(int(feature[i]), None if by_set[i] else int(kind[i])) for i in range(inner)}
    return tree, kinds


def _as_compared(split: np.ndarray) -> np.ndarray:
    """LightGBM drops |x| ≤ TINY from a row, which makes it 0: all such values must fall on the side of 0."""
    above = np.where((split >= 0) & (split < TINY), TINY, split)
    return np.where((split < 0) & (split >= -TINY), np.nextafter(-TINY, -1.0), above)


def _sets(values: dict[str, str], by_set: np.ndarray, split: np.ndarray) -> dict[int, tuple[float, ...]]:
    """Which categories go left, by node: the split of such a node is the number of its bit set."""
    if not by_set.any():
        return {}
    bounds = [int(v) for v in values["cat_boundaries"].split()]
    bits = [int(v) for v in values["cat_threshold"].split()]
    found = {}
    for node in np.flatnonzero(by_set):
        first, last = bounds[int(split[node])], bounds[int(split[node]) + 1]
        members = [32 * w + b for w, word in enumerate(bits[first:last]) for b in range(32) if word >> b & 1]
        found[int(node)] = tuple(float(code) for code in members)
    return found


def thresholds(model: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Features and thresholds of the numeric splits, tree by tree."""
    found = []
    for tree in _parse(model.booster_.model_to_string()).trees:
        numeric = ~tree.leaf & ~np.isin(np.arange(len(tree.leaf)), list(tree.sets))
        found.append((tree.feature[numeric], tree.split[numeric]))
    return found
