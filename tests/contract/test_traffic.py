"""The traffic port's checks over the embedded file, and what is the file's own."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from modelway.errors import DiskFullError, EngineError
from modelway.records import Route
from modelway.rollout.embedded import EmbeddedTraffic
from modelway.testing.traffic import Reopen, TrafficChecks

ROUTE = Route("a", {"1": 1.0}, {"1": "d" * 64})


@pytest.fixture
def reopen(tmp_path) -> Reopen:
    return lambda: EmbeddedTraffic(tmp_path / "routes.json")


class TestEmbedded(TrafficChecks): ...


@pytest.mark.parametrize("torn", [b"", b'{"a": {"model"', b"[]", b"\xff"])
def test_a_file_that_cannot_be_read_is_written_anew(tmp_path, torn):
    (tmp_path / "routes.json").write_bytes(torn)
    traffic = EmbeddedTraffic(tmp_path / "routes.json")
    assert traffic.routes() == {}
    traffic.apply(ROUTE)
    assert traffic.routes()["a"].shares == {"1": 1.0}


@pytest.mark.parametrize("point", ["traffic.before-rename", "traffic.after-rename"])
def test_a_kill_leaves_the_routes_before_or_after(tmp_path, point):
    EmbeddedTraffic(tmp_path / "routes.json").apply(ROUTE)
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from modelway.records import Route
        from modelway.rollout.embedded import EmbeddedTraffic
        EmbeddedTraffic(Path(sys.argv[1])).apply(Route("a", {"2": 1.0}, {"2": "e" * 64}))
    """)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "routes.json")],
        env={**os.environ, "MODELWAY_KILL_AT": point},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    traffic = EmbeddedTraffic(tmp_path / "routes.json")
    assert set(traffic.routes()["a"].shares) == ({"1"} if point.endswith("before-rename") else {"2"})
    traffic.apply(Route("a", {"2": 1.0}, {"2": "e" * 64}))
    assert set(traffic.routes()["a"].shares) == {"2"}


def test_a_full_disk_is_said_and_changes_nothing(tmp_path, monkeypatch):
    traffic = EmbeddedTraffic(tmp_path / "routes.json")
    traffic.apply(ROUTE)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError, match=r"routes\.json"):
        traffic.apply(Route("a", {"2": 1.0}, {"2": "e" * 64}))
    assert set(traffic.routes()["a"].shares) == {"1"}
    assert {p.name for p in tmp_path.iterdir()} == {"routes.json", "routes.json.lock"}


def test_a_folder_that_is_not_there_is_an_engine_error(tmp_path):
    traffic = EmbeddedTraffic(tmp_path / "nowhere" / "routes.json")
    with pytest.raises(EngineError, match="nowhere"):
        traffic.ping()
    with pytest.raises(EngineError, match="nowhere"):
        traffic.apply(ROUTE)
