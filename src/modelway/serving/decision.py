"""The operating point: how scores become a decision."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from modelway.records import Manifest

Decide = Callable[[Sequence[float]], str | float]
DecideAll = Callable[[NDArray[np.float64]], NDArray[np.uint16]]
"""Scores [N][k] → the place of each row's class; 0 without classes."""


def decision_of(manifest: Manifest) -> Decide:
    """The operating point as a function of one row's scores."""
    classes, point = manifest.classes, manifest.operating_point
    if not classes:
        return lambda scores: scores[0]
    if point.threshold is None:
        return lambda scores: classes[max(range(len(scores)), key=scores.__getitem__)]
    place = classes.index(point.positive) if point.positive in classes else len(classes) - 1
    threshold, positive, negative = point.threshold, classes[place], classes[1 - place]
    score = min(place, manifest.width - 1)
    return lambda scores: positive if scores[score] >= threshold else negative


def decision_of_all(manifest: Manifest) -> DecideAll:
    """The same of many rows."""
    classes, point = manifest.classes, manifest.operating_point
    if not classes or point.threshold is None:
        return lambda scores: scores.argmax(axis=1).astype(np.uint16)
    place = classes.index(point.positive) if point.positive in classes else len(classes) - 1
    threshold, score = point.threshold, min(place, manifest.width - 1)
    return lambda scores: np.where(scores[:, score] >= threshold, place, 1 - place).astype(np.uint16)
