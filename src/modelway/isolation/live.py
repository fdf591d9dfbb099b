"""One process that answers with a fitted estimator: how it is started, handed its pickle, asked, and ended."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec

from modelway.errors import EngineError, GraphError
from modelway.isolation.child import ANSWERED, ASKED, BAD
from modelway.records import PythonModel

_CHILD = Path(__file__).with_name("child.py")
ANOTHER = "release another version, or train this one again"
_ALLOW = (
    "look at the graph for what does not end or has no bound; `candidates` in stack.yaml allows more time and memory"
)
START_SECONDS = 60.0
"""How long a process has to load its libraries and the estimator."""
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_LARGEST_WORDS = 1 << 20
_MOST_CLASSES = 1 << 14
"""Scores of a row where nobody says how many there are."""


@dataclass(frozen=True)
class Launch:
    """How the process of one version is started: `pickle` reads the estimator, at each start; `interpreter` "" is this one;
    `log` takes what it prints. `graph`: what is read is a graph, by this file, and `row_seconds` a row are allowed beyond the
    model's. `once`: it is not started again, and what became of it is a GraphError."""

    name: str
    model: PythonModel
    pickle: Callable[[], bytes]
    interpreter: str
    log: Path
    graph: Path | None = None
    row_seconds: float = 0.0
    once: bool = False
    told: Mapping[str, Any] = field(default_factory=dict)
    """What the file that reads a graph must know beside."""

    @property
    def process(self) -> str:
        """What is said of it."""
        return f"the process of {self.name}" if self.graph else f"the Python process of {self.name}"

    def seconds(self, rows: int) -> float:
        """What one call may take."""
        return self.model.seconds + rows * self.row_seconds

    def lost(self, problem: str, fix: str) -> EngineError:
        """What is raised when the process is gone, or cannot come."""
        return GraphError(problem, _ALLOW) if self.once else EngineError(problem, fix, transient=True)

    def too_much(self, problem: str, fix: str) -> EngineError:
        """What is raised when the memory was not enough."""
        return GraphError(problem, _ALLOW) if self.once else EngineError(problem, fix)


@dataclass(frozen=True)
class Live:
    """One process that has loaded its estimator. Closing the lifeline kills it, and whatever it has started."""

    process: "subprocess.Popen[bytes]"
    channel: socket.socket
    lifeline: IO[bytes]
    versions: Mapping[str, str]
    since: float

    @classmethod
    def of(cls, launch: Launch) -> "Live":
        """Raises EngineError, and what `pickle` raises."""
        process, channel, lifeline = _started(launch)
        try:
            versions = _ordered(launch, process, channel)
            _demand_proved(launch, versions)
        except BaseException:
            lifeline.close()
            process.wait()
            channel.close()
            raise
        return cls(process, channel, lifeline, versions, time.monotonic())

    def asked(self, frame: bytes, until: float, rows: int, classes: int) -> tuple[bool, bytes, float]:
        """Whether the answer is scores, its bytes, and the seconds that it took there; `classes` 0: as many as there are.

        Raises TimeoutError, OSError, EOFError.
        """
        self.channel.settimeout(max(0.001, until - time.monotonic()))
        self.channel.sendall(frame)
        good, body, seconds = _answer(self.channel, until, rows * 8 * (classes or _MOST_CLASSES))
        if good and (len(body) != rows * 8 * classes if classes else rows and len(body) % (rows * 8)):
            raise EOFError("an answer of another size")
        return good, body, seconds

    def kill(self) -> None:
        self.lifeline.close()

    def close(self) -> None:
        self.channel.close()


