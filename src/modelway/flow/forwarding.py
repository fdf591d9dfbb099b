"""The forwarder: hands on to the brokers what the server left in the spool, and says when that stands still or fills the disk."""

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modelway.errors import EngineError, EventLogError
from modelway.events.log import EventLog
from modelway.events.spool import Spool
from modelway.monitoring import alerts
from modelway.serving.log import prediction_topic
from modelway.workspace import Workspace

if TYPE_CHECKING:
    from modelway.monitoring.look import Severity

SPOOL = "spool"
"""The family of its alerts."""
FULL_SHARE = 0.8
"""Of the limit; from here on somebody is called."""
_log = logging.getLogger("modelway.forwarding")
_WAIT_SECONDS = 0.05
_AGAIN_SECONDS = 1.0
"""How long a topic that was not taken is left alone."""
_TRIM_SECONDS = 10.0
_TELL_SECONDS = 5.0


@dataclass
class Topic:
    """How one topic stands: the sign at which all of it was handed on, and what keeps the rest."""

    sign: object = None
    stuck_until: float = 0.0
    trouble: str = ""
    untrimmed: bool = True
    trimmed_at: float = field(default_factory=time.monotonic)


def run_forwarding(workspace: Workspace, stopping: threading.Event) -> None:
    """Until told to stop, and then what is left in one pass. Returns at once where nothing waits for other machines."""
    spool, topics = workspace.spool, dict[str, Topic]()
    if spool is None:
        return
    with spool.handing_on(stopping) as mine:
        told = 0.0
        while mine and not stopping.is_set():
            if not hand_on_all(spool, workspace.log, topics):
                stopping.wait(_WAIT_SECONDS)
            if time.monotonic() - told > _TELL_SECONDS:
                told = time.monotonic()
                _tell(workspace, spool, topics)
        if mine and not any(topic.trouble for topic in topics.values()):
            hand_on_all(spool, workspace.log, topics)


def hand_on_all(spool: Spool, to: EventLog, topics: dict[str, Topic]) -> int:
    """One pass over all topics; how many events were taken. What is wrong with one is noted there, and the others go on."""
    count = 0
    for name in spool.topics():
        topic = topics.setdefault(name, Topic())
        if time.monotonic() < topic.stuck_until:
            continue
        try:
            sign = spool.sign(name)
            taken = spool.hand_on(name, to) if sign != topic.sign else 0
            topic.sign = sign if not taken else None
            topic.untrimmed |= bool(taken)
            count += taken
            _trim(spool, name, topic)
        except EngineError as error:
            if not topic.trouble:
                _log.warning("%s", error.problem)
            topic.trouble = str(error)  # its words alone: an error holds on to the events that were not taken
            topic.stuck_until = time.monotonic() + _AGAIN_SECONDS
        else:
            if topic.trouble:
                _log.info("%s: the events that waited are taken again", name)
            topic.trouble = ""
    return count


def await_handed_on(workspace: Workspace, stopping: threading.Event) -> None:
    """Until nothing waits here: what a replay answered is then in the log. Raises EventLogError when it takes too long."""
    spool, kafka = workspace.spool, workspace.stack.events.kafka
    if spool is None or kafka is None:
        return
    until = time.monotonic() + kafka.patience.total_seconds()
    while spool.waiting() and not stopping.wait(_WAIT_SECONDS / 5):
        if time.monotonic() > until:
            raise EventLogError(
                f"the spool is not handed on within {kafka.patience}", "look at .modelway/logs/forwarding.log"
            )


def _trim(spool: Spool, name: str, topic: Topic) -> None:
    """Not at every pass: a trim may begin a new file."""
    if topic.untrimmed and time.monotonic() - topic.trimmed_at > _TRIM_SECONDS:
        spool.trim(name)
        topic.untrimmed, topic.trimmed_at = False, time.monotonic()
        topic.sign = None


def _tell(workspace: Workspace, spool: Spool, topics: dict[str, Topic]) -> None:
    """Alerts are open as long as their cause lasts: a topic that stands still, a spool that is nearly full."""
    full = spool.size() / spool.limit
    try:
        for model in _of(workspace.models(), topics):
            name = prediction_topic(model)
            causes: dict[str, tuple[Severity, str]] = {}
            if trouble := topics[name].trouble:
                causes[f"{SPOOL}: {name}"] = ("ticket", f"predictions wait on this machine's disk: {trouble}")
            if full >= FULL_SHARE:
                text = f"the spool is full to {full:.0%} of {spool.limit / 1e6:,.0f} MB; when it is full, requests are refused"
                causes[f"{SPOOL}: nearly full"] = ("page", f"{text}\n  fix: look at the brokers; modelway status")
            alerts.book(workspace.database, model, causes, workspace.clock.now(), scope={SPOOL})
    except EngineError as error:
        _log.error("no alert could be booked: %s", error.problem)


def _of(models: Iterable[str], topics: dict[str, Topic]) -> list[str]:
    return [model for model in models if prediction_topic(model) in topics]
