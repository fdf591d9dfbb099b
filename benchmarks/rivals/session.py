"""The same session for all: one thread, as a server on one core wants it."""

from typing import Any


def open_session(graph: str) -> Any:
    """Takes `numbers` [N, n] as doubles, gives `scores` [N, k]."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
