"""The operating point: how scores become a decision."""

from collections.abc import Callable, Sequence

from modelway.records import Manifest

Decide = Callable[[Sequence[float]], str | float]


def decision_of(manifest: Manifest) -> Decide:
    """The operating point as a function of one row's scores."""
    classes, point = manifest.classes, manifest.operating_point
    if not classes:
        return lambda scores: scores[0]
    if point.threshold is None:
        return lambda scores: classes[max(range(len(scores)), key=scores.__getitem__)]
    place = classes.index(point.positive) if point.positive in classes else len(classes) - 1
    threshold, positive, negative = point.threshold, classes[place], classes[1 - place]
    return lambda scores: positive if scores[place] >= threshold else negative
