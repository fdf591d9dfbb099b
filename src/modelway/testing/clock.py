"""What every clock must keep: subclass ClockChecks in a test module and give it `clock` and `move`; and a clock set by hand."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from modelway.clock import Clock
from modelway.errors import ModelwayError, StateError

Move = Callable[[timedelta], object]
"""Moves what the clock reads, also back; may raise ModelwayError where that is refused."""
HOUR, MICROSECOND = timedelta(hours=1), timedelta(microseconds=1)
START = datetime(2026, 1, 5, 12, tzinfo=UTC)


class ManualClock(Clock):
    """Stands still until a test moves it."""

    def __init__(self, start: datetime = START) -> None:
        self._now = _aware(start)

    def now(self) -> datetime:
        return self._now

    def set(self, now: datetime) -> None:
        """Raises StateError when that would go back."""
        if _aware(now) < self._now:
            raise StateError(
                f"a clock cannot go back from {self._now.isoformat()} to {now.isoformat()}", "make another"
            )
        self._now = _aware(now)

    def move(self, by: timedelta) -> None:
        """Raises StateError when that would go back."""
        self.set(self._now + by)


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise StateError(f"{moment.isoformat()} has no zone", "write datetime(…, tzinfo=UTC)")
    return moment.astimezone(UTC)


class ClockChecks:
    """Each check takes the fixtures `clock` and `move`; but for `move`, what the clock reads stands still."""

    def test_its_time_is_aware_and_in_utc(self, clock: Clock) -> None:
        assert clock.now().tzinfo is UTC

    def test_it_tells_a_microsecond_from_the_next(self, clock: Clock, move: Move) -> None:
        before = clock.now()
        move(MICROSECOND)
        assert clock.now() == before + MICROSECOND

    def test_it_follows_and_reading_it_changes_nothing(self, clock: Clock, move: Move) -> None:
        before = clock.now()
        assert clock.now() == before
        move(24 * HOUR)
        assert clock.now() == before + 24 * HOUR

    def test_it_never_goes_back_and_goes_on_from_where_it_was(self, clock: Clock, move: Move) -> None:
        move(HOUR)
        before = clock.now()
        with suppress(ModelwayError):
            move(-HOUR)
        assert clock.now() == before
        move(3 * HOUR)
        assert clock.now() > before

    def test_it_goes_back_for_no_thread(self, clock: Clock, move: Move) -> None:
        read: list[list[datetime]] = [[] for _ in range(3)]

        def look(into: list[datetime]) -> None:
            into.extend(clock.now() for _ in range(200))

        threads = [threading.Thread(target=look, args=(into,)) for into in read]
        for thread in threads:
            thread.start()
        for _ in range(20):
            move(MICROSECOND)
        for thread in threads:
            thread.join(30)
        assert [len(times) for times in read] == [200] * 3
        assert all(times == sorted(times) for times in read)
