"""Trees of any family as one `TreeEnsemble` of `ai.onnx.ml` 5, thresholds and leaves in double unless the library has single."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import numpy_helper

from modelway.export.graph import ML, GraphBuilder

LEQ, MEMBER = 0, 6


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree, node by node, the root first; all arrays have one entry a node.

    A row goes left when its feature ≤ `split`, or is in `sets[node]`; NaN goes left where `missing_left`.
    """

    left: np.ndarray
    right: np.ndarray
    leaf: np.ndarray
    feature: np.ndarray
    split: np.ndarray
    missing_left: np.ndarray
    value: np.ndarray
    sets: Mapping[int, tuple[float, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class _Columns:
    feature: list[np.ndarray] = field(default_factory=list)
    split: list[np.ndarray] = field(default_factory=list)
    mode: list[np.ndarray] = field(default_factory=list)
    missing: list[np.ndarray] = field(default_factory=list)
    children: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)
    weights: list[np.ndarray] = field(default_factory=list)
    targets: list[np.ndarray] = field(default_factory=list)


class Forest:
    """Trees whose leaves are added up by target."""

    def __init__(self) -> None:
        self._columns = _Columns()
        self._roots: list[int] = []
        self._members: list[float] = []
        self._nodes = 0
        self._leaves = 0

    @property
    def leaves(self) -> int:
        return self._leaves

    def add(self, tree: Tree, target: int = 0) -> None:
        inner, columns = ~tree.leaf, self._columns
        self._roots.append(self._nodes)
        if not inner.any():
            self._add_stump(float(tree.value[0]), target)
            return
        place = np.where(inner, np.cumsum(inner) - 1 + self._nodes, np.cumsum(tree.leaf) - 1 + self._leaves)
        left, right = tree.left[inner], tree.right[inner]
        columns.feature.append(tree.feature[inner])
        columns.split.append(tree.split[inner])
        columns.missing.append(tree.missing_left[inner])
        columns.children.append((place[left], tree.leaf[left], place[right], tree.leaf[right]))
        columns.weights.append(tree.value[tree.leaf])
        columns.targets.append(np.full(int(tree.leaf.sum()), target))
        modes = np.zeros(len(tree.leaf), np.uint8)
        for node, members in sorted(tree.sets.items()):
            modes[node] = MEMBER
            # A set split with an empty set stops onnxruntime from loading the graph; no value is −1.
            self._members += [*(members or (-1.0,)), float("nan")]
        columns.mode.append(modes[inner])
        self._nodes += int(inner.sum())
        self._leaves += int(tree.leaf.sum())

    def _add_stump(self, value: float, target: int) -> None:
        columns, leaf = self._columns, np.array([self._leaves])
        columns.feature.append(np.zeros(1))
        columns.split.append(np.zeros(1))
        columns.missing.append(np.zeros(1))
        columns.mode.append(np.zeros(1, np.uint8))
        columns.children.append((leaf, np.ones(1), leaf, np.ones(1)))
        columns.weights.append(np.array([value]))
        columns.targets.append(np.array([target]))
        self._nodes += 1
        self._leaves += 1

    def node(
        self, graph: GraphBuilder, features: str, targets: int = 1, element: type[np.floating[Any]] = np.float64
    ) -> str:
        """element[N, targets]: the sums of the leaves that each row of `features` element[N, n] reaches."""
        columns = self._columns
        children = [np.concatenate(parts).astype(np.int64).tolist() for parts in zip(*columns.children, strict=True)]
        splits, weights = np.concatenate(columns.split), np.concatenate(columns.weights)
        sets = (
            {"membership_values": numpy_helper.from_array(np.array(self._members, dtype=element), "v")}
            if self._members
            else {}
        )
        return graph.op(
            "TreeEnsemble",
            features,
            domain=ML,
            n_targets=targets,
            aggregate_function=1,
            post_transform=0,
            tree_roots=self._roots,
            nodes_featureids=np.concatenate(columns.feature).astype(np.int64).tolist(),
            nodes_splits=numpy_helper.from_array(splits.astype(element), "s"),
            nodes_modes=numpy_helper.from_array(np.concatenate(columns.mode), "m"),
            nodes_truenodeids=children[0],
            nodes_trueleafs=children[1],
            nodes_falsenodeids=children[2],
            nodes_falseleafs=children[3],
            nodes_missing_value_tracks_true=np.concatenate(columns.missing).astype(np.int64).tolist(),
            leaf_weights=numpy_helper.from_array(weights.astype(element), "w"),
            leaf_targetids=np.concatenate(columns.targets).astype(np.int64).tolist(),
            **sets,
        )
