"""What is asked of Kafka's brokers beside events: topics made and found, how far they reach, and what is wrong."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelway.errors import EventLogError, MissingExtraError
from modelway.events.kafka_keeping import Keeping

if TYPE_CHECKING:
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient

_log = logging.getLogger("modelway.kafka")
_ELECTION = frozenset(
    (
        "LEADER_NOT_AVAILABLE",
        "NOT_LEADER_FOR_PARTITION",
        "FENCED_LEADER_EPOCH",
        "UNKNOWN_LEADER_EPOCH",
        "OFFSET_NOT_AVAILABLE",
    )
)
"""What brokers answer while another of them begins to lead a partition."""


@dataclass(frozen=True, slots=True)
class NewTopics:
    """How topics are made: 0 is the brokers' default; `retention_ms` None: records are kept for ever."""

    partitions: int
    replication: int
    retention_ms: int | None

    @property
    def settings(self) -> dict[str, str]:
        """Of the topic itself; a record bears the time at which it was taken first."""
        kept = -1 if self.retention_ms is None else self.retention_ms
        return {"message.timestamp.type": "CreateTime", "retention.ms": str(kept)}


class Brokers:
    """`settings` are librdkafka's, secrets included; on the brokers a topic's name begins with `prefix`; `patience` in seconds."""

    def __init__(self, settings: Mapping[str, Any], *, prefix: str, patience: float, new: NewTopics) -> None:
        self.where = str(settings.get("bootstrap.servers", ""))
        self._settings, self._prefix, self._patience, self._new = dict(settings), prefix, patience, new
        self._trouble = ""
        self._mutex = threading.RLock()
        self._admin: AdminClient | None = None
        self._producer: Producer | None = None
        self._known: set[str] = set()

    def settings(self) -> dict[str, Any]:
        """For any client of theirs: what it hears goes to our log, and beside our errors."""
        return {**self._settings, "error_cb": self._hear, "logger": _log, "log_level": 2}

    def listen(self, producer: "Producer") -> None:
        """A client that hears of trouble too, when it is asked."""
        self._producer = producer

    def demand(self, topic: str) -> None:
        """Make the topic when the brokers do not know it."""
        from confluent_kafka import KafkaError, KafkaException
        from confluent_kafka.admin import NewTopic

        if topic in self._known:
            return
        with self.mapped(topic):
            if self.identity(topic) is None:
                name = self._prefix + topic
                new = NewTopic(
                    name,
                    num_partitions=self._new.partitions or -1,
                    replication_factor=self._new.replication or -1,
                    config=self._new.settings,
                )
                made = self._opened_admin().create_topics([new], request_timeout=self._patience)
                try:
                    made[name].result()
                except KafkaException as error:
                    if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                        raise self._refused(topic, error) from error
                self._await_topic(topic)
            self._known.add(topic)

    def forget(self, topic: str) -> None:
        """It may be gone: the next demand looks again, and makes it."""
        self._known.discard(topic)

    def identity(self, topic: str) -> int | None:
        from confluent_kafka import KafkaError, KafkaException, TopicCollection

        with self.mapped(topic):
            name = self._prefix + topic
            asked = self._opened_admin().describe_topics(TopicCollection([name]), request_timeout=self._patience)
            try:
                found = asked[name].result()
            except KafkaException as error:
                if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    return None
                raise
            return int(found.topic_id.get_most_significant_bits())

    def keeping(self, topic: str) -> Keeping:
        """How long the brokers keep what a topic holds, by its own settings."""
        from confluent_kafka.admin import ConfigResource, ResourceType

        with self.mapped(topic):
            asked = ConfigResource(ResourceType.TOPIC, self._prefix + topic)
            told = self._opened_admin().describe_configs([asked], request_timeout=self._patience)[asked].result()
            return Keeping.of({name: one.value for name, one in told.items()})

    def topics(self) -> list[str]:
        with self.mapped("*"):
            found = self._opened_admin().list_topics(timeout=self._patience)
            mine = [name for name in found.topics if name.startswith(self._prefix) and not name.startswith("__")]
            return sorted(name[len(self._prefix) :] for name in mine)

    def offsets(self, topic: str, *, earliest: bool) -> dict[int, int]:
        """Asked again while the brokers elect who leads a partition: an answer from before the election is refused."""
        from confluent_kafka import KafkaException

        until = time.monotonic() + self._patience
        with self.mapped(topic):
            while True:
                try:
                    return self._asked_offsets(topic, earliest=earliest)
                except KafkaException as error:
                    if error.args[0].name() not in _ELECTION or time.monotonic() > until:
                        raise
                    with self._mutex:
                        self._admin = None  # a new client knows nothing that the brokers have forgotten
                    time.sleep(0.1)

    def ping(self) -> None:
        with self.mapped("ping"):
            self._opened_admin().list_topics(timeout=min(5.0, self._patience))

    def close(self) -> None:
        with self._mutex:
            self._admin = self._producer = None

    @contextmanager
    def mapped(self, topic: str) -> Iterator[None]:
        """Their client's errors as ours, which name the topic."""
        try:
            from confluent_kafka import KafkaException
        except ImportError as error:
            raise MissingExtraError("Kafka's client", "kafka") from error
        try:
            yield
        except KafkaException as error:
            raise self.away(topic, str(error.args[0].str() if error.args else error)) from error

    def away(self, topic: str, told: str) -> EventLogError:
        """What is to be raised when they do not answer, with what was heard of them beside."""
        for client in (self._admin, self._producer):
            if client is not None:
                client.poll(0)  # what was heard of the brokers meanwhile
        beside = f" ({self._trouble})" if self._trouble and self._trouble != told else ""
        return EventLogError(
            f"kafka at {self.where}, topic {topic}: {told}{beside}",
            "it is tried again; look whether the brokers run and can be reached, and at events.kafka in stack.yaml",
            transient=True,
        )

    def _await_topic(self, topic: str) -> None:
        """Until every partition has a leader: what is asked before that fails."""
        name, until = self._prefix + topic, time.monotonic() + self._patience
        while time.monotonic() < until:
            found = self._opened_admin().list_topics(name, timeout=self._patience).topics[name]
            if found.error is None and found.partitions and all(p.leader >= 0 for p in found.partitions.values()):
                return
            time.sleep(0.01)
        raise self.away(topic, "the new topic has no leader")

    def _asked_offsets(self, topic: str, *, earliest: bool) -> dict[int, int]:
        from confluent_kafka import IsolationLevel, KafkaError, TopicPartition
        from confluent_kafka.admin import OffsetSpec

        admin, name = self._opened_admin(), self._prefix + topic
        there = admin.list_topics(name, timeout=self._patience).topics[name]
        if there.error is not None:
            if there.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                self._known.discard(topic)
                return {}
            raise self.away(topic, str(there.error))
        spec = OffsetSpec.earliest() if earliest else OffsetSpec.latest()
        asked = admin.list_offsets(
            {TopicPartition(name, p): spec for p in there.partitions},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=self._patience,
        )
        return {place.partition: future.result().offset for place, future in asked.items()}

    def _hear(self, error: Any) -> None:
        """librdkafka tells what is wrong with the brokers; it goes on trying."""
        self._trouble = str(error.str())

    def _opened_admin(self) -> "AdminClient":
        with self._mutex:
            if self._admin is None:
                from confluent_kafka.admin import AdminClient

                self._admin = AdminClient(self.settings())
            return self._admin

    def _refused(self, topic: str, error: Any) -> EventLogError:
        return EventLogError(
            f"kafka at {self.where}, topic {topic}: {error.args[0].str()}",
            f"make it with the brokers' own tools (kafka-topics --create --topic {self._prefix}{topic}), or let this user make it",
        )
