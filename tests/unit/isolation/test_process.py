"""A Python model in a process of its own: the same numbers, and what becomes of it when something goes wrong."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelway.errors import EngineError
from modelway.isolation.live import Launch
from modelway.isolation.process import PythonProcess, growing_pause
from modelway.records import Column, PythonModel, Task
from modelway.training.predict import scores
from tests.unit.export.frames import COLUMNS, NUMBERS, WORDS, frame, targets
from tests.unit.serving.made import becomes

NUMBER = (Column("x", "number"),)
ODD = """
import os, re, time
import numpy as np

class Odd:
    classes_ = np.array([0, 1])

    def predict_proba(self, rows):
        first = float(rows["x"].iloc[0])
        if (rows["x"] == 1).any():
            raise ValueError("one is no number\\nand more")
        if first == 2:
            time.sleep(60)
        if first == 9:
            time.sleep(0.3)
        if first == 3:
            os.kill(os.getpid(), 9)
        if first == 4:
            np.ones(3_000_000_000 // 8)
        if first == 5:
            return np.zeros((len(rows), 3))
        if first == 6:
            re.match("(a+)+$", "a" * 60 + "b")  # keeps the interpreter's lock for ages
        if first == 7:
            return np.full((len(rows), 2), np.nan)
        if first == 8:
            os.system("sleep 60 &")
        print("asked")
        return np.column_stack([1 - rows["x"] / 100, rows["x"] / 100])
"""


def odd() -> Any:
    """An estimator that misbehaves at certain numbers; its class is in no module, as model.py's are in none."""
    space: dict[str, Any] = {"__name__": "of_a_user"}
    exec(ODD, space)
    return space["Odd"]()


def started(
    place: Path,
    estimator: Any,
    columns: tuple[Column, ...] = NUMBER,
    task: Task = "binary",
    classes: int = 2,
    *,
    seconds: float = 20.0,
    megabytes: int = 1024,
    interpreter: str = "",
    versions: dict[str, str] | None = None,
) -> PythonProcess:
    model = PythonModel("", columns, task, classes, seconds, megabytes, "", versions or {})
    pickled = cloudpickle.dumps(estimator)
    launch = Launch("loans@1", model, lambda: pickled, interpreter, place / "python.log")
    return PythonProcess(launch, pause=lambda deaths: 0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it may end between opening and reading
        return False


def asked(process: PythonProcess, table: Any) -> np.ndarray:
    return np.array(process(table[list(NUMBERS)].to_numpy().tolist(), table[list(WORDS)].to_numpy().tolist()))


def prepared(model: Any) -> Any:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    words = OneHotEncoder(handle_unknown="ignore")
    parts = ColumnTransformer([("numbers", numbers, list(NUMBERS)), ("words", words, list(WORDS))])
    return make_pipeline(parts, model)


@pytest.fixture(scope="module")
def table() -> Any:
    return frame(300, 3)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "anomaly"])
def test_the_process_gives_the_very_numbers_that_the_estimator_gives_here(task, table, tmp_path):
    y = targets(table).get(task)
    models = {"regression": KNeighborsRegressor(), "anomaly": LocalOutlierFactor(novelty=True)}
    estimator = prepared(models.get(task, KNeighborsClassifier())).fit(table, y)
    classes = {"binary": 2, "multiclass": 3}.get(task, 1)
    process = started(tmp_path, estimator, COLUMNS, task, classes)
    rows = frame(50, 5)
    np.testing.assert_array_equal(asked(process, rows), scores(estimator, rows, task, classes))


def test_a_class_that_the_estimator_has_not_met_gets_nothing(table, tmp_path):
    estimator = prepared(LogisticRegression()).fit(table, targets(table)["binary"] * 2)
    process = started(tmp_path, estimator, COLUMNS, "multiclass", 4)
    rows = frame(20, 5)
    np.testing.assert_array_equal(asked(process, rows), scores(estimator, rows, "multiclass", 4))


@pytest.fixture(scope="module")
def logistic(table, tmp_path_factory):
    estimator = prepared(LogisticRegression()).fit(table, targets(table)["binary"])
    return estimator, started(tmp_path_factory.mktemp("logistic"), estimator, COLUMNS)


NUMBER_OR_NONE = st.floats(-1e9, 1e9) | st.just(float("nan"))
ROW = st.tuples(st.tuples(*[NUMBER_OR_NONE] * len(NUMBERS)), st.tuples(*[st.text(max_size=20)] * len(WORDS)))


@settings(max_examples=60, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=30))
def test_any_numbers_and_words_pass_unchanged(logistic, drawn):
    import pandas as pd

    estimator, process = logistic
    rows = pd.DataFrame([n for n, _ in drawn], columns=list(NUMBERS)).join(
        pd.DataFrame([w for _, w in drawn], columns=list(WORDS), dtype=object)
    )
    given_numbers, given_words = [list(n) for n, _ in drawn], [list(w) for _, w in drawn]
    np.testing.assert_array_equal(process(given_numbers, given_words), scores(estimator, rows, "binary", 2))


