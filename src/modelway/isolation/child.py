"""The process of a Python model: unpickles one fitted estimator, and answers batches until its parent is gone.

It is started as a file, `child.py SOCKET LIFELINE MEGABYTES`, in any environment with NumPy, pandas, cloudpickle and what
the estimator needs: nothing of Modelway is imported here. All numbers are little-endian. The parent sends

    order    <QQ> lengths, JSON {task, classes, columns: [[name, is a word?], …]}, the pickle    → ready: JSON {versions}
    batch    <QQ> rows, length of the words, float64[N, n] by rows, JSON [N][m]                  → scores: float64[N, k] by rows

and is answered by one byte (`K`, or `E` with JSON {kind: memory | raised | shape, text}), <Q> length, <d> seconds that the batch
took here, and that. Other files that call `main` speak the same, with a graph in the place of the pickle.
"""

import importlib
import json
import os
import pickle
import platform
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Protocol

ASKED = struct.Struct("<QQ")
ANSWERED = struct.Struct("<cQd")
GOOD, BAD = b"K", b"E"
_NO_MEMORY = ("Failed to allocate memory", "bad_alloc")
"""How ONNX Runtime and C++ say so: they have no class for it."""
_WORDS = 300
"""Characters of an exception that are told; its traceback goes to the log."""


class Scoring(Protocol):
    """What answers batches; `width`: how many numbers a row has."""

    @property
    def width(self) -> int: ...

    def scores(self, rows: int, numbers: bytearray, words: bytes) -> bytes:
        """float64[N, k]; raises what it likes."""


def main(arguments: Sequence[str], load: "Callable[[socket.socket], Scoring] | None" = None) -> None:
    """Answer until the parent closes the socket; end at once when it dies."""
    place, lifeline, megabytes = map(int, arguments)
    end_with(lifeline)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit_memory(megabytes)
    with socket.socket(fileno=place) as parent:
        try:
            answer = (load or _loaded)(parent)
        except EOFError:
            return
        except Exception as error:  # noqa: BLE001  whatever a pickle raises is told
            _fail(parent, error)
            return
        while True:
            try:
                rows, numbers, words = _batch(parent, answer)
            except EOFError:
                return
            except MemoryError as error:  # the rest of the batch was not read: no other can be
                _fail(parent, error)
                return
            began = time.perf_counter()
            try:
                scores = answer.scores(rows, numbers, words)
            except Exception as error:  # noqa: BLE001  whatever an estimator raises is told
                _fail(parent, error)
            else:
                say(parent, GOOD, scores, time.perf_counter() - began)


def end_with(lifeline: int) -> None:
    """Have this process group killed when the other end of the pipe is closed, as the parent's death does.

    On Linux by the kernel, in the middle of C code too that keeps the interpreter's lock; elsewhere by a thread.
    """
    import fcntl
    import select

    group = os.getpgrp()
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -group)
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
        if select.select([lifeline], [], [], 0)[0]:  # it was closed before the kernel was asked
            os.killpg(group, signal.SIGKILL)
        return

    def watch() -> None:
        os.read(lifeline, 1)
        os.killpg(group, signal.SIGKILL)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def limit_memory(megabytes: int) -> None:
    """Refuse this process more memory of its own than that: Python then raises MemoryError. Only Linux keeps to it.

    RLIMIT_DATA counts what is written to and private; RLIMIT_AS would count addresses that are only reserved.
    """
    import resource

    wanted = megabytes * 1024 * 1024
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard),) * 2)


class ShapeError(Exception):
    """Scores that are not one row a row, one column a class."""


@dataclass(frozen=True)
class Answering:
    """A loaded estimator with what it was fitted on."""

    estimator: Any
    task: str
    classes: int
    columns: Sequence[tuple[str, bool]]
    frame: Callable[[int, "bytearray", bytes], Any] = field(repr=False)

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return sum(not word for _, word in self.columns)

    def scores(self, rows: int, numbers: bytearray, words: bytes) -> bytes:
        """float64[N, k]; a class that the estimator has not met gets 0."""
        import numpy as np

        frame = self.frame(rows, numbers, words)
        if self.task == "regression":
            made = np.asarray(self.estimator.predict(frame), dtype=np.float64)
            if made.size != rows:
                raise ShapeError(f"predict gave {made.shape} for {rows} rows")
            return np.ascontiguousarray(made).tobytes()
        if self.task == "anomaly":
            made = -np.asarray(self.estimator.score_samples(frame), dtype=np.float64)
            if made.size != rows:
                raise ShapeError(f"score_samples gave {made.shape} for {rows} rows")
            return np.ascontiguousarray(made).tobytes()
        found = np.asarray(self.estimator.predict_proba(frame), dtype=np.float64)
        known = np.asarray(getattr(self.estimator, "classes_", np.arange(self.classes)), dtype=np.int64)
        if found.shape != (rows, len(known)):
            raise ShapeError(f"predict_proba gave {found.shape} for {rows} rows and {len(known)} classes")
        if len(known) == self.classes:
            return np.ascontiguousarray(found).tobytes()
        spread = np.zeros((rows, self.classes))
        spread[:, known] = found
        return spread.tobytes()


