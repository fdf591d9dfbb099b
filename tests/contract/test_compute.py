"""The compute port's checks over the local worker process, and what is the local one's own."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from modelway.compute import port
from modelway.compute.local import LocalCompute
from modelway.compute.port import run
from modelway.testing.compute import TASKS, ComputeChecks


@pytest.fixture
def compute() -> Iterator[LocalCompute]:
    opened = LocalCompute()
    yield opened
    opened.close()


class TestLocal(ComputeChecks): ...


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False
    ).stdout
    return bool(state) and not state.startswith("Z")


def _becomes(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_one_process_serves_all_jobs_and_close_leaves_none(compute):
    first, second = (int(run(compute, name, f"{TASKS}:process", b"")) for name in "ab")
    assert first == second != os.getpid()
    compute.close()
    assert not _alive(first)


def test_close_stops_a_running_job(compute):
    told: list[bytes] = []
    compute.submit("a", f"{TASKS}:linger", b"60")
    assert _becomes(lambda: compute.wait("a", 0, told.append) is None and bool(told))
    started = time.monotonic()
    compute.close()
    assert time.monotonic() - started < 4
    assert not _alive(int(told[0]))


def test_what_a_task_prints_goes_to_standard_error(compute, capfd):
    run(compute, "a", f"{TASKS}:echo", b"x")
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "printed by a task" in printed.err


def test_a_fault_that_is_injected_here_does_not_reach_the_worker(compute, monkeypatch):
    monkeypatch.setenv("MODELWAY_KILL_AT", "*")
    assert run(compute, "a", f"{TASKS}:echo", b"x") == b"x"


PARENT = """
import sys
from modelway.compute.local import LocalCompute
compute = LocalCompute()
compute.submit("a", "modelway.testing.tasks:linger", b"60")
compute.wait("a", None, lambda body: print(body.decode(), flush=True))
"""


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_worker_ends_with_the_process_that_started_it_however_that_ends(kill):
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert _alive(worker)
        parent.send_signal(kill)
        parent.wait(10)
        assert _becomes(lambda: not _alive(worker))
    finally:
        parent.kill()
        parent.wait()
        if parent.stdout:
            parent.stdout.close()


def test_a_process_that_is_to_end_leaves_its_job_which_may_be_submitted_again(compute, monkeypatch):
    monkeypatch.setattr(port, "halting", threading.Event())
    told: list[bytes] = []

    def tell(body: bytes) -> None:
        told.append(body)
        port.halting.set()

    with pytest.raises(SystemExit):
        run(compute, "a", f"{TASKS}:linger", b"60", tell)
    assert not _alive(int(told[0]))
    port.halting.clear()
    assert run(compute, "a", f"{TASKS}:echo", b"x") == b"x"


WAITING = """
import polars
from modelway.compute.local import LocalCompute
from modelway.compute.port import run
run(LocalCompute(), "a", "modelway.testing.tasks:linger", b"60", lambda body: print(body.decode(), flush=True))
"""


def test_ctrl_c_is_heard_while_a_job_runs_though_polars_makes_it_restart_system_calls():
    parent = subprocess.Popen([sys.executable, "-c", WAITING], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.send_signal(signal.SIGINT)
        assert parent.wait(10) == -signal.SIGINT
        assert _becomes(lambda: not _alive(worker))
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
