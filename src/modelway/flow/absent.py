"""Topics that a spec names and others write, and that the event log does not have: misspelled, deleted, or not made yet."""

from dataclasses import dataclass
from difflib import get_close_matches

from modelway.flow.sources import joined_tables
from modelway.ingest.source import APP
from modelway.monitoring import alerts
from modelway.monitoring.look import Severity
from modelway.spec.model import Spec
from modelway.workspace import Workspace

FAMILY = "topic"


@dataclass(frozen=True)
class Absent:
    """A topic that is not there, where the spec names it, and those that are nearest in name."""

    topic: str
    model: str
    key: str
    near: tuple[str, ...]
    on_brokers: str
    """Its name where the brokers keep it; "" for the log in the workspace."""

    @property
    def problem(self) -> str:
        told = f" ({self.on_brokers} on the brokers)" if self.on_brokers not in ("", self.topic) else ""
        return f"{self.model}: the event log has no topic {self.topic}{told}, which {self.key} names: nothing comes in from it"

    @property
    def fix(self) -> str:
        near = f"did you mean {' or '.join(self.near)}? " if self.near else ""
        return f"{near}Mend {self.key} in models/{self.model}/modelway.yaml, or make the topic: ingestion makes none"


def absent(workspace: Workspace, spec: Spec) -> list[Absent]:
    """By the order of the spec. Raises EventLogError when the log does not answer.

    In the workspace's own log a topic begins with its first event, so one that never was is no matter; one that was read is.
    """
    there, kafka = workspace.log.topics(), workspace.stack.events.kafka
    prefix = None if kafka is None else kafka.prefix
    return [
        Absent(
            topic,
            spec.model,
            key,
            tuple(get_close_matches(topic, there, 3)),
            "" if prefix is None else prefix + topic,
        )
        for topic, key in named_topics(spec).items()
        if topic not in there and _is_missed(workspace, topic)
    ]


def named_topics(spec: Spec) -> dict[str, str]:
    """Topics that others write, and the key of the spec that names each."""
    found = {spec.topic: "data.source"} if isinstance(spec.data.source, str) else {}
    if spec.data.labels:
        found.setdefault(spec.data.labels.source, "data.labels.source")
    for table in joined_tables(spec):
        found.setdefault(table, "features (join.table)")
    return {topic: key for topic, key in found.items() if topic != f"{spec.model}_predictions"}


def tell_of_absent(workspace: Workspace, spec: Spec) -> None:
    """An alert for each while it lasts; the control loop sends it. In the workspace's own log, reading it is an error already."""
    if workspace.stack.events.kafka is None:
        return
    causes: dict[str, tuple[Severity, str]] = {
        f"{FAMILY}: {one.topic}": ("ticket", f"{one.problem}\n  fix: {one.fix}") for one in absent(workspace, spec)
    }
    alerts.book(workspace.database, spec.model, causes, workspace.clock.now(), scope={FAMILY})


def _is_missed(workspace: Workspace, topic: str) -> bool:
    """A table without positions is written by others than ingestion: it needs no topic."""
    if workspace.lake.version(topic) is None:
        return workspace.stack.events.kafka is not None
    return bool(workspace.lake.positions(topic, APP))
