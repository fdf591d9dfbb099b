"""`modelway up`: ready soon, one a workspace, revives what dies, and leaves no process behind."""

import os
import shutil
import signal
import socket
from pathlib import Path

import httpx
import pytest

from tests.support.projects import bank, modelway, ok, processes, records, standing
from tests.support.running import address, server_process, until, up


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one released version."""
    root = bank(tmp_path_factory.mktemp("up"))
    ok("run", "loans", cwd=root)
    ok("release", "loans", cwd=root)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "bank"))


def champion(root: Path) -> object:
    return records(root, "status")["models"]["loans"]["champion"]


def test_up_serves_what_was_released_and_ctrl_c_leaves_no_process(root):
    with up(root) as process:
        until(lambda: champion(root) == 1, what="nothing was released")
        assert "by loans@1" in ok("predict", "loans", "--data", "train.csv", "--out", "pred.csv", cwd=root)
        assert len(processes(root)) >= 3
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert "stopped" in out
    assert processes(root) == ()
    assert address(root) is None
    assert "Fatal" not in (root / ".modelway/logs/control.log").read_text()


def test_a_second_up_is_refused_and_the_first_goes_on(root):
    with up(root):
        until(lambda: champion(root) == 1, what="nothing was released")
        before = standing(root)
        said = modelway("up", cwd=root)
        assert said.code == 2
        assert "is up already" in said.err
        assert "fix: " in said.err
        assert standing(root) == before
        assert httpx.get(f"{address(root)}/v2/health/live").status_code == 200


def test_a_port_in_use_is_said_with_the_way_out(root):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        (root / "stack.yaml").write_text(f"serving: {{port: {port}}}\n")
        before = standing(root)
        said = modelway("up", cwd=root)
    assert said.code == 8
    assert f"{port}" in said.err
    assert "in use" in said.err
    assert "stack.yaml" in said.err
    assert "Traceback" not in said.err
    assert standing(root) == before


def test_a_server_that_is_killed_is_started_again(root):
    with up(root):
        until(lambda: champion(root) == 1, what="nothing was released")
        first = server_process(root)
        os.kill(first, signal.SIGKILL)

        def back() -> bool:
            try:
                return (
                    server_process(root) != first and httpx.get(f"{address(root)}/v2/health/ready").status_code == 200
                )
            except (FileNotFoundError, httpx.TransportError):
                return False

        until(back, what="the server was not started again")
        ok("predict", "loans", "--data", "train.csv", "--out", "pred.csv", cwd=root)
    assert processes(root) == ()


def test_a_supervisor_that_is_killed_takes_its_children_with_it(root):
    with up(root) as process:
        process.kill()
        process.wait(10)
        until(lambda: processes(root) == (), what=lambda: f"children were left behind: {processes(root)}")
    ok("status", cwd=root)
    with up(root):
        until(lambda: champion(root) == 1, what="nothing was released")


def test_while_one_model_trains_the_others_are_tended(root):
    slow = root / "models/ahead"
    shutil.copytree(root / "models/loans", slow)
    spec = slow / "modelway.yaml"
    spec.write_text(spec.read_text().replace("model: loans", "model: ahead"))
    assert modelway("run", "ahead", cwd=root, env={"MODELWAY_KILL_AT": "step.after-ingest"}).code == -9
    wait = slow / "wait"
    wait.touch()
    code = slow / "model.py"
    held = "    import pathlib, time\n    while pathlib.Path(__file__).with_name('wait').exists():\n        time.sleep(0.02)\n"
    code.write_text(code.read_text().replace("def build(params):\n", "def build(params):\n" + held))
    assert held in code.read_text()

    def state() -> object:
        return records(root, "status")["models"]["ahead"]["run"]["state"]

    with up(root):
        until(lambda: state() == "running", what="the run that was left is not gone on with")
        until(lambda: champion(root) == 1, what="the other model was not tended")
        assert state() == "running"
        wait.unlink()
        until(lambda: state() == "done", what=lambda: f"the run ended {state()}")
    assert processes(root) == ()


def test_predictions_reach_the_lake_and_the_second_version_goes_through_shadow(root):
    with up(root):
        until(lambda: champion(root) == 1, what="nothing was released")
        (root / "models/loans/model.py").write_text(
            (root / "models/loans/model.py").read_text().replace('params.get("C", 1.0)', 'params.get("C", 0.5)')
        )
        version = records(root, "run", "loans")["version"]
        assert version["number"] == 2
        assert [v["gate"] for v in version["validation"]["verdicts"]][:2] == ["baseline", "champion"]
        if not version["accepted"]:
            said = modelway("release", "loans", "--version", "2", cwd=root)
            assert said.code == 7
            return
        ok("release", "loans", cwd=root)
        until(lambda: records(root, "status")["models"]["loans"]["release"]["state"] == "shadow", what="no shadow")
        ok("predict", "loans", "--data", "train.csv", "--out", "pred.csv", cwd=root)

        def in_shadow() -> bool:
            ok("ingest", "loans", cwd=root)
            return rows_in_shadow(root) >= 600

        until(in_shadow, what="the challenger did not answer in shadow")
        assert champion(root) == 1


def rows_in_shadow(root: Path) -> int:
    from modelway.workspace import open_workspace

    workspace = open_workspace(root)
    try:
        rows = workspace.lake.read("loans_predictions")
        return rows.filter(rows["shadow"]).height
    finally:
        workspace.close()
