"""A Python model: its estimator answers in a process of its own, and this process only asks it. The pickle is never loaded here.

One process a version, one call at a time. It is started before the version is taken up, started again with growing pauses when
it dies, stopped when a call takes too long, and gone when its `PythonProcess` is collected or this process ends, however it ends.
"""

import json
import math
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from modelway.errors import EngineError, ModelwayError
from modelway.records import PythonModel
from modelway.serving.onnxruntime import Numbers
from modelway.serving.python_child import ASKED
from modelway.serving.python_live import Launch, Live, ended

LONGEST_PAUSE = 10.0
_STEADY_SECONDS = 60.0
"""A process that lived so long is started again after the shortest pause."""


def growing_pause(deaths: int) -> float:
    """Seconds before the start after so many deaths in a row: 0.2, 0.4 … 10."""
    return float(min(0.2 * 2.0 ** min(deaths - 1, 10), LONGEST_PAUSE))


class RaisedError(EngineError):
    """The estimator raised an exception."""


class PythonProcess:
    """A `Run` that may take the model's `seconds`, and wait as long for the calls before it.

    A row on which the estimator raises has no numbers (NaN), and does not fail the others. Raises EngineError, also while its
    process is being started again.

    The constructor raises EngineError when the process cannot be started, or runs on other versions than it was proved with.
    """

    def __init__(self, launch: Launch, *, pause: Callable[[int], float] = growing_pause) -> None:
        self._standing, self._launch = _Standing(launch, pause), launch
        self._last = threading.local()
        self.close = weakref.finalize(self, self._standing.end)

    def __call__(self, numbers: Numbers, words: Sequence[Sequence[str]]) -> list[list[float]]:
        began, self._last.way = time.perf_counter(), 0.0
        try:
            scores, seconds = self._standing.ask(numbers, words)
        except RaisedError as error:
            return self._but_bad(numbers, words, began + self._launch.seconds(len(numbers)), error)
        self._last.way = max(0.0, time.perf_counter() - began - seconds)
        return scores

    def _but_bad(
        self, numbers: Numbers, words: Sequence[Sequence[str]], until: float, error: RaisedError
    ) -> list[list[float]]:
        """Asked by halves, until the rows are found on which it raises. Raises `error` when no time is left for that."""
        if len(numbers) == 1:
            return [[math.nan] * self._launch.model.classes]
        found, half = list[list[float]](), len(numbers) // 2
        for part, said in ((numbers[:half], words[:half]), (numbers[half:], words[half:])):
            if time.perf_counter() > until:
                raise error
            try:
                found += self._standing.ask(part, said)[0]
            except RaisedError as again:
                found += self._but_bad(part, said, until, again)
        return found

    def way(self) -> float:
        """Seconds of this thread's last call that went by on the way to the process and back, waiting for a turn included."""
        return float(getattr(self._last, "way", 0.0))

    @property
    def versions(self) -> Mapping[str, str]:
        """`python` and the libraries of the estimator, as the process has them."""
        return self._standing.versions

    @property
    def pid(self) -> int | None:
        """The process that answers now; None while there is none."""
        return self._standing.pid


class _Standing:
    """What callers and the thread that starts the process again share; holds no reference to its `PythonProcess`."""

    def __init__(self, launch: Launch, pause: Callable[[int], float]) -> None:
        self._launch = launch
        self._pause = pause
        self._turn = threading.Lock()
        self._over = threading.Event()
        self._problem = ""
        first = Live.of(launch)
        self._live: Live | None = first
        self.versions = first.versions
        threading.Thread(target=self._keep, args=(first,), name=f"keep {launch.name}", daemon=True).start()

    @property
    def pid(self) -> int | None:
        live = self._live
        return live.process.pid if live is not None else None

    def ask(self, numbers: Numbers, words: Sequence[Sequence[str]]) -> tuple[list[list[float]], float]:
        launch, model, rows = self._launch, self._launch.model, len(numbers)
        frame, allowed = _packed(launch.name, model, numbers, words), launch.seconds(len(numbers))
        if not self._turn.acquire(timeout=allowed):
            raise EngineError(
                f"{launch.process} was busy with other requests for {allowed:g} s",
                "send fewer at once"
                if launch.graph
                else "send fewer at once, or allow more: serving.python.timeout in modelway.yaml",
                transient=True,
            )
        try:
            live = self._live
            if live is None:
                raise self._away()
            try:
                good, body, seconds = live.asked(frame, time.monotonic() + allowed, rows * model.classes * 8)
            except TimeoutError:
                self._gone(live, f"took longer than {allowed:g} s for {_rows(rows)} and was stopped")
                raise self._away() from None
            except (OSError, EOFError) as error:
                self._gone(live, "died")
                raise self._away() from error
        finally:
            self._turn.release()
        if not good:
            raise self._refused(body, rows)
        scores: list[list[float]] = np.frombuffer(body, dtype="<f8").reshape(rows, model.classes).tolist()
        return scores, seconds

    def end(self) -> None:
        """Never waits: it may be called wherever the last reference is dropped."""
        self._over.set()
        live = self._live
        if live is not None:
            live.kill()

    def _keep(self, live: "Live") -> None:
        """Wait for the process to die, then start another one, until `end`."""
        deaths = 0
        while True:
            code = live.process.wait()
            lived = time.monotonic() - live.since
            with self._turn:  # a call under way notices the end itself, at once
                self._gone(live, f"died ({ended(code)})")
                live.close()
            deaths = 1 if lived >= _STEADY_SECONDS else deaths + 1
            new = None
            while new is None:
                if self._over.wait(self._pause(deaths)):
                    return
                try:
                    new = Live.of(self._launch)
                except ModelwayError as error:
                    self._problem = f"could not be started ({error.problem})"
                    deaths += 1
            live, self._live = new, new
            if self._over.is_set():
                live.kill()

    def _gone(self, live: "Live", problem: str) -> None:
        if self._live is live:
            self._live, self._problem = None, problem
        live.kill()

    def _away(self) -> EngineError:
        return EngineError(
            f"{self._launch.process} {self._problem}; it is being started again",
            f"try again in some seconds; what it printed is in {self._launch.log}",
            transient=True,
        )

    def _refused(self, body: bytes, rows: int) -> EngineError:
        told, name = json.loads(body), self._launch.name
        if self._launch.graph:
            memory = f"the graph of {name} needs more than {self._launch.model.megabytes} MB for {_rows(rows)}"
            return EngineError(memory if told["kind"] == "memory" else told["text"], "roll back to the version before")
        if told["kind"] == "memory":
            return EngineError(
                f"the Python model of {name} needs more than {self._launch.model.megabytes} MB for {_rows(rows)}",
                "send fewer rows at once, or allow more: serving.python.memory in modelway.yaml",
            )
        kind = RaisedError if told["kind"] == "raised" else EngineError
        return kind(
            f"the Python model of {name} failed on {_rows(rows)}: {told['text']}",
            f"see {self._launch.log}, and roll back to the version before",
        )


def _packed(name: str, model: PythonModel, numbers: Numbers, words: Sequence[Sequence[str]]) -> bytes:
    block = np.asarray(numbers, dtype="<f8").tobytes()
    if not any(column.kind == "word" for column in model.columns):
        return ASKED.pack(len(numbers), 0) + block
    try:
        texts = msgspec.json.encode(words)
    except UnicodeEncodeError as error:
        raise EngineError(f"{name} was asked for a word that is no text: {error.reason}", "send UTF-8") from error
    return ASKED.pack(len(numbers), len(texts)) + block + texts


def _rows(rows: int) -> str:
    return "one row" if rows == 1 else f"{rows:,} rows"
