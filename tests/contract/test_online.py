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
from modelway.testing.online import GROUPS, OnlineChecks, Opened, event, keys


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    given: list[SqliteOnlineValues] = []

    def another() -> SqliteOnlineValues:
        given.append(SqliteOnlineValues(tmp_path / "online" / "values.db", GROUPS))
        return given[-1]

    yield another
    for one in given:
        one.close()


class TestSqlite(OnlineChecks): ...


@pytest.mark.parametrize("point", ["online.before-commit", "online.after-commit"])
def test_a_kill_leaves_values_and_position_together(tmp_path, point):
    place = tmp_path / "values.db"
    first = SqliteOnlineValues(place, GROUPS)
    first.put([event("a", 1)], {0: 1})
    first.close()
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from modelway.features.sqlite import SqliteOnlineValues
        from modelway.testing.online import GROUPS, event
        SqliteOnlineValues(Path(sys.argv[1]), GROUPS).put([event("b", 2)], {0: 2})
    """)
    done = subprocess.run(
        [sys.executable, "-c", script, str(place)], env={**os.environ, "MODELWAY_KILL_AT": point}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    again = SqliteOnlineValues(place, GROUPS)
    assert (keys(again), again.upto()) == ((["a"], {0: 1}) if point == "online.before-commit" else (["a", "b"], {0: 2}))
    again.put([event("b", 2)], {0: 2})
    assert keys(again) == ["a", "b"]
    again.close()


def test_a_file_that_is_no_database_is_an_engine_error_with_the_way_out(tmp_path):
    (tmp_path / "values.db").write_bytes(b"no database at all, and long enough to be looked at as one" * 20)
    with pytest.raises(EngineError, match=r"values\.db") as caught:
        SqliteOnlineValues(tmp_path / "values.db", GROUPS)
    assert "built again" in caught.value.fix


def test_no_byte_of_what_is_erased_is_left_beside_an_open_reader(tmp_path):
    place = tmp_path / "values.db"
    values, reader = (SqliteOnlineValues(place, GROUPS) for _ in range(2))
    for n in range(300):
        values.put([event(f"erna-{n}", n, card="mustermann"), event(f"k{n}", n)], {0: n})
    values.put([event("k7", 8, arrived=900, card="mustermann")], {0: 300})
    values.put([event("k7", 8, arrived=901)], {0: 301})
    assert keys(reader, entity=("mustermann",))
    assert values.erase([f"erna-{n}" for n in range(300)], {"card": "mustermann"}) == 303
    left = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"k299" in left
    assert b"erna" not in left
    assert b"mustermann" not in left
    assert len(keys(reader)) == 299
    for handle in (values, reader):
        handle.close()


@pytest.mark.parametrize("point", ["online.before-commit", "online.after-erase"])
def test_an_erasure_that_was_killed_is_ended_by_the_next_call(tmp_path, point):
    place = tmp_path / "values.db"
    values = SqliteOnlineValues(place, GROUPS)
    values.put([event("erna", 1, card="c2"), event("b", 2)], {0: 2})
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from modelway.features.sqlite import SqliteOnlineValues
        from modelway.testing.online import GROUPS
        SqliteOnlineValues(Path(sys.argv[1]), GROUPS).erase([], {"card": "c2"})
    """)
    asked = [sys.executable, "-c", script, str(place)]
    done = subprocess.run(asked, env={**os.environ, "MODELWAY_KILL_AT": point}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert keys(values, (), ()) == (["erna", "b"] if point == "online.before-commit" else ["b"])
    values.erase([], {"card": "c2"})
    assert keys(values, (), ()) == ["b"]
    assert not any(b"erna" in file.read_bytes() for file in tmp_path.iterdir())
    values.close()
