"""The forwarder over a whole workspace: who is told when it stands still, what a replay waits for, and a person in the spool."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from modelway.clock import WallClock
from modelway.errors import EventLogError
from modelway.events.folder import FolderEventLog
from modelway.events.log import NewEvent
from modelway.flow import erasing
from modelway.flow.forwarding import await_handed_on, run_forwarding
from modelway.flow.persons import Person
from modelway.flow.reporting import open_alerts, spool_status
from modelway.workspace import Workspace, create_workspace
from tests.support.running import until
from tests.unit.flow.test_figures import SPEC

TOPIC = "pay_predictions"


class Log(FolderEventLog):
    """Stands for brokers, and can be away."""

    away = True

    def append(self, topic: str, events: Sequence[NewEvent], *, durable: bool = True) -> None:
        if self.away:
            raise EventLogError("nobody answers", "look", transient=True)
        super().append(topic, events, durable=durable)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    stack = 'events: {kafka: {bootstrap: "127.0.0.1:1", patience: 300ms, spool_megabytes: 1}}\n'
    made = create_workspace(tmp_path / "bank", stack)
    made.places.project("pay").mkdir()
    made.places.spec("pay").write_text(SPEC)
    made.__dict__["log"] = Log(tmp_path / "brokers", WallClock())
    yield made
    made.close()


def predictions(count: int, filling: int = 10) -> list[NewEvent]:
    rows = (orjson.dumps({"request": f"r{n}", "key": f"p{n}", "row": {"x": "y" * filling}}) for n in range(count))
    return [NewEvent(f"r{n}/0/1", row) for n, row in enumerate(rows)]


@contextmanager
def forwarding(workspace: Workspace) -> Iterator[None]:
    stopping = threading.Event()
    thread = threading.Thread(target=run_forwarding, args=(workspace, stopping))
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(20)
        assert not thread.is_alive()


def causes(workspace: Workspace) -> dict[str, str]:
    return {alert.cause: alert.severity for alert in open_alerts(workspace, "pay")}


def test_a_spool_that_stands_still_and_fills_is_told_and_the_alerts_close_when_it_is_taken(workspace):
    workspace.request_log.append(TOPIC, predictions(80, 10_500))
    with forwarding(workspace):
        until(lambda: causes(workspace) == {f"spool: {TOPIC}": "ticket", "spool: nearly full": "page"}, 30)
        workspace.log.away = False
        until(lambda: not spool_status(workspace)["waiting"], 30)
        until(lambda: not causes(workspace) and spool_status(workspace)["bytes"] == 0, 40)
    assert len(workspace.log.read(TOPIC, {})) == 80


def test_what_was_answered_last_is_handed_on_when_the_forwarder_is_told_to_stop(workspace):
    workspace.log.away = False
    stopping = threading.Event()
    workspace.request_log.append(TOPIC, predictions(3))
    stopping.set()
    run_forwarding(workspace, stopping)  # told before it held the right: it hands on nothing
    assert spool_status(workspace)["waiting"][TOPIC]["events"] == 3
    with forwarding(workspace):
        until(lambda: not spool_status(workspace)["waiting"], 30)
        workspace.request_log.append(TOPIC, predictions(5))
    assert spool_status(workspace)["waiting"] == {}
    assert len(workspace.log.read(TOPIC, {})) == 8


def test_a_replay_waits_for_what_it_answered_and_not_for_ever(workspace):
    stopping = threading.Event()
    await_handed_on(workspace, stopping)
    workspace.request_log.append(TOPIC, predictions(3))
    with pytest.raises(EventLogError, match="not handed on within"):
        await_handed_on(workspace, stopping)
    workspace.log.away = False
    with forwarding(workspace):
        await_handed_on(workspace, stopping)
    assert len(workspace.log.read(TOPIC, {})) == 3


def test_a_person_is_blanked_in_the_spool_too(workspace):
    workspace.request_log.append(TOPIC, predictions(3))
    spec = workspace.spec("pay")
    request = erasing.ask(workspace, "pay", Person(("p1",), "", ""), "ann", "she asked")
    told = erasing._from_log(workspace, request, spec, TOPIC)
    assert told["rows"] == 1
    kept = b"".join(path.read_bytes() for path in workspace.places.spool.rglob("*.log"))
    assert b"p1" not in kept
    assert b"p0" in kept
