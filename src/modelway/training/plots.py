"""Figures of a candidate on its holdout, as SVG; equal figures have equal bytes (no date, fixed identifiers)."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from modelway.records import Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BINS = 10


def figures(
    target: np.ndarray,
    scores: np.ndarray,
    task: Task,
    classes: Sequence[str],
    importance: Mapping[str, float] | None = None,
) -> dict[str, bytes]:
    """File name → SVG: ROC, precision–recall and calibration by class, or predictions and residuals; importance if given.

    `target` holds codes[N] (or numbers[N] for regression), `scores` double[N, k] in the order of `classes`.
    """
    made: dict[str, bytes] = {}
    if task == "regression":
        made["predictions.svg"] = _drawn(
            "Predicted and observed", "predicted", "observed", lambda ax: _against(ax, target, scores)
        )
        made["residuals.svg"] = _drawn(
            "Residuals", "predicted", "observed − predicted", lambda ax: _residuals(ax, target, scores)
        )
    else:
        shown = (
            [1] if len(classes) == 2 else [c for c in range(len(classes)) if 0 < (target == c).sum() < len(target)][:8]
        )
        lines = [(classes[c], target == c, scores[:, c if scores.shape[1] > 1 else 0]) for c in shown]
        made["roc.svg"] = _drawn("ROC", "false positive rate", "true positive rate", lambda ax: _roc(ax, lines))
        made["precision_recall.svg"] = _drawn(
            "Precision and recall", "recall", "precision", lambda ax: _precision(ax, lines)
        )
        if task != "anomaly":
            made["calibration.svg"] = _drawn(
                "Calibration", "predicted", "observed share", lambda ax: _calibration(ax, lines)
            )
    if importance:
        made["importance.svg"] = _drawn(
            "Importance", "loss added by shuffling the column", "", lambda ax: _bars(ax, importance)
        )
    return made


Line = tuple[str, np.ndarray, np.ndarray]
"""Class name, whether each row is of it, its score."""


_PLACE = (0.16, 0.14, 0.8, 0.76)
"""Left, bottom, width, height: fixed, since finding them takes as long as drawing."""


def _drawn(title: str, x: str, y: str, draw: "Callable[[Axes], None]") -> bytes:
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "modelway", "svg.fonttype": "path", "path.simplify": True}):
        figure = Figure(figsize=(5, 4))
        FigureCanvasSVG(figure)
        axes = figure.add_axes(_PLACE)
        axes.set_title(title)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        draw(axes)
        out = io.BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def _roc(axes: "Axes", lines: Sequence[Line]) -> None:
    for name, hit, score in lines:
        true, false = _cumulated(hit, score)
        axes.plot(np.r_[0, false / max(1, false[-1])], np.r_[0, true / max(1, true[-1])], label=name)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    axes.legend(loc="lower right")


def _precision(axes: "Axes", lines: Sequence[Line]) -> None:
    for name, hit, score in lines:
        true, false = _cumulated(hit, score)
        axes.step(true / max(1, true[-1]), true / (true + false), where="post", label=name)
    axes.set_ylim(0, 1.02)
    axes.legend(loc="lower left")


def _cumulated(hit: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hits and misses among the highest scores, one place a distinct score."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.r_[np.diff(score[order]) != 0, True])
    true = np.cumsum(hit[order])[ends]
    return true, ends + 1 - true


def _calibration(axes: "Axes", lines: Sequence[Line]) -> None:
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for name, hit, score in lines:
        groups = [g for g in np.array_split(np.argsort(score, kind="stable"), _BINS) if len(g)]
        axes.plot(
            [score[g].mean() for g in groups], [hit[g].mean() for g in groups], marker="o", markersize=3, label=name
        )
    axes.legend(loc="upper left")


def _against(axes: "Axes", target: np.ndarray, scores: np.ndarray) -> None:
    some = _some(len(target))
    axes.scatter(scores[some, 0], target[some], s=6, alpha=0.5)
    ends = [float(target.min()), float(target.max())]
    axes.plot(ends, ends, color="0.7", linewidth=1)


def _residuals(axes: "Axes", target: np.ndarray, scores: np.ndarray) -> None:
    some = _some(len(target))
    axes.scatter(scores[some, 0], (target - scores[:, 0])[some], s=6, alpha=0.5)
    axes.axhline(0, color="0.7", linewidth=1)


def _some(count: int, most: int = 1000) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def _bars(axes: "Axes", importance: Mapping[str, float], most: int = 20) -> None:
    largest = sorted(importance.items(), key=lambda pair: (-pair[1], pair[0]))[:most][::-1]
    axes.barh([name for name, _ in largest], [value for _, value in largest])
