"""Where trees split and bins end, in the units of the input columns: what the parity gate must hit."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from modelway.export import catboost, lightgbm, optbinning, xgboost
from modelway.export.block import Block, Slot

AT_MOST = 24
"""Thresholds a column, evenly over all that its trees have."""
INNER = ("estimators_", "calibrated_classifiers_", "estimator_", "estimator", "regressor_")
"""Where scikit-learn's ensembles keep their members."""


def remember(found: dict[str, list[float]], model: Any, columns: Block) -> None:
    """Add to `found`, by input column, where a decision of the model turns (columns that were only moved and scaled)."""
    by_feature: dict[int, list[np.ndarray]] = {}
    for features, thresholds in _of(model):
        for feature in np.unique(features):
            by_feature.setdefault(int(feature), []).append(thresholds[features == feature])
    for feature, parts in sorted(by_feature.items()):
        if feature < len(columns):
            _add(found, columns[feature], np.concatenate(parts))


def remember_edges(found: dict[str, list[float]], step: Any, columns: Block) -> None:
    """Add to `found` the edges of a transformer's bins, its knots, or its threshold."""
    for slot, edges in _edges(step, columns):
        _add(found, slot, np.asarray(edges, dtype=np.float64))


def _edges(step: Any, columns: Block) -> Iterable[tuple[Slot, Any]]:
    """The edges of each column; none for a step that has no edges."""
    own: Sequence[Any] = ()
    if hasattr(step, "bin_edges_"):
        own = list(step.bin_edges_)
    elif hasattr(step, "bsplines_"):
        own = [spline.t[spline.k : len(spline.t) - spline.k] for spline in step.bsplines_]
    elif hasattr(step, "quantiles_"):
        own = list(np.asarray(step.quantiles_).T)
    elif type(step).__name__ == "Binarizer":
        own = [[step.threshold]] * len(columns)
    elif process := optbinning.process(step):
        return [(one.slot, one.edges) for one in optbinning.variables(process, columns)]
    return zip(columns, own, strict=False)


def _add(found: dict[str, list[float]], slot: Slot, thresholds: np.ndarray) -> None:
    origin = slot.origin
    if origin is None or slot.kind != "number":
        return
    raw = _turning_points(_spread(thresholds)) * origin.scale + origin.shift
    if len(finite := raw[np.isfinite(raw)]):  # none where trees only ask whether a value is missing
        found.setdefault(origin.column, []).extend(finite.tolist())


def _of(model: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Features and thresholds of each tree inside, however deep."""
    if hasattr(model, "tree_"):
        inner = model.tree_.children_left != -1
        yield model.tree_.feature[inner], model.tree_.threshold[inner]
        return
    if hasattr(model, "_predictors"):
        for nodes in (predictor.nodes for iteration in model._predictors for predictor in iteration):
            inner = ~nodes["is_leaf"].astype(bool) & ~nodes["is_categorical"].astype(bool)
            yield nodes["feature_idx"][inner], nodes["num_threshold"][inner]
        return
    if hasattr(model, "booster_"):
        yield from lightgbm.thresholds(model)
        return
    if hasattr(model, "get_all_params") and hasattr(model, "tree_count_"):
        yield from catboost.thresholds(model)
        return
    if hasattr(model, "get_booster"):
        yield from xgboost.thresholds(model)
        return
    if hasattr(model, "estimators_features_"):
        for member, own in zip(model.estimators_, model.estimators_features_, strict=True):
            yield from ((np.asarray(own)[features], thresholds) for features, thresholds in _of(member))
        return
    for name in INNER:
        for member in _flat(getattr(model, name, None)):
            yield from _of(member)


def _flat(members: Any) -> Iterator[Any]:
    if isinstance(members, (list, tuple, np.ndarray)):
        for member in members:
            yield from _flat(member)
    elif members is not None and not isinstance(members, str):
        yield members


def _spread(thresholds: np.ndarray) -> np.ndarray:
    values = np.unique(thresholds[np.isfinite(thresholds)])
    if len(values) <= AT_MOST:
        return values
    return values[np.linspace(0, len(values) - 1, AT_MOST).round().astype(int)]


def _turning_points(values: np.ndarray) -> np.ndarray:
    """Each threshold, its neighbours in double and in float32, and where rounding to float32 turns over."""
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
        up, down = np.nextafter(single, np.float32(np.inf)), np.nextafter(single, np.float32(-np.inf))
    near = [single.astype(np.float64), up.astype(np.float64), down.astype(np.float64)]
    halves = [(near[0] + other) / 2 for other in near[1:]]
    return np.unique(
        np.concatenate([values, np.nextafter(values, np.inf), np.nextafter(values, -np.inf), *near, *halves])
    )
