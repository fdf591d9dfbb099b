"""Alerts: one for each cause, closed when it is over; the outbox loses nothing, whatever dies between."""

import os
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelway.errors import EngineError, LeaseLostError
from modelway.monitoring.alerts import AlertSink, book, deliver, family, open_alerts
from modelway.monitoring.sinks import line
from modelway.records import Alert
from modelway.state import leases
from modelway.state.database import Database

T0 = datetime(2026, 3, 2, tzinfo=UTC)


class Heard(AlertSink):
    def __init__(self, name="terminal"):
        self.name, self.works, self.got = name, True, []

    def send(self, alert):
        if not self.works:
            raise EngineError(f"{self.name} is away", transient=True)
        self.got.append(alert)

    def ping(self): ...


def causes(*names):
    return {name: ("ticket", f"about {name}") for name in names}


def at(hours):
    return T0 + timedelta(hours=hours)


def test_one_alert_for_a_cause_however_often_it_is_seen(database):
    opened, closed = book(database, "loans", causes("drift"), at(0))
    assert (opened, closed) == ((Alert("loans", "drift", "ticket", "about drift", at(0)),), ())
    assert book(database, "loans", causes("drift"), at(1)) == ((), ())
    assert open_alerts(database, "loans") == opened
    opened, closed = book(database, "loans", causes("errors"), at(2))
    assert ([a.cause for a in opened], [(a.cause, a.opened, a.closed) for a in closed]) == (
        ["errors"],
        [("drift", at(0), at(2))],
    )
    assert open_alerts(database, "cards") == ()


def test_only_what_was_looked_at_can_be_over(database):
    book(database, "loans", causes("drift", "volume", "trouble: no space"), at(0))
    assert book(database, "loans", {}, at(1), scope={"errors"}) == ((), ())
    closed = book(database, "loans", {}, at(1), scope={"drift", "trouble"})[1]
    assert {a.cause for a in closed} == {"drift", "trouble: no space"}
    assert [a.cause for a in open_alerts(database, "loans")] == ["volume"]
    assert (family("trouble: a: b"), family("drift")) == ("trouble", "drift")


def test_a_cause_that_comes_back_is_a_new_alert_and_at_the_same_moment_the_same(database):
    for hour, names in ((0, ["drift"]), (1, []), (2, ["drift"]), (2, []), (2, ["drift"])):
        book(database, "loans", causes(*names), at(hour))
    assert [(a.opened, a.closed) for a in open_alerts(database, "loans")] == [(at(2), None)]


def test_a_very_long_cause_is_still_one_alert(database):
    long = "trouble: " + "x" * 300
    assert len(book(database, "loans", causes(long), at(0))[0]) == 1
    assert book(database, "loans", causes(long), at(1)) == ((), ())


@given(st.lists(st.sets(st.sampled_from(["drift", "errors", "volume"])), max_size=8))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_sinks_heard_is_what_is_open(tmp_path_factory, sequence):
    opened = Database(f"sqlite:///{tmp_path_factory.mktemp('db') / 'control.db'}")
    opened.migrate()
    sink = Heard()
    for hour, names in enumerate(sequence):
        book(opened, "loans", causes(*names), at(hour))
        deliver(opened, [sink], at(hour))
        heard = set()
        for alert in sink.got:
            (heard.discard if alert.closed else heard.add)(alert.cause)
        assert heard == names == {a.cause for a in open_alerts(opened, "loans")}
    opened.close()


def test_every_sink_is_told_once_and_the_outbox_empties(database):
    a, b = Heard(), Heard("file")
    book(database, "loans", causes("drift", "errors"), at(0))
    assert deliver(database, [a, b], at(0)) == 2
    assert deliver(database, [a, b], at(1)) == 0
    assert [x.cause for x in a.got] == [x.cause for x in b.got] == ["drift", "errors"]
    assert deliver(database, [], at(1)) == 0


