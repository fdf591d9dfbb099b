"""The process of a graph that a team brings, asked as the team would: named inputs of its own types, the output with the scores.

Speaks as `isolation/child.py` does, with the graph where the pickle would be. The order says under `feeds` what goes into each
input: its name, type, whether it is flat, whether it takes words, and the places of its columns among the numbers or words.
"""

import json
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelway.errors import EngineError
from modelway.isolation.child import ASKED, GOOD, ShapeError, main, read, say

_KINDS = {"float": np.float32, "double": np.float64, "int64": np.int64, "int32": np.int32}


@dataclass(frozen=True, slots=True)
class Team:
    """A loaded graph, and what goes into it; `width`: numbers of a row; `name` stands in errors."""

    name: str
    session: Any
    feeds: Sequence[Mapping[str, Any]]
    scored: str
    width: int

    def scores(self, rows: int, numbers: bytearray, words: bytes) -> bytes:
        """float64[N, c] by rows: what the graph gives. Raises ShapeError, and what ONNX Runtime does."""
        block = np.frombuffer(numbers, dtype="<f8").reshape(rows, self.width)
        texts = np.array(json.loads(words) if words else [[]] * rows, dtype=object)
        given = {feed["name"]: _tensor(feed, texts if feed["word"] else block) for feed in self.feeds}
        try:
            made = np.asarray(self.session.run([self.scored], given)[0], dtype="<f8")
        except Exception as error:  # what a foreign graph makes ONNX Runtime raise has no common root
            raise EngineError(f"{self.name} failed on {rows} rows: {error}") from error
        if not made.size or made.size % rows:
            raise ShapeError(f"{self.name} gave {made.shape} for {rows} rows")
        return made.tobytes()


def _tensor(feed: Mapping[str, Any], block: np.ndarray) -> np.ndarray:
    taken = block[:, feed["places"]]
    if not feed["word"]:
        with np.errstate(over="ignore"):
            taken = taken.astype(_KINDS[feed["element"]])
    return taken.reshape(-1) if feed["flat"] else taken


def loaded(parent: socket.socket) -> Team:
    """Read order and graph, load it, and say so."""
    import onnxruntime

    told, size = ASKED.unpack(read(parent, ASKED.size))
    order, graph = json.loads(read(parent, told)), bytes(read(parent, size))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    made = Team(order["name"], session, order["feeds"], order["scored"], sum(not word for _, word in order["columns"]))
    say(parent, GOOD, json.dumps({"versions": {}}).encode())
    return made


if __name__ == "__main__":
    main(sys.argv[1:4], loaded)