def test_a_word_that_is_no_text_is_refused_in_words(logistic):
    with pytest.raises(EngineError, match="a word that is no text"):
        logistic[1]([[1.0] * len(NUMBERS)], [["\ud800"] * len(WORDS)])


def test_a_row_on_which_the_estimator_raises_has_no_numbers_and_the_process_goes_on(tmp_path):
    process = started(tmp_path, odd())
    pid = process.pid
    assert np.isnan(process([[1.0]], [[]])).all()
    found = process([[50.0], [1.0], [60.0], [50.0], [1.0]], [[]] * 5)
    assert [math.isnan(first) for first, _ in found] == [False, True, False, False, True]
    with pytest.raises(EngineError, match=r"gave \(2, 3\) for 2 rows and 2 classes"):
        process([[5.0], [6.0]], [[], []])
    assert np.isnan(process([[7.0]], [[]])).all()
    assert process([[50.0]], [[]]) == [[0.5, 0.5]]
    assert process.pid == pid
    assert "ValueError: one is no number" in (tmp_path / "python.log").read_text()


def test_a_call_that_needs_too_much_memory_fails_alone(tmp_path):
    process = started(tmp_path, odd(), megabytes=1024)
    with pytest.raises(EngineError, match="needs more than 1024 MB for one row"):
        process([[4.0]], [[]])
    assert process([[50.0]], [[]]) == [[0.5, 0.5]]


def test_an_estimator_that_does_not_fit_into_its_memory_is_not_taken_up(tmp_path):
    with pytest.raises(EngineError, match="needs more than 300 MB to load"):
        started(tmp_path, prepared(LogisticRegression()).set_params(memory="x" * 300_000_000), megabytes=300)


def test_a_call_that_takes_too_long_is_stopped_and_the_process_comes_again(tmp_path):
    process = started(tmp_path, odd(), seconds=0.5)
    first = process.pid
    began = time.monotonic()
    with pytest.raises(EngineError, match=r"took longer than 0\.5 s for one row and was stopped") as told:
        process([[2.0]], [[]])
    assert 0.5 <= time.monotonic() - began < 5
    assert told.value.transient
    with pytest.raises(EngineError, match="is being started again"):
        process([[50.0]], [[]])
    becomes(lambda: process.pid)
    assert process.pid != first
    assert not alive(first)
    assert process([[50.0]], [[]]) == [[0.5, 0.5]]


def test_a_call_that_waited_has_its_own_time_and_does_not_end_the_process(tmp_path):
    """Eight calls of 0.3 s each under a limit of 1 s: those that wait too long are told so, and nobody is stopped."""
    process = started(tmp_path, odd(), seconds=1.0)
    pid, told = process.pid, []

    def ask() -> None:
        try:
            told.append(process([[9.0]], [[]]))
        except EngineError as error:
            told.append(error.problem)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert process.pid == pid
    answered = [one for one in told if one == [[0.91, 0.09]]]
    assert 2 <= len(answered) < 8
    assert all("was busy with other requests for 1 s" in one for one in told if one not in answered)


def test_waiting_for_other_calls_ends(tmp_path):
    process = started(tmp_path, odd(), seconds=1.0)

    def wait_long() -> None:
        with suppress(EngineError):
            process([[2.0]], [[]])

    slow = threading.Thread(target=wait_long)
    slow.start()
    becomes(lambda: process._standing._turn.locked())
    with pytest.raises(EngineError, match=r"was busy|was stopped"):
        process([[50.0]], [[]])
    slow.join()


def test_a_process_that_is_killed_under_calls_fails_only_those_that_meet_it(tmp_path):
    process = started(tmp_path, odd())
    stop, answers, failures = threading.Event(), [], []

    def ask() -> None:
        while not stop.is_set():
            try:
                answers.append((time.monotonic(), process([[50.0]], [[]])))
            except EngineError as error:
                failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    seen = set()
    for _ in range(3):
        pid = becomes(lambda: process.pid if process.pid not in seen else None)
        seen.add(pid)
        before = len(answers)
        becomes(lambda before=before: len(answers) > before + 10)
        os.kill(pid, signal.SIGKILL)
    becomes(lambda: process.pid if process.pid not in seen else None)
    before = len(answers)
    becomes(lambda: len(answers) > before + 10)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures
    assert all(error.transient and "is being started again" in error.problem for error in failures)
    assert all(answer == [[0.5, 0.5]] for _, answer in answers)


def test_a_process_that_ends_itself_is_named_so(tmp_path):
    process = started(tmp_path, odd())
    with pytest.raises(EngineError, match="died"):
        process([[3.0]], [[]])
    becomes(lambda: process.pid)
    assert process([[50.0]], [[]]) == [[0.5, 0.5]]