def _started(launch: Launch) -> "tuple[subprocess.Popen[bytes], socket.socket, IO[bytes]]":
    ours, theirs = socket.socketpair()
    held, pulled = os.pipe()
    own, child = bool(launch.interpreter), str(launch.graph or _CHILD)
    places = [str(theirs.fileno()), str(held), str(launch.model.megabytes)]
    secret = {name for name in os.environ if name.startswith("MODELWAY_")}
    inherited = {name: value for name, value in os.environ.items() if name not in secret}
    try:
        launch.log.parent.mkdir(parents=True, exist_ok=True)
        with launch.log.open("ab") as log:
            process = subprocess.Popen(
                [launch.interpreter or sys.executable, "-I" if own else "-P", child, *places],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(), held),
                env=inherited | _ONE_THREAD,
                start_new_session=True,  # a group of its own, which the lifeline ends as a whole
            )
    except OSError as error:
        ours.close()
        os.close(pulled)
        raise EngineError(
            f"{launch.process} cannot be started: {launch.interpreter or sys.executable}: {error.strerror}",
            "serving.python.interpreter is the path of a Python" if own else "free memory or processes",
            transient=not own,
        ) from error
    finally:
        theirs.close()
        os.close(held)
    return process, ours, os.fdopen(pulled, "wb", 0)


def _ordered(launch: Launch, process: "subprocess.Popen[bytes]", channel: socket.socket) -> dict[str, str]:
    """Hand the estimator over, and wait until it is loaded."""
    model, until = launch.model, time.monotonic() + START_SECONDS
    told = {
        "name": launch.name,
        "task": model.task,
        "classes": model.classes,
        "columns": [(column.name, column.kind == "word") for column in model.columns],
        **launch.told,
    }
    order, pickled = msgspec.json.encode(told), launch.pickle()
    try:
        channel.settimeout(START_SECONDS)
        channel.sendall(ASKED.pack(len(order), len(pickled)) + order)
        channel.sendall(pickled)
        good, body, _ = _answer(channel, until, _LARGEST_WORDS)
    except TimeoutError as error:
        problem = f"{launch.process} was not ready within {START_SECONDS:g} s"
        raise launch.lost(problem, f"see {launch.log}; a process with too little memory may hang") from error
    except (OSError, EOFError) as error:
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        problem = f"{launch.process} died while it was loading ({ended(process.returncode)})"
        raise launch.lost(problem, f"see {launch.log}; a process with too little memory may hang") from error
    said: dict[str, Any] = json.loads(body)
    if good:
        return dict(said["versions"])
    if said["kind"] == "memory":
        raise launch.too_much(
            f"{launch.process} needs more than {model.megabytes} MB to load",
            ANOTHER if launch.graph else "allow more: serving.python.memory in modelway.yaml",
        )
    if launch.graph:
        raise EngineError(said["text"], ANOTHER)
    raise EngineError(
        f"the estimator of {launch.name} cannot be loaded in its process: {said['text']}",
        f"see {launch.log}; its Python needs numpy, pandas, cloudpickle and the libraries of model.py",
    )


def _demand_proved(launch: Launch, versions: Mapping[str, str]) -> None:
    """Raise EngineError when the process runs on other versions than those of the parity gate."""
    proved = launch.model.versions
    differ = [
        f"{name} {versions.get(name, 'is missing')} (was {version})"
        for name, version in proved.items()
        if versions.get(name) != version
    ]
    if differ:
        raise EngineError(
            f"{launch.name} was proved with other versions than its Python process has: {', '.join(differ)}",
            "install those versions again, or train the model on the new ones: modelway run",
        )


def _answer(channel: socket.socket, until: float, size: int) -> tuple[bool, bytes, float]:
    head = _received(channel, ANSWERED.size, until)
    kind, length, seconds = ANSWERED.unpack(head)
    if length > max(size, _LARGEST_WORDS):
        raise EOFError("an answer that is too long")
    return kind != BAD, bytes(_received(channel, length, until)), seconds


def _received(channel: socket.socket, size: int, until: float) -> bytearray:
    """Exactly so many bytes. Raises TimeoutError, OSError, and EOFError when the other end is closed."""
    data = bytearray(size)
    view, done = memoryview(data), 0
    while done < size:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        channel.settimeout(left)
        got = channel.recv_into(view[done:])
        if not got:
            raise EOFError
        done += got
    return data


def ended(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None:
        return "it does not end"
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
