"""Scores of a version for a frame of columns: what would be served, computed here."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from modelway.records import Column, Graph, Manifest
from modelway.serving.onnxruntime import Run
from modelway.workspace import Workspace

_CHUNK = 20_000


def graph_scores(workspace: Workspace, of: Manifest | Graph, frame: pl.DataFrame, name: str) -> np.ndarray:
    """double[N, k] of a version or candidate for the frame's rows; `name` stands in errors. Raises EngineError."""
    from modelway.flow.forms import open_run

    return run_scores(open_run(workspace, of, name, patient=True), of.columns, frame)


def run_scores(run: Run, columns: Sequence[Column], frame: pl.DataFrame) -> np.ndarray:
    """The same of what has been opened."""
    from modelway.training.frames import normalised

    ready = normalised(frame, columns)
    numbers = ready.select(c.name for c in columns if c.kind == "number").to_numpy()
    words = ready.select(c.name for c in columns if c.kind == "word").to_numpy()
    parts = [run(numbers[i : i + _CHUNK], words[i : i + _CHUNK].tolist()) for i in range(0, frame.height, _CHUNK)]
    return np.array([row for part in parts for row in part], dtype=np.float64).reshape(frame.height, -1)
