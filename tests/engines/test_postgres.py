"""The control database on PostgreSQL: what the SQLite tests ask, and several writers at once."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from modelway.errors import EngineError
from modelway.records import Trigger
from modelway.state import champions, leases, ledger, runs
from modelway.state.database import Database
from tests.unit.registry.test_versions import *  # noqa: F403
from tests.unit.state.test_ledger import *  # noqa: F403
from tests.unit.state.test_runs import *  # noqa: F403

pytestmark = pytest.mark.engines
del test_any_change_of_an_entry_is_found  # noqa: F821 - a property test over SQLite files of its own

AT = datetime(2024, 1, 1, tzinfo=UTC)


def test_migrating_twice_changes_nothing(database):
    database.migrate()
    database.ping()
    assert database.revision() == "0003"


def again(write):
    """Serializable transactions may be refused when they meet: the caller tries again."""
    while True:
        try:
            return write()
        except EngineError as error:
            if not error.transient:
                raise


def test_many_writers_leave_one_unbroken_ledger(database):
    url = database.engine.url

    def write(name):
        mine = Database(url.render_as_string(hide_password=False))
        for n in range(15):
            again(lambda n=n: runs.open_run(mine, f"{name}{n}", "loans", Trigger("manual", "x", name), AT))
            again(lambda n=n: runs.open_run(mine, f"shared{n}", "loans", Trigger("manual", "x", "all"), AT))
        mine.close()

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert ledger.verify(database) == 3 * 15 + 15
    assert len(runs.pending(database, "loans")) == 60


def test_of_many_takers_one_gets_the_lease(database):
    got, url = [], database.engine.url.render_as_string(hide_password=False)

    def take(name):
        mine = Database(url)
        got.append(again(lambda: leases.take(mine, "model/loans", name, AT, timedelta(minutes=1))))
        mine.close()

    threads = [threading.Thread(target=take, args=(name,)) for name in "abcde"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(lease is not None for lease in got) == 1


def test_a_champion_changes_in_one_transaction(database):
    def crowned_then_failed():
        with database.write() as connection:
            champions.set_champion(connection, "loans", 1, AT, who="ann", reason="first")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        crowned_then_failed()
    with database.read() as connection:
        assert champions.champion(connection, "loans") is None
    assert ledger.verify(database) == 0


def test_a_database_that_is_not_there_is_an_engine_error_without_its_password(monkeypatch):
    monkeypatch.setenv("MODELWAY_STATE_PASSWORD", "hunter2")
    with pytest.raises(EngineError) as caught:
        Database("postgresql+psycopg://modelway@127.0.0.1:1/none").ping()
    assert "hunter2" not in str(caught.value)