def test_pauses_grow_up_to_ten_seconds():
    assert [growing_pause(deaths) for deaths in (1, 2, 3, 6, 7, 1000)] == [0.2, 0.4, 0.8, 6.4, 10.0, 10.0]


def test_the_process_is_gone_with_the_last_who_can_ask_it(tmp_path):
    process = started(tmp_path, odd())
    pid = process.pid
    assert alive(pid)
    del process
    becomes(lambda: not alive(pid))


PARENT = """
import sys, threading, time
from pathlib import Path
from tests.unit.isolation.test_process import odd, started
process = started(Path(sys.argv[1]), odd(), seconds=60)
threading.Thread(target=lambda: process([[float(sys.argv[2])]], [[]]), daemon=True).start()
print(process.pid, flush=True)
if sys.argv[3] == "wait":
    sys.stdin.read()
"""


@pytest.mark.parametrize("doing", [50.0, 2.0, 6.0], ids=["idle", "asleep", "in C code that keeps the lock"])
@pytest.mark.parametrize("how", ["killed", "ended"])
def test_the_process_dies_with_its_parent(doing, how, tmp_path):
    command = [sys.executable, "-c", PARENT, str(tmp_path), str(doing), "wait"]
    root = Path(__file__).parents[3]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root)
    assert parent.stdout is not None
    assert parent.stdin is not None
    pid = int(parent.stdout.readline())
    before = ticks(pid)
    becomes(lambda: doing != 6.0 or ticks(pid) > before + 20)
    assert alive(pid)
    if how == "killed":
        parent.kill()
    else:
        parent.stdin.close()
    parent.wait(20)
    becomes(lambda: not alive(pid))
    parent.stdout.close()
    parent.stdin.close()


def ticks(pid: int) -> int:
    """How long it has computed, in hundredths of a second."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


def test_what_the_estimator_starts_is_gone_too(tmp_path):
    process = started(tmp_path, odd())
    pid = process.pid
    process([[8.0]], [[]])

    def group() -> list[int]:
        found = []
        for place in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = place.read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[2]) == pid and fields[0] != "Z":
                found.append(int(place.parent.name))
        return found

    assert len(becomes(lambda: group() if len(group()) > 1 else None)) > 1
    process.close()
    becomes(lambda: not group())


def test_other_versions_than_those_of_the_proof_are_refused(tmp_path, table):
    estimator = prepared(LogisticRegression()).fit(table, targets(table)["binary"])
    there = started(tmp_path, estimator, COLUMNS).versions
    assert set(there) >= {"python", "numpy", "pandas", "sklearn"}
    started(tmp_path, estimator, COLUMNS, versions=dict(there))
    with pytest.raises(EngineError, match=r"proved with other versions .*: sklearn .* \(was 0\.1\)"):
        started(tmp_path, estimator, COLUMNS, versions={**there, "sklearn": "0.1"})


def test_an_interpreter_of_another_environment_is_used_and_nothing_of_this_one(tmp_path):
    process = started(tmp_path, odd(), interpreter=sys.executable)
    assert process([[50.0]], [[]]) == [[0.5, 0.5]]
    line = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
    assert line[1] == b"-I"
    with pytest.raises(EngineError, match="/no/such/python: No such file"):
        started(tmp_path, odd(), interpreter="/no/such/python")


def test_secrets_do_not_enter_the_process(tmp_path, monkeypatch):
    monkeypatch.setenv("MODELWAY_LAKE_KEY", "s3cret")
    process = started(tmp_path, odd())
    assert b"s3cret" not in Path(f"/proc/{process.pid}/environ").read_bytes()


def test_the_frame_is_the_one_that_training_gives(tmp_path):
    """Columns in any order of kinds, and the same kinds of values: what an estimator could tell apart."""
    import json

    import pandas as pd
    import polars as pl

    from modelway.isolation.child import framing
    from modelway.training.frames import to_pandas

    rows = frame(20, 7)
    for order in ([*NUMBERS, *WORDS], [WORDS[0], *NUMBERS, *WORDS[1:]], list(WORDS), list(NUMBERS)):
        columns = [Column(name, "word" if name in WORDS else "number") for name in order]
        numbers, words = [n for n in order if n in NUMBERS], [n for n in order if n in WORDS]
        body = bytearray(np.array(rows[numbers].to_numpy().tolist(), dtype="<f8").tobytes())
        told = json.dumps(rows[words].to_numpy(object).tolist()).encode()
        made = framing([(c.name, c.kind == "word") for c in columns])(20, body, told)
        want = to_pandas(pl.from_pandas(rows[order]), columns)
        pd.testing.assert_frame_equal(made, want)
        assert [type(v) for v in made.iloc[0]] == [type(v) for v in want.iloc[0]]
