"""The clock's checks over the wall's, the replay's and a hand-set one, and what is each one's own."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from modelway.clock import Clock, WallClock
from modelway.errors import StateError
from modelway.state.database import Database
from modelway.state.replay_clock import ReplayClock, replay_time, set_replay_time
from modelway.testing.clock import HOUR, START, ClockChecks, ManualClock, Move


class TestWall(ClockChecks):
    @pytest.fixture
    def machine(self, monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
        """What the machine's own clock says."""
        said = [START]
        monkeypatch.setattr(time, "time", lambda: said[0].timestamp())
        return said

    @pytest.fixture
    def clock(self, machine: list[datetime]) -> Clock:
        return WallClock()

    @pytest.fixture
    def move(self, machine: list[datetime]) -> Move:
        return lambda by: machine.__setitem__(0, machine[0] + by)


class TestReplay(ClockChecks):
    @pytest.fixture
    def database(self, tmp_path: Path) -> Iterator[Database]:
        opened = Database(f"sqlite:///{tmp_path / 'control.db'}")
        opened.migrate()
        set_replay_time(opened, START)
        yield opened
        opened.close()

    @pytest.fixture
    def clock(self, database: Database) -> Clock:
        return ReplayClock(database)

    @pytest.fixture
    def move(self, database: Database) -> Move:
        return lambda by: set_replay_time(database, (replay_time(database) or START) + by)


class TestManual(ClockChecks):
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def move(self, clock: ManualClock) -> Move:
        return clock.move


def test_the_wall_clock_is_the_machines():
    before, told, after = datetime.now(UTC), WallClock().now(), datetime.now(UTC)
    assert before - timedelta(microseconds=1) <= told <= after + timedelta(microseconds=1)


def test_a_thread_that_was_held_up_does_not_set_the_wall_clock_back(monkeypatch):
    reading, read_on = threading.Event(), threading.Event()
    machine = {"slow": START - HOUR, "MainThread": START}

    def held_up() -> float:
        name = threading.current_thread().name
        if name == "slow":
            reading.set()
            read_on.wait(0.2)
        return machine[name].timestamp()

    monkeypatch.setattr(time, "time", held_up)
    clock, told = WallClock(), []
    slow = threading.Thread(target=lambda: told.append(clock.now()), name="slow")
    slow.start()
    assert reading.wait(10)
    before = clock.now()
    read_on.set()
    slow.join(10)
    machine["MainThread"] = START - HOUR
    assert clock.now() == before == START


def test_a_replay_clock_without_a_replay_says_so(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'control.db'}")
    database.migrate()
    with pytest.raises(StateError, match="not being replayed"):
        ReplayClock(database).now()
    database.close()


def test_a_hand_set_clock_takes_aware_times_only_and_shows_them_in_utc():
    clock = ManualClock()
    clock.set(datetime(2026, 1, 5, 15, tzinfo=timezone(2 * HOUR)))
    assert clock.now() == START + HOUR
    assert clock.now().tzinfo is UTC
    with pytest.raises(StateError, match="go back"):
        clock.set(START)
    with pytest.raises(StateError, match="no zone"):
        ManualClock(START.replace(tzinfo=None))
