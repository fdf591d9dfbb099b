"""Ctrl-C from the first import to the middle of a training: a sentence, 130, soon, and no process left."""

import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.support.projects import ENV, bank, modelway, processes, records
from tests.support.running import until, up

TOP = Path(__file__).parents[2]
SOON = 10.0
"""Seconds on a busy machine: before, the wait was for the end of the training, which here never comes."""
PRESSED = """
import os, runpy, signal, sys
class Press:
    def find_spec(self, name, *rest):
        if name == {at!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Press())
sys.argv[1:] = {words!r}
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bank(tmp_path_factory.mktemp("ctrl_c"))


@pytest.fixture
def root(untouched: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(untouched, tmp_path / "bank"))


def pressed(at: str, module: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """`python -m module words`, with Ctrl-C at the moment at which it imports `at`."""
    code = PRESSED.format(at=at, words=list(words), module=module)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=ENV, capture_output=True, text=True, timeout=60, check=False
    )


AT = ["modelway.cli.app", "typer", "modelway.cli.interrupt", "modelway.cli.start", "modelway.workspace", "sqlalchemy"]


@pytest.mark.parametrize("at", AT)
def test_while_the_command_is_being_imported(root, at):
    said = pressed(at, "modelway", "status", cwd=root)
    assert (said.returncode, said.stdout) == (130, ""), said
    lines = said.stderr.splitlines()
    assert lines[-1].startswith("stopped; nothing is half done")
    assert lines[:-1] in ([], ["stopping …"])


def test_the_installed_command_starts_there_too():
    (entry,) = entry_points(group="console_scripts", name="modelway")
    assert entry.value == "modelway.cli.main:main"


def test_before_it_listens_nothing_is_imported_but_python_s_own():
    code = "import sys; before = set(sys.modules); import modelway.cli.main; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["modelway", "modelway.cli", "modelway.cli.main"]


def held(root: Path) -> tuple[Path, Path]:
    """Training touches the first file, and goes on when the second is gone."""
    code, begun, wait = (root / "models/loans" / name for name in ("model.py", "begun", "wait"))
    wait.touch()
    hold = f"    import pathlib, time\n    pathlib.Path({str(begun)!r}).touch()\n"
    hold += f"    while pathlib.Path({str(wait)!r}).exists():\n        time.sleep(0.02)\n"
    code.write_text(code.read_text().replace("def build(params):\n", f"def build(params):\n{hold}"))
    return begun, wait


def test_a_run_that_trains_ends_soon_and_is_gone_on_with(root):
    begun, wait = held(root)
    process = subprocess.Popen(
        [sys.executable, "-m", "modelway", "run", "loans"], cwd=root, env=ENV, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(begun.exists, what="no training began")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=SOON)
    assert process.returncode == 130, err
    stopping, stopped = err.splitlines()[-2:]
    assert stopping == "stopping …"
    assert stopped.startswith("stopped; nothing is half done")
    assert "Traceback" not in err
    until(lambda: processes(root) == (), SOON, "the worker was left behind")
    wait.unlink()
    assert records(root, "run", "loans")["run"]["id"] == "loans-0001"


def test_a_library_that_logs_what_passes_through_it_prints_no_traceback():
    """As SQLAlchemy's pool does when Ctrl-C comes while it closes a connection."""
    code = """
import logging, os, signal
from modelway.cli.interrupt import Interrupt, Interrupted
Interrupt()
for stop in (lambda: os.kill(os.getpid(), signal.SIGINT), lambda: 1 / 0):
    try:
        stop()
    except BaseException:
        logging.getLogger("pool").exception("while closing")
os._exit(0)
"""
    said = subprocess.run([sys.executable, "-c", code], env=ENV, capture_output=True, text=True, timeout=60, check=True)
    assert "Interrupted" not in said.stderr, said.stderr
    assert said.stderr.startswith("stopping …\nwhile closing\n")
    assert "ZeroDivisionError" in said.stderr, "errors of others are still told"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_ends_soon_while_its_loop_trains_and_the_run_stays_open(root, number):
    assert modelway("run", "loans", cwd=root, env={"MODELWAY_KILL_AT": "step.after-ingest"}).code == -9
    begun, wait = held(root)
    with up(root) as process:
        until(begun.exists, what="the run that was left is not gone on with")
        started = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert time.monotonic() - started < SOON
    assert process.returncode == 0, err
    assert out.splitlines()[-2:] == ["stopping …", "stopped"]
    assert processes(root) == ()
    assert "Traceback" not in (root / ".modelway/logs/control.log").read_text()
    assert records(root, "status")["models"]["loans"]["run"]["state"] == "running"
    wait.unlink()
    assert records(root, "run", "loans")["run"]["id"] == "loans-0001"


@pytest.mark.parametrize("at", ["modelway.cli.interrupt", "examples.market_risk.replay", "sqlalchemy"])
def test_the_demo_while_it_is_being_imported(tmp_path, at):
    said = pressed(at, "examples.market_risk", "--root", str(tmp_path / "demo"), cwd=TOP)
    assert said.returncode == 130, said
    assert said.stderr.removeprefix("stopping …\n") == "stopped; `make demo` starts it afresh\n"


@pytest.mark.parametrize(
    "sign", ["control.db", pytest.param("server.json", marks=pytest.mark.slow)], ids=["bars arrive", "years of service"]
)
def test_the_demo_at_work(tmp_path, sign):
    root = tmp_path / "demo"
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.market_risk", "--root", str(root)], cwd=TOP, env=ENV, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    until((root / ".modelway" / sign).exists, 120, f"no {sign}")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: `modelway up`, its child, hears it too
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err == "stopping …\nstopped; `make demo` starts it afresh\n"
    until(lambda: processes(root) == (), SOON, "a process was left behind")
