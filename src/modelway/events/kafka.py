"""The event log on Apache Kafka (confluent-kafka, over librdkafka): topics with partitions, positions kept by the readers.

The producer is idempotent and waits for all in-sync replicas; keys go to partitions as Java's clients send them. Readers see
committed records alone, and never commit a position to Kafka. Settings are librdkafka's own names:
github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md.
"""

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from modelway import faults
from modelway.clock import Clock
from modelway.errors import EventLogError
from modelway.events.kafka_brokers import Brokers, NewTopics
from modelway.events.kafka_keeping import Keeping
from modelway.events.kafka_messages import events_of, headers_of, value_of
from modelway.events.kafka_share import KafkaShare, out_of_range, waiting
from modelway.events.log import ROOM, Event, EventLog, NewEvent, Share, Start, size_of

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Producer

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_READERS = 64
"""Topics that are read at one time; each has threads and a connection."""
_LOOK_MS = 5_000
"""How often a share looks for topics that were not there when it joined."""
_AROUND = 20_000
"""Bytes that key, headers and framing of a record may take."""
PRODUCER = {
    "enable.idempotence": True,
    "acks": "all",
    "partitioner": "murmur2_random",
    "linger.ms": 2,
    "queue.buffering.max.kbytes": 65_536,
}
CONSUMER = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "queued.max.messages.kbytes": 32_768,
    "fetch.wait.max.ms": 100,
}


