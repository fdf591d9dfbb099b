"""Killed at any point of an automatic retraining and release, and started again: everything ends as if nothing had happened."""

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.killing import KILLED, passages, run_apart, start_apart
from tests.support.thorough import part
from tests.support.world import DAYS, begin, drive, founded, outcome, tick

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world") / "base"
    founded(root)
    return root


@pytest.fixture(scope="module")
def undisturbed(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[str]]:
    """What the world comes to, and the named points that it passes."""
    root = tmp_path_factory.mktemp("undisturbed") / "world"
    shutil.copytree(base, root)
    points = passages(drive, root, trace=root.parent / "trace")
    found = outcome(root)
    assert [number for number, *_ in found["versions"]] == [1, 2]
    assert found["champion"] == 2
    actions = {action for action, *_ in found["ledger"]}
    assert actions >= {"run", "registered", "release", "champion", "retraining_refused"}
    return found, points


def killed_then_whole(base: Path, root: Path, kill_at: str) -> dict[str, Any]:
    shutil.copytree(base, root)
    assert run_apart(drive, root, kill_at=kill_at) == KILLED
    assert run_apart(drive, root) == 0
    found = outcome(root)
    shutil.rmtree(root)
    return found


def test_killed_at_named_points(base, undisturbed, tmp_path):
    wanted, points = undisturbed
    for number, name in enumerate(part(sorted(set(points)), 12)):
        passage = 1 + points.count(name) // 2
        assert killed_then_whole(base, tmp_path / str(number), f"{name}:{passage}") == wanted, (name, passage)


def test_killed_at_seeded_points(base, undisturbed, tmp_path):
    wanted, points = undisturbed
    chosen = part(random.Random(11).sample(range(1, len(points) + 1), 50), 10)
    for number, passage in enumerate(chosen):
        found = killed_then_whole(base, tmp_path / str(number), f"*:{passage}")
        assert found == wanted, (passage, points[passage - 1])


def test_killed_again_and_again(base, undisturbed, tmp_path):
    wanted, points = undisturbed
    root = tmp_path / "world"
    shutil.copytree(base, root)
    chosen, kills = random.Random(5), 0
    while run_apart(drive, root, kill_at=f"*:{chosen.randint(20, len(points) // 4)}") == KILLED:
        kills += 1
        assert kills < 100
    assert kills >= 4
    assert outcome(root) == wanted


def test_two_loops_at_once_do_no_step_twice(base, undisturbed, tmp_path):
    wanted, _ = undisturbed
    root = tmp_path / "world"
    shutil.copytree(base, root)
    for day in range(DAYS):
        assert run_apart(begin, root, day) == 0
        loops = [start_apart(tick, root) for _ in range(2)]
        for loop in loops:
            loop.join(240)
        assert [loop.exitcode for loop in loops] == [0, 0]
    assert outcome(root) == wanted
