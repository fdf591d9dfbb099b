"""A Python model: its estimator answers in a process of its own, and this process only asks it. The pickle is never loaded here.

One process a version, one call at a time. It is started before the version is taken up, started again with growing pauses when
it dies, stopped when a call takes too long, and gone when its `PythonProcess` is collected or this process ends, however it ends.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np

from modelway.errors import EngineError, ModelwayError
from modelway.records import PythonModel
from modelway.serving.python_child import ANSWERED, ASKED, BAD

_CHILD = Path(__file__).with_name("python_child.py")
START_SECONDS = 60.0
"""How long a process has to load its libraries and the estimator."""
LONGEST_PAUSE = 10.0
_STEADY_SECONDS = 60.0
"""A process that lived so long is started again at once."""
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_LARGEST_WORDS = 1 << 20


@dataclass(frozen=True)
class Launch:
    """How the process of one version is started: `pickle` reads the estimator, at each start; `interpreter` "" is this one;
    `log` takes what it prints."""

    name: str
    model: PythonModel
    pickle: Callable[[], bytes]
    interpreter: str
    log: Path


class PythonProcess:
    """A `Run` that may wait as long as the model's `seconds`; raises EngineError while its process is being started again.

    The constructor raises EngineError when the process cannot be started, or runs on other versions than it was proved with.
    """

    def __init__(self, launch: Launch, *, pause: Callable[[int], float] | None = None) -> None:
        self._standing = _Standing(launch, pause or growing_pause)
        self.close = weakref.finalize(self, self._standing.end)

    def __call__(self, numbers: Sequence[Sequence[float]], words: Sequence[Sequence[str]]) -> list[list[float]]:
        return self._standing.ask(numbers, words)

    @property
    def versions(self) -> Mapping[str, str]:
        """`python` and the libraries of the estimator, as the process has them."""
        return self._standing.versions

    @property
    def pid(self) -> int | None:
        """The process that answers now; None while there is none."""
        return self._standing.pid


def growing_pause(deaths: int) -> float:
    """Seconds before the start after so many deaths in a row: 0.2, 0.4 … 10."""
    return float(min(0.2 * 2.0 ** min(deaths - 1, 10), LONGEST_PAUSE))


class _Standing:
    """What callers and the thread that starts the process again share; holds no reference to its `PythonProcess`."""

    def __init__(self, launch: Launch, pause: Callable[[int], float]) -> None:
        self._launch = launch
        self._pause = pause
        self._turn = threading.Lock()
        self._over = threading.Event()
        self._problem = ""
        first = _Live.of(launch)
        self._live: _Live | None = first
        self.versions = first.versions
        threading.Thread(target=self._keep, args=(first,), name=f"keep {launch.name}", daemon=True).start()

    @property
    def pid(self) -> int | None:
        live = self._live
        return live.process.pid if live is not None else None

    def ask(self, numbers: Sequence[Sequence[float]], words: Sequence[Sequence[str]]) -> list[list[float]]:
        model, rows = self._launch.model, len(numbers)
        until = time.monotonic() + model.seconds
        frame = _packed(self._launch.name, model, numbers, words)
        if not self._turn.acquire(timeout=model.seconds):
            raise EngineError(
                f"the Python process of {self._launch.name} was busy with other requests for {model.seconds:g} s",
                "send fewer at once, or allow more: serving.python.timeout in modelway.yaml",
                transient=True,
            )
        try:
            live = self._live
            if live is None:
                raise self._away()
            try:
                good, body = live.asked(frame, until, rows * model.classes * 8)
            except TimeoutError:
                self._gone(live, f"took longer than {model.seconds:g} s for {_rows(rows)} and was stopped")
                raise self._away() from None
            except (OSError, EOFError) as error:
                self._gone(live, "died")
                raise self._away() from error
        finally:
            self._turn.release()
        if not good:
            raise self._refused(body, rows)
        scores: list[list[float]] = np.frombuffer(body, dtype="<f8").reshape(rows, model.classes).tolist()
        return scores

    def end(self) -> None:
        """Never waits: it may be called wherever the last reference is dropped."""
        self._over.set()
        live = self._live
        if live is not None:
            live.kill()

    def _keep(self, live: "_Live") -> None:
        """Wait for the process to die, then start another one, until `end`."""
        deaths = 0
        while True:
            code = live.process.wait()
            lived = time.monotonic() - live.since
            with self._turn:  # a call under way notices the end itself, at once
                self._gone(live, f"died ({_ended(code)})")
                live.close()
            deaths = 1 if lived >= _STEADY_SECONDS else deaths + 1
            new = None
            while new is None:
                if self._over.wait(self._pause(deaths)):
                    return
                try:
                    new = _Live.of(self._launch)
                except ModelwayError as error:
                    self._problem = f"cannot be started again: {error.problem}"
                    deaths += 1
            live, self._live = new, new
            if self._over.is_set():
                live.kill()

    def _gone(self, live: "_Live", problem: str) -> None:
        if self._live is live:
            self._live, self._problem = None, problem
        live.kill()

    def _away(self) -> EngineError:
        return EngineError(
            f"the Python process of {self._launch.name} {self._problem}; it is being started again",
            f"try again in some seconds; what it printed is in {self._launch.log}",
            transient=True,
        )

    def _refused(self, body: bytes, rows: int) -> EngineError:
        told, name = json.loads(body), self._launch.name
        if told["kind"] == "memory":
            return EngineError(
                f"the Python model of {name} needs more than {self._launch.model.megabytes} MB for {_rows(rows)}",
                "send fewer rows at once, or allow more: serving.python.memory in modelway.yaml",
            )
        return EngineError(
            f"the Python model of {name} failed on {_rows(rows)}: {told['text']}",
            f"see {self._launch.log}, and roll back to the version before",
        )


@dataclass(frozen=True)
class _Live:
    """One process that has loaded its estimator. Closing the lifeline kills it, and whatever it has started."""

    process: "subprocess.Popen[bytes]"
    channel: socket.socket
    lifeline: IO[bytes]
    versions: Mapping[str, str]
    since: float

    @classmethod
    def of(cls, launch: Launch) -> "_Live":
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

    def asked(self, frame: bytes, until: float, size: int) -> tuple[bool, bytes]:
        """Whether the answer is scores, and its bytes. Raises TimeoutError, OSError, EOFError."""
        self.channel.settimeout(max(0.001, until - time.monotonic()))
        self.channel.sendall(frame)
        return _answer(self.channel, until, size)

    def kill(self) -> None:
        self.lifeline.close()

    def close(self) -> None:
        self.channel.close()


def _started(launch: Launch) -> "tuple[subprocess.Popen[bytes], socket.socket, IO[bytes]]":
    ours, theirs = socket.socketpair()
    held, pulled = os.pipe()
    own = bool(launch.interpreter)
    places = [str(theirs.fileno()), str(held), str(launch.model.megabytes)]
    secret = {name for name in os.environ if name.startswith("MODELWAY_")}
    inherited = {name: value for name, value in os.environ.items() if name not in secret}
    try:
        launch.log.parent.mkdir(parents=True, exist_ok=True)
        with launch.log.open("ab") as log:
            process = subprocess.Popen(
                [launch.interpreter or sys.executable, "-I" if own else "-P", str(_CHILD), *places],
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
            f"the Python process of {launch.name} cannot be started: {launch.interpreter or sys.executable}: {error.strerror}",
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
        "task": model.task,
        "classes": model.classes,
        "columns": [(column.name, column.kind == "word") for column in model.columns],
    }
    order, pickled = msgspec.json.encode(told), launch.pickle()
    try:
        channel.settimeout(START_SECONDS)
        channel.sendall(ASKED.pack(len(order), len(pickled)) + order)
        channel.sendall(pickled)
        good, body = _answer(channel, until, _LARGEST_WORDS)
    except TimeoutError as error:
        problem = f"the Python process of {launch.name} was not ready within {START_SECONDS:g} s"
        raise EngineError(
            problem, f"see {launch.log}; a process with too little memory may hang", transient=True
        ) from error
    except (OSError, EOFError) as error:
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        problem = f"the Python process of {launch.name} died while it was loading ({_ended(process.returncode)})"
        raise EngineError(
            problem, f"see {launch.log}; a process with too little memory may hang", transient=True
        ) from error
    said: dict[str, Any] = json.loads(body)
    if good:
        return dict(said["versions"])
    if said["kind"] == "memory":
        raise EngineError(
            f"the Python process of {launch.name} needs more than {model.megabytes} MB to load",
            "allow more: serving.python.memory in modelway.yaml",
        )
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


def _packed(name: str, model: PythonModel, numbers: Sequence[Sequence[float]], words: Sequence[Sequence[str]]) -> bytes:
    block = np.array(numbers, dtype="<f8").tobytes()
    if not any(column.kind == "word" for column in model.columns):
        return ASKED.pack(len(numbers), 0) + block
    try:
        texts = msgspec.json.encode(words)
    except UnicodeEncodeError as error:
        raise EngineError(f"{name} was asked for a word that is no text: {error.reason}", "send UTF-8") from error
    return ASKED.pack(len(numbers), len(texts)) + block + texts


def _answer(channel: socket.socket, until: float, size: int) -> tuple[bool, bytes]:
    head = _received(channel, ANSWERED.size, until)
    kind, length = ANSWERED.unpack(head)
    if length > max(size, _LARGEST_WORDS):
        raise EOFError("an answer that is too long")
    return kind != BAD, bytes(_received(channel, length, until))


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


def _ended(code: int | None) -> str:
    if code is None:
        return "it does not end"
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def _rows(rows: int) -> str:
    return "one row" if rows == 1 else f"{rows:,} rows"
