"""The process of a challenger's or a candidate's graph: whatever ONNX Runtime does with it, crash, hang or grow, happens here.

Speaks as `isolation/child.py` does, with the graph where the pickle would be; its Python is always the server's own.
"""

import json
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelway.isolation.child import ASKED, GOOD, ShapeError, main, read, say
from modelway.serving.onnxruntime import Run, open_session


@dataclass(frozen=True, slots=True)
class Graph:
    """A loaded graph of the version `name`; `width`, `words`: numbers and words of a row; `classes`: columns of its scores, 0 for
    any number."""

    name: str
    run: Run
    width: int
    words: int
    classes: int

    def scores(self, rows: int, numbers: bytearray, words: bytes) -> bytes:
        """float64[N, k] by rows. Raises ShapeError, and what ONNX Runtime does."""
        texts: Sequence[Sequence[str]] = json.loads(words) if self.words else [()] * rows
        found = np.asarray(self.run(np.frombuffer(numbers, dtype="<f8").reshape(rows, self.width), texts))
        if self.classes and found.shape != (rows, self.classes):
            raise ShapeError(
                f"the graph of {self.name} gave {found.shape} for {rows} rows, and {self.classes} scores a row are wanted"
            )
        return found.astype("<f8").tobytes()


def loaded(parent: socket.socket) -> Graph:
    """Read order and graph, load it, and say so."""
    told, size = ASKED.unpack(read(parent, ASKED.size))
    order, graph = json.loads(read(parent, told)), bytes(read(parent, size))
    words = sum(bool(word) for _, word in order["columns"])
    name, run = order["name"], open_session(graph, order["name"])
    made = Graph(name, run, len(order["columns"]) - words, words, order["classes"])
    say(parent, GOOD, json.dumps({"versions": {}}).encode())
    return made


if __name__ == "__main__":
    main(sys.argv[1:4], loaded)
