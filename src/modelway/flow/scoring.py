"""Scores of a version for a frame of columns: what would be served, computed here."""

import numpy as np
import polars as pl

from modelway.records import Graph, Manifest
from modelway.workspace import Workspace

_CHUNK = 20_000


def graph_scores(workspace: Workspace, of: Manifest | Graph, frame: pl.DataFrame, name: str) -> np.ndarray:
    """double[N, k] of a version or candidate for the frame's rows; `name` stands in errors."""
    from modelway.flow.forms import open_run
    from modelway.training.frames import normalised

    columns = of.columns
    run = open_run(workspace, of, name, patient=True)
    ready = normalised(frame, columns)
    numbers = ready.select(c.name for c in columns if c.kind == "number").to_numpy()
    words = ready.select(c.name for c in columns if c.kind == "word").to_numpy()
    parts = [
        run(numbers[i : i + _CHUNK].tolist(), words[i : i + _CHUNK].tolist()) for i in range(0, frame.height, _CHUNK)
    ]
    return np.array([row for part in parts for row in part], dtype=np.float64).reshape(frame.height, -1)
