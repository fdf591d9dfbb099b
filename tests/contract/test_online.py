"""The checks of online values over SQLite, and what is SQLite's own."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelway.errors import EngineError
from modelway.features.sqlite import SqliteOnlineValues
from modelway.testing.online import OnlineChecks, Opened, event, keys


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    given: list[SqliteOnlineValues] = []

    def another() -> SqliteOnlineValues:
        given.append(SqliteOnlineValues(tmp_path / "online" / "values.db"))
        return given[-1]

    yield another
    for one in given:
        one.close()


class TestSqlite(OnlineChecks): ...


@pytest.mark.parametrize("point", ["online.before-commit", "online.after-commit"])
def test_a_kill_leaves_values_and_position_together(tmp_path, point):
    place = tmp_path / "values.db"
    first = SqliteOnlineValues(place)
    first.put([event("a", 1)], {0: 1})
    first.close()
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from modelway.features.sqlite import SqliteOnlineValues
        from modelway.testing.online import event
        SqliteOnlineValues(Path(sys.argv[1])).put([event("b", 2)], {0: 2})
    """)
    done = subprocess.run(
        [sys.executable, "-c", script, str(place)], env={**os.environ, "MODELWAY_KILL_AT": point}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    again = SqliteOnlineValues(place)
    assert (keys(again), again.upto()) == ((["a"], {0: 1}) if point == "online.before-commit" else (["a", "b"], {0: 2}))
    again.put([event("b", 2)], {0: 2})
    assert keys(again) == ["a", "b"]
    again.close()


def test_a_file_that_is_no_database_is_an_engine_error_with_the_way_out(tmp_path):
    (tmp_path / "values.db").write_bytes(b"no database at all, and long enough to be looked at as one" * 20)
    with pytest.raises(EngineError, match=r"values\.db") as caught:
        SqliteOnlineValues(tmp_path / "values.db")
    assert "built again" in caught.value.fix
