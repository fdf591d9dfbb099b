"""The ledger: append-only, chained, written once for each request."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelway.errors import LedgerError
from modelway.state import champions, freezes, ledger, schema
from modelway.state.schema import ledger as table

AT = datetime(2024, 1, 1, tzinfo=UTC)


def wrote(database, number, *, model="loans", request=None, action="note"):
    with database.write() as connection:
        return ledger.write(
            connection,
            at=AT + timedelta(hours=number),
            who="ann",
            action=action,
            model=model,
            subject=f"{model}@{number}",
            reason="because",
            data={"ä": number, "b": [1.5, None]},
            request=request or f"r{number}",
        )


def test_entries_are_chained_and_the_chain_verifies(database):
    entries = [wrote(database, n) for n in range(5)]
    assert [e.number for e in entries] == [1, 2, 3, 4, 5]
    assert [e.previous for e in entries[1:]] == [e.digest for e in entries[:-1]]
    assert ledger.verify(database) == 5
    assert ledger.history(database) == tuple(entries)


def test_the_same_request_twice_is_one_entry(database):
    first = wrote(database, 1, request="same")
    assert wrote(database, 2, request="same") == first
    assert ledger.verify(database) == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    number=st.integers(1, 4),
    change=st.sampled_from([{"reason": "x"}, {"who": "bob"}, {"data": "{}"}, {"at": AT}, {"request": "z"}, {"digest": "0" * 64}]),
)  # fmt: skip
def test_any_change_of_an_entry_is_found(tmp_path_factory, number, change):
    from modelway.state.database import Database

    database = Database(f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'control.db'}")
    database.migrate()
    for n in range(1, 5):
        wrote(database, n)
    with database.write() as connection:
        connection.execute(table.update().where(table.c.number == number).values(**change))
    with pytest.raises(LedgerError, match=f"entry {number}"):
        ledger.verify(database)
    database.close()


def test_a_missing_entry_is_found(database):
    for n in range(3):
        wrote(database, n)
    with database.write() as connection:
        connection.execute(sa.delete(table).where(table.c.number == 2))
    with pytest.raises(LedgerError, match="entry 2 is missing"):
        ledger.verify(database)


def test_history_is_of_a_model_and_of_all_models_and_ends_at_a_moment(database):
    wrote(database, 1)
    wrote(database, 2, model="cards")
    wrote(database, 3, model="*")
    wrote(database, 4)
    assert [e.number for e in ledger.history(database, "loans")] == [1, 3, 4]
    assert [e.number for e in ledger.history(database, "loans", AT + timedelta(hours=3))] == [1, 3]


def test_the_state_at_a_moment_is_read_off_the_ledger(database):
    with database.write() as connection:
        champions.set_champion(connection, "loans", 1, AT, who="ann", reason="first")
        champions.set_champion(connection, "loans", 1, AT, who="ann", reason="again")
    freezes.freeze(database, "*", "bob", "audit", AT + timedelta(days=1))
    with database.write() as connection:
        champions.set_champion(connection, "loans", 2, AT + timedelta(days=2), who="ann", reason="better")
    freezes.thaw(database, "*", "bob", "over", AT + timedelta(days=3))
    entries = ledger.history(database)
    assert len(entries) == 4

    def at(days):
        return ledger.state_at(entries, AT + timedelta(days=days))["loans"]

    assert (at(0)["champion"], at(0)["frozen"]) == (1, False)
    assert (at(1)["champion"], at(1)["frozen"]) == (1, True)
    assert (at(2)["champion"], at(2)["frozen"]) == (2, True)
    assert (at(3)["champion"], at(3)["frozen"]) == (2, False)
    assert ledger.state_at(entries, AT - timedelta(days=1)) == {}


def test_a_freeze_names_who_and_why_and_freezing_twice_is_freezing_once(database):
    assert freezes.frozen(database, "loans") is None
    assert freezes.freeze(database, "loans", "bob", "incident 7", AT)
    assert not freezes.freeze(database, "loans", "ann", "another", AT)
    assert "bob" in str(freezes.frozen(database, "loans"))
    assert "incident 7" in str(freezes.frozen(database, "loans"))
    assert freezes.frozen(database, "cards") is None
    assert freezes.thaw(database, "loans", "bob", "over", AT)
    assert not freezes.thaw(database, "loans", "bob", "over", AT)
    assert [e.action for e in ledger.history(database, "loans")] == ["freeze", "thaw"]


@pytest.mark.parametrize("kept", [0, 2])
def test_entries_cut_off_at_the_end_are_found(database, kept):
    for n in range(4):
        wrote(database, n)
    with database.write() as connection:
        connection.execute(sa.delete(table).where(table.c.number > kept))
    with pytest.raises(LedgerError, match=f"ends at entry {kept}, but entry 4 was the last"):
        ledger.verify(database)


def test_a_champion_that_the_ledger_does_not_know_is_found(database):
    with database.write() as connection:
        champions.set_champion(connection, "loans", 1, AT, who="ann", reason="first")
        champions.set_champion(connection, "loans", 3, AT, who="ann", reason="better")
    assert ledger.verify(database) == 2
    with database.write() as connection:
        connection.execute(schema.champions.update().values(version=2))
    with pytest.raises(LedgerError, match="loans@2 stands as champion, and the ledger says @3"):
        ledger.verify(database)