def test_a_sink_that_fails_is_tried_again_and_holds_up_no_other(database):
    a, b = Heard(), Heard("webhook:chat")
    b.works = False
    book(database, "loans", causes("drift"), at(0))
    assert deliver(database, [b, a], at(0)) == 0
    book(database, "loans", {}, at(1))
    deliver(database, [b, a], at(0.0001))
    assert [(x.cause, x.closed) for x in a.got] == [("drift", None)]
    deliver(database, [b, a], at(1))
    assert [x.closed for x in a.got] == [None, at(1)]
    b.works = True
    deliver(database, [b, a], at(2))
    assert [x.closed for x in b.got] == [None, at(1)]
    assert [x.closed for x in a.got] == [None, at(1)]


def test_an_end_is_not_told_before_its_beginning(database):
    sink = Heard()
    sink.works = False
    book(database, "loans", causes("drift"), at(0))
    for _ in range(3):
        deliver(database, [sink], at(0))
    sink.works = True
    book(database, "loans", {}, at(0) + timedelta(milliseconds=10))
    deliver(database, [sink], at(0) + timedelta(milliseconds=10))
    assert sink.got == []
    deliver(database, [sink], at(1))
    assert [x.closed is None for x in sink.got] == [True, False]


def test_a_dead_sink_is_asked_ever_more_rarely(database):
    asked = []

    class Dead(Heard):
        def send(self, alert):
            asked.append(alert)
            raise EngineError("away")

    book(database, "loans", causes("drift"), at(0))
    for second in range(3_600):
        deliver(database, [Dead()], at(0) + timedelta(seconds=second))
        if second > 40 and len(asked) < 5:
            break
    assert 5 <= len(asked) <= 15


def test_alerts_of_one_model_go_to_its_own_sinks(database):
    mine, theirs = Heard(), Heard()
    book(database, "loans", causes("drift"), at(0))
    book(database, "cards", causes("errors"), at(0))
    deliver(database, [mine], at(0), model="loans")
    deliver(database, [theirs], at(0), model="cards")
    assert ([x.model for x in mine.got], [x.model for x in theirs.got]) == (["loans"], ["cards"])


def test_nothing_is_booked_by_who_lost_the_lease(database):
    mine = leases.take(database, "model/loans", "a", at(0), timedelta(seconds=1))
    leases.take(database, "model/loans", "b", at(1), timedelta(seconds=1))
    with pytest.raises(LeaseLostError):
        book(database, "loans", causes("drift"), at(1), mine)
    assert open_alerts(database, "loans") == ()


@pytest.mark.parametrize(
    ("point", "times"), [("alerts.before-book", 1), ("alerts.after-book", 1), ("alerts.after-send", 2)]
)
def test_a_kill_loses_no_alert(database, tmp_path, point, times):
    script = textwrap.dedent("""
        import sys
        from datetime import UTC, datetime
        from pathlib import Path
        from modelway.monitoring.alerts import book, deliver
        from modelway.monitoring.sinks import open_sinks
        from modelway.state.database import Database
        database, now = Database(f"sqlite:///{sys.argv[1]}/control.db"), datetime(2026, 3, 2, tzinfo=UTC)
        book(database, "loans", {"drift": ("note", "a"), "errors": ("page", "b")}, now)
        deliver(database, open_sinks(["file"], Path(sys.argv[1]) / "alerts"), now)
    """)
    command = [sys.executable, "-c", script, str(tmp_path)]
    killed = subprocess.run(command, env={**os.environ, "MODELWAY_KILL_AT": f"{point}:{times}"}, check=False)
    assert killed.returncode == -signal.SIGKILL
    subprocess.run(command, check=True)
    told = (tmp_path / "alerts").read_text().splitlines()
    assert {"drift", "errors"} == {next(c for c in ("drift", "errors") if f'"{c}"' in text) for text in told}
    assert len(told) == (3 if point == "alerts.after-send" else 2)
    assert len(open_alerts(database, "loans")) == 2


def test_a_line_for_people():
    alert = Alert("loans", "drift", "page", "two\nlines", at(0))
    assert line(alert) == "[page] loans: drift since 2026-03-02 00:00 UTC: two lines"
    assert line(Alert("loans", "drift", "page", "x", at(0), at(5))) == "[over] loans: drift ended 2026-03-02 05:00 UTC"
