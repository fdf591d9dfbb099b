"""Ctrl-C at any time and a full disk: nothing is half done, and the same command goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.projects import ENV, bank, modelway, ok, processes, records, standing
from tests.support.running import until


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bank(tmp_path_factory.mktemp("luck"))


@pytest.fixture
def root(untouched: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(untouched, tmp_path / "bank"))


def running_up_to(root: Path, stage: str) -> tuple[subprocess.Popen[str], list[str]]:
    """A run that has come to this stage, and what it said until then."""
    process = subprocess.Popen(
        [sys.executable, "-m", "modelway", "run", "loans"], cwd=root, env=ENV,
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    said = []
    for line in process.stderr:
        said.append(line)
        if line.strip() == stage:
            break
    return process, said


@pytest.mark.parametrize("stage", ["features", "training", "proving parity", "gates"])
def test_ctrl_c_while_it_works(root, stage):
    process, said = running_up_to(root, stage)
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    assert process.wait(60) == 130, (said, rest)
    assert "nothing is half done" in rest
    assert "Traceback" not in rest
    until(lambda: processes(root) == (), what="a process was left behind")
    done = records(root, "run", "loans")
    assert (done["run"]["id"], done["version"]["number"]) == ("loans-0001", 1)
    assert [e["action"] for e in records(root, "history", "loans")["entries"]] == ["run", "registered"]


def test_a_stopped_run_is_not_gone_on_with_when_the_model_was_changed_since(root):
    said = modelway("run", "loans", cwd=root, env={"MODELWAY_KILL_AT": "step.after-train"})
    assert said.code == -9
    model = root / "models/loans/model.py"
    model.write_text(model.read_text() + "\n# another thought\n")
    done = records(root, "run", "loans")
    assert done["run"]["id"] == "loans-0002"
    actions = [(e["action"], e["subject"]) for e in records(root, "history", "loans")["entries"]]
    assert actions == [
        ("run", "loans-0001"),
        ("run_failed", "loans-0001"),
        ("run", "loans-0002"),
        ("registered", "loans@1"),
    ]


def test_a_second_run_while_one_is_under_way_is_refused(root):
    process, _ = running_up_to(root, "features")
    second = modelway("run", "loans", cwd=root)
    process.communicate(timeout=120)
    assert (second.code, process.returncode) == (7, 0), second
    assert "run/loans-0001 is being worked on by another process" in second.err
    assert "wait until it is done" in second.err
    actions = [(e["action"], e["subject"]) for e in records(root, "history", "loans")["entries"]]
    assert actions == [("run", "loans-0001"), ("registered", "loans@1")]


def in_small_space(place: Path, size: str, script: str) -> subprocess.CompletedProcess[str] | None:
    """Run a shell script with `place` on a tmpfs of that size."""
    return mounted(f"mount -t tmpfs -o size={size} tmpfs {place}", script)


def mounted(mount: str, script: str) -> subprocess.CompletedProcess[str] | None:
    """Run a shell script after a mount, in a mount namespace of its own; None where that is refused."""
    flags = ["-m"] if os.geteuid() == 0 else ["-rm"]
    if shutil.which("unshare") is None:
        return None
    if subprocess.run(["unshare", *flags, "sh", "-c", mount], capture_output=True, check=False).returncode:
        return None
    return subprocess.run(
        ["unshare", *flags, "sh", "-c", f"{mount} && {script}"], capture_output=True, text=True, env=ENV, check=False, timeout=120
    )  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="a small tmpfs needs Linux")
def test_a_full_disk_is_said_and_leaves_all_as_it_was(root, tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    py = f"{sys.executable} -m modelway"
    script = f"""
cp -r {root} {place}/bank && cd {place}/bank && {py} ingest loans --json > /dev/null || exit 99
cp train.csv more.csv; sed -i 's/^L/M/' more.csv; sed -i 's/train.csv/more.csv/' models/loans/modelway.yaml
dd if=/dev/zero of={place}/filler bs=1k 2> /dev/null
{py} ingest loans 2> {tmp_path}/said; echo $? > {tmp_path}/code
rm {place}/filler && {py} ingest loans --json > {tmp_path}/after && cp -r {place}/bank {tmp_path}/kept
"""
    done = in_small_space(place, "6m", script)
    if done is None:
        pytest.skip("this machine lets nobody mount a tmpfs in a namespace of its own")
    assert done.returncode == 0, done
    said = (tmp_path / "said").read_text()
    assert (tmp_path / "code").read_text().strip() == "8", said
    assert "disk is full" in said or "cannot grow" in said
    assert "free space" in said
    assert "Traceback" not in said
    kept = standing(tmp_path / "kept")
    assert kept.ledger == 0
    from modelway.workspace import open_workspace

    workspace = open_workspace(tmp_path / "kept")
    rows = workspace.lake.read("loans")
    workspace.close()
    assert (rows.height, rows["_key"].n_unique()) == (1200, 1200)


@pytest.mark.skipif(sys.platform != "linux", reason="a small tmpfs needs Linux")
def test_up_on_a_full_disk_says_so(root, tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    script = f"""
cp -r {root} {place}/bank && cd {place}/bank && dd if=/dev/zero of={place}/filler bs=1k 2> /dev/null
{sys.executable} -m modelway up
"""
    done = in_small_space(place, "6m", script)
    if done is None:
        pytest.skip("this machine lets nobody mount a tmpfs in a namespace of its own")
    assert (done.returncode, done.stderr.count("\n")) == (8, 2), done
    assert f"{place}/bank/.modelway: the disk is full\n  fix: free space" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="a read-only mount needs Linux")
def test_a_workspace_that_cannot_be_written_is_named_with_the_way_out_by_every_command(root):
    commands = ("up", "status", "run loans", "release loans", "history loans")
    each = "\n".join(f"{sys.executable} -m modelway {words}; echo $?" for words in commands)
    script = f"cd {root}\n{each}\n{sys.executable} -m modelway doctor --json"
    done = mounted(f"mount --bind {root} {root} && mount -o remount,ro,bind {root}", script)
    if done is None:
        pytest.skip("this machine lets nobody mount in a namespace of its own")
    said = f"{root}/.modelway cannot be written (read-only file system)\n  fix: mount it for writing, or work in a copy elsewhere\n"
    assert done.stderr == said * len(commands)
    *codes, found = done.stdout.split("\n", len(commands))
    assert codes == ["8"] * len(commands)
    doctor = {line["engine"]: line for line in json.loads(found)}
    for engine in ("control database", "event log", "lake", "artefacts"):
        assert "cannot be written (read-only file system)" in doctor[engine]["found"]
        assert "mount it for writing" in doctor[engine]["fix"]


def test_status_of_a_workspace_in_which_nothing_runs(root):
    assert "not running" in ok("status", cwd=root)