class KafkaEventLog(EventLog):
    """`settings` are librdkafka's, secrets included; they are shown nowhere.

    On the brokers a topic's name begins with `prefix`. `partitions` and `replication` are those of topics made here, 0: the
    brokers' default; `retention` is how long those keep a record, by its own time, None: for ever. `patience` is how long a
    call waits for the brokers, in seconds.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        clock: Clock,
        *,
        prefix: str = "",
        partitions: int = 0,
        replication: int = 0,
        retention: timedelta | None = None,
        patience: float = 30.0,
    ) -> None:
        self._settings = dict(settings)
        self._clock = clock
        self._prefix = prefix
        self._patience = patience
        self._brokers = Brokers(
            settings,
            prefix=prefix,
            patience=patience,
            new=NewTopics(partitions, replication, None if retention is None else retention // _MILLISECOND),
        )
        self._mutex = threading.RLock()
        self._producer: Producer | None = None
        self._readers: dict[str, Consumer] = {}
        self._at: dict[str, dict[int, int]] = {}

    @property
    def largest(self) -> int:
        return int(self._settings.get("message.max.bytes", 1_000_000)) - _AROUND

    def append(self, topic: str, events: Sequence[NewEvent], *, durable: bool = True) -> None:
        from confluent_kafka import KafkaException

        del durable  # acks=all: copies on other machines, whatever becomes of this one
        self._brokers.demand(topic)
        producer, failed = self._opened_producer(), list[str]()
        left = len(events)

        def told(error: Any, _: Any) -> None:
            nonlocal left
            left -= 1
            if error is not None:
                failed.append(str(error))

        faults.point("log.before-write")
        until = time.monotonic() + self._patience
        with self._brokers.mapped(topic):
            now, name = self._stamp(None), self._prefix + topic
            for event in events:
                at = self._stamp(event.arrived) if event.arrived else now
                while True:
                    try:
                        producer.produce(
                            name,
                            value=value_of(event),
                            key=event.key or None,
                            headers=headers_of(event),
                            timestamp=at,
                            on_delivery=told,
                        )
                        break
                    except BufferError as full:
                        producer.poll(0.1)
                        if time.monotonic() > until:
                            raise self._brokers.away(topic, "its queue of unsent events is full") from full
                    except KafkaException as error:
                        raise self._unfit(topic, event, error) from error
            while left and time.monotonic() < until:
                producer.poll(min(0.1, self._patience))
        faults.point("log.after-write")
        if left or failed:
            self._brokers.forget(topic)  # it may be gone: the next call makes it again
            raise self._brokers.away(
                topic, failed[0] if failed else f"{left} events were not acknowledged in {self._patience:g} s"
            )

    def read(
        self,
        topic: str,
        positions: Mapping[int, int],
        limit: int = 10_000,
        *,
        only: Collection[int] | None = None,
        room: int = ROOM,
    ) -> list[Event]:
        starts, ends = self.starts(topic), self.ends(topic)
        wanted = {p: positions.get(p, starts[p]) for p in ends if only is None or p in only}
        for partition, position in wanted.items():
            if not starts[partition] <= position <= ends[partition]:
                raise out_of_range(topic, partition, position, starts[partition], ends[partition])
        if all(position >= ends[p] for p, position in wanted.items()):
            return []
        with self._mutex, self._brokers.mapped(topic):
            return self._read(topic, wanted, ends, limit, room)

    def join(self, topics: Sequence[str], group: str, start: Start, member: str = "") -> Share:
        self._brokers.ping()  # their client waits for brokers that are away, and says nothing
        with self._brokers.mapped(", ".join(topics)):
            settings = {
                **self._brokers.settings(),
                **CONSUMER,
                "group.id": self._prefix + group,
                **({"group.instance.id": member} if member else {}),
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": 10_000,
                "topic.metadata.refresh.interval.ms": _LOOK_MS,
            }
            return KafkaShare(settings, topics, start, self._prefix)

    def starts(self, topic: str) -> dict[int, int]:
        return self._brokers.offsets(topic, earliest=True)

    def ends(self, topic: str) -> dict[int, int]:
        return self._brokers.offsets(topic, earliest=False)

    def identity(self, topic: str) -> int | None:
        return self._brokers.identity(topic)

    def keeping(self, topic: str) -> Keeping:
        """How long the brokers keep what a topic holds, by its own settings."""
        return self._brokers.keeping(topic)

    def topics(self) -> list[str]:
        return self._brokers.topics()

    def flush(self) -> None:
        """Nothing waits: `append` returns when the brokers have it."""

    def settle(self, topic: str) -> None:
        """What a reader sees has been acknowledged by all in-sync replicas."""

    def ping(self) -> None:
        self._brokers.ping()

    def close(self) -> None:
        with self._mutex:
            for reader in self._readers.values():
                reader.close()
            if self._producer is not None:
                self._producer.flush(self._patience)
            self._producer = None
            self._brokers.close()
            self._readers.clear()
            self._at.clear()

    # -- writing -----------------------------------------------------------------------------------------------------------

    def _stamp(self, moment: datetime | None) -> int:
        return ((moment or self._clock.now()) - _EPOCH) // _MILLISECOND

    # -- reading -----------------------------------------------------------------------------------------------------------

    def _read(
        self, topic: str, positions: Mapping[int, int], ends: Mapping[int, int], limit: int, room: int
    ) -> list[Event]:
        """From the positions to the ends, which are known: the reader's own word for an end comes 100 ms later.

        A reader stays where it is: at the end of a topic a fetch is already waiting at the broker for what comes next.
        """
        from confluent_kafka import KafkaError, TopicPartition

        reader = self._opened_reader(topic)
        if self._at.get(topic) != positions:
            reader.assign([TopicPartition(self._prefix + topic, p, offset) for p, offset in positions.items()])
            self._at[topic] = dict(positions)
        here, found = self._at[topic], list[Event]()
        until = time.monotonic() + self._patience
        while len(found) < limit and room > 0 and any(here[p] < ends[p] for p in here):
            messages = waiting(reader, limit - len(found), 0.1)
            if not messages and found:
                break
            if not messages and time.monotonic() > until:
                self._at.pop(topic)
                raise self._brokers.away(topic, "no answer to a fetch")
            for message in messages:
                if (error := message.error()) is None:
                    here[message.partition()] = message.offset() + 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    here[message.partition()] = max(here[message.partition()], message.offset())
                else:
                    self._at.pop(topic)
                    raise self._brokers.away(topic, str(error))
            new = events_of([message for message in messages if message.error() is None], self._prefix)
            found += new
            room -= size_of(new)
        return sorted(found, key=lambda event: (event.partition, event.offset)) if len(positions) > 1 else found

    # -- clients -----------------------------------------------------------------------------------------------------------

    def _opened_producer(self) -> "Producer":
        with self._mutex, self._brokers.mapped("producer"):
            if self._producer is None:
                from confluent_kafka import Producer

                settings = {"delivery.timeout.ms": int(self._patience * 1000), **self._brokers.settings(), **PRODUCER}
                self._producer = Producer(settings)
                self._brokers.listen(self._producer)
            return self._producer

    def _opened_reader(self, topic: str) -> "Consumer":
        """One a topic: a reader that is given another topic waits for the fetch of the one before."""
        if topic not in self._readers:
            from confluent_kafka import Consumer

            if len(self._readers) >= _READERS:
                oldest = next(iter(self._readers))
                self._readers.pop(oldest).close()
                self._at.pop(oldest, None)
            settings = {**self._brokers.settings(), **CONSUMER, "group.id": "modelway-reads-by-position"}
            self._readers[topic] = Consumer(settings)
        return self._readers[topic]

    def _unfit(self, topic: str, event: NewEvent, error: Any) -> EventLogError:
        return EventLogError(
            f"kafka at {self._brokers.where}, topic {topic}: an event of {len(event.value)} bytes: {error.args[0].str()}",
            "set message.max.bytes in events.kafka.options of stack.yaml, and on the brokers, or send smaller events",
        )
