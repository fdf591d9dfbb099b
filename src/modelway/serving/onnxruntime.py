"""ONNX Runtime: a graph in bytes becomes a function from numbers and words to scores."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelway.errors import EngineError

Numbers = Sequence[Sequence[float]] | NDArray[np.float64]
Scores = list[list[float]] | NDArray[np.float64]
Run = Callable[[Numbers, Sequence[Sequence[str]]], Scores]
"""Numbers [N][n] and words [N][m] → scores [N][k]; raises EngineError. May be called by several threads."""


def open_session(graph: bytes, name: str) -> Run:
    """Load a graph on one thread (one row takes microseconds: threads would cost more than they give).

    Raises EngineError naming the version when the graph cannot be loaded.
    """
    import onnxruntime

    failures = foreign_errors()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except failures as error:
        raise EngineError(
            f"the graph of {name} cannot be loaded: {error}", "release another version, or train this one again"
        ) from error
    given = {tensor.name for tensor in session.get_inputs()}

    def run(numbers: Numbers, words: Sequence[Sequence[str]]) -> Scores:
        feeds: dict[str, Any] = {}
        if "numbers" in given:
            feeds["numbers"] = np.asarray(numbers, dtype=np.float64)
        if "words" in given:
            feeds["words"] = np.array(words, dtype=object)
        try:
            scores = session.run(["scores"], feeds)[0]
        except failures as error:
            raise EngineError(
                f"the graph of {name} failed on {len(numbers)} rows: {error}", "roll back to the version before"
            ) from error
        if scores.ndim != 2 or len(scores) != len(numbers):
            raise EngineError(
                f"the graph of {name} gave {scores.shape} for {len(numbers)} rows", "roll back to the version before"
            )
        found: NDArray[np.float64] = scores
        return found

    return run


def foreign_errors() -> tuple[type[Exception], ...]:
    """All that ONNX Runtime raises: its classes have no root of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = (getattr(state, name) for name in dir(state))
    return tuple(kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception))
