"""A transformer alone as a graph, to be compared with its own `transform`."""

import warnings
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd

from modelway.export.block import Origin, block, numbers
from modelway.export.graph import GraphBuilder
from modelway.export.pipeline import Walk, transformed


def both(step: Any, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """What the fitted step makes of a frame of numbers, and what its graph makes of it; both double[N, k]."""
    walk = Walk(GraphBuilder())
    tensor = walk.graph.input("numbers", 11, rows.shape[1])
    out = transformed(walk, "step", step, block(tensor, "number", [Origin(name) for name in rows]))
    assert {step.exactness for step in walk.steps} <= {"double"}
    session = onnxruntime.InferenceSession(walk.graph.finish(numbers(walk.graph, out), len(out)))
    graph = session.run(None, {"numbers": rows.to_numpy(np.float64)})[0]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        python = step.transform(rows)
    python = python.toarray() if hasattr(python, "toarray") else np.asarray(python)
    assert python.shape == graph.shape
    return python.astype(np.float64), graph
