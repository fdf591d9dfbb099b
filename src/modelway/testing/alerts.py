"""What every alert sink must keep: subclass AlertSinkChecks in a test module and give it the fixtures `sink` and `seen`."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from modelway.monitoring.alerts import AlertSink
from modelway.records import Alert

OPENED = datetime(2026, 1, 5, 12, tzinfo=UTC)
ALERT = Alert("loans", "drift", "ticket", "loans@3: 2 of 9 columns drifted – income\nage", OPENED)
Seen = Callable[[], list[str]]
"""What reached the place, one text for each alert, in order."""


class AlertSinkChecks:
    """Each check takes the fixtures `sink` and `seen`; at the start nothing has been sent."""

    def test_what_was_sent_is_there_when_send_returns(self, sink: AlertSink, seen: Seen) -> None:
        sink.send(ALERT)
        (text,) = seen()
        assert all(part in text for part in ("loans", "drift", "ticket", "income", "2026-01-05"))

    def test_alerts_come_in_order_and_one_by_one(self, sink: AlertSink, seen: Seen) -> None:
        causes = [f"trouble: number {n}" for n in range(5)]
        for cause in causes:
            sink.send(replace(ALERT, cause=cause))
        assert [next(c for c in causes if c in text) for text in seen()] == causes

    def test_the_end_of_a_cause_can_be_told_from_its_beginning(self, sink: AlertSink, seen: Seen) -> None:
        sink.send(ALERT)
        sink.send(replace(ALERT, closed=OPENED + timedelta(days=45)))
        opened, closed = seen()
        assert "2026-02-19" in closed
        assert "2026-02-19" not in opened

    def test_the_same_alert_twice_is_no_error(self, sink: AlertSink, seen: Seen) -> None:
        sink.send(ALERT)
        sink.send(ALERT)
        assert len(seen()) == 2

    def test_ping_returns_and_sends_nothing(self, sink: AlertSink, seen: Seen) -> None:
        sink.ping()
        assert seen() == []

    def test_its_name_is_the_specs(self, sink: AlertSink) -> None:
        assert sink.name in ("terminal", "file") or sink.name.partition(":")[0] == "webhook"