def _loaded(parent: socket.socket) -> Answering:
    """Read the order, load the estimator, and say with which versions."""
    told, size = ASKED.unpack(read(parent, ASKED.size))
    order = json.loads(read(parent, told))
    with parent.makefile("rb") as file:
        pickled = _Part(file, size)
        try:
            importlib.import_module("pandas")
            reading = _Reading(pickled)
            estimator = reading.load()
        except EOFError:
            raise
        except Exception:
            pickled.skip()  # the parent listens when it has sent all
            raise
    columns = [(name, bool(word)) for name, word in order["columns"]]
    answer = Answering(estimator, order["task"], order["classes"], columns, framing(columns))
    say(parent, GOOD, json.dumps({"versions": versions(reading.modules)}).encode())
    return answer


@dataclass
class _Part:
    """So many bytes of a file, read piece by piece: a large estimator is never in memory twice."""

    file: IO[bytes]
    left: int

    def read(self, size: int) -> bytes:
        return self._taken(self.file.read(min(size, self.left)))

    def readline(self) -> bytes:
        return self._taken(self.file.readline(self.left))

    def skip(self) -> None:
        while self.left and self.read(1 << 16):
            pass

    def _taken(self, data: bytes) -> bytes:
        self.left -= len(data)
        return data


class _Reading(pickle.Unpickler):
    """Remembers which libraries the pickle names."""

    def __init__(self, file: _Part) -> None:
        super().__init__(file)
        self.modules: set[str] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.modules.add(module.partition(".")[0])
        return super().find_class(module, name)


def versions(modules: set[str]) -> dict[str, str]:
    """`python` to the second place, and each library that says its version."""
    found = {
        name: getattr(sys.modules.get(name), "__version__", None) for name in sorted(modules | {"numpy", "pandas"})
    }
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python} | {name: version for name, version in found.items() if isinstance(version, str)}


def framing(columns: Sequence[tuple[str, bool]]) -> Callable[[int, bytearray, bytes], Any]:
    """Makes of a batch the very frame that training gave the estimator: float64, and objects of type str."""
    import numpy as np
    import pandas as pd

    names = {kind: pd.Index([name for name, word in columns if word == kind]) for kind in (False, True)}
    width, count = len(names[False]), len(names[True])

    def of_numbers(rows: int, numbers: bytearray) -> Any:
        block = np.frombuffer(numbers, dtype="<f8").reshape(rows, width)
        return pd.DataFrame(np.ascontiguousarray(block.T).T, columns=names[False], copy=False)

    if not count:
        return lambda rows, numbers, words: of_numbers(rows, numbers)
    stands = [*names[False], *names[True]]
    order = np.array([stands.index(name) for name, _ in columns])
    sorted_already = stands == [name for name, _ in columns]

    def mixed(rows: int, numbers: bytearray, words: bytes) -> Any:
        texts = np.empty((count, rows), dtype=object)
        texts[:] = list(zip(*json.loads(words), strict=True))
        frame = pd.concat([of_numbers(rows, numbers), pd.DataFrame(texts.T, columns=names[True], copy=False)], axis=1)
        return frame if sorted_already else frame.take(order, axis=1)

    return mixed


def _batch(parent: socket.socket, answer: Scoring) -> tuple[int, bytearray, bytes]:
    rows, size = ASKED.unpack(read(parent, ASKED.size))
    numbers = rows * answer.width * 8
    body = read(parent, numbers + size)
    return rows, body[:numbers], bytes(body[numbers:])


def read(parent: socket.socket, size: int) -> bytearray:
    """Exactly so many bytes; raises EOFError when the parent has closed."""
    data = bytearray(size)
    view, done = memoryview(data), 0
    while done < size:
        got = parent.recv_into(view[done:])
        if not got:
            raise EOFError
        done += got
    return data


def say(parent: socket.socket, what: bytes, body: bytes, seconds: float = 0.0) -> None:
    parent.sendall(ANSWERED.pack(what, len(body), seconds) + body)


def _fail(parent: socket.socket, error: Exception) -> None:
    if not hasattr(error, "problem"):  # one of ours is told whole: a graph may fail on each of 100,000 rows
        traceback.print_exception(error)
    if isinstance(error, ShapeError):
        kind, text = "shape", str(error)
    elif isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY):
        kind, text = "memory", ""
    else:
        raised = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        kind, text = "raised", getattr(error, "problem", raised)
    say(parent, BAD, json.dumps({"kind": kind, "text": text[:_WORDS]}).encode())


if __name__ == "__main__":
    main(sys.argv[1:4])
