"""A share of Kafka's partitions by its group protocol (cooperative rebalancing); the group holds no positions."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelway.errors import EventLogError
from modelway.events.kafka_messages import events_of
from modelway.events.log import ROOM, Event, Share, Start, places, size_of

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message, TopicPartition

_TAKE = 1_000
"""Messages asked of librdkafka at once: more cost more each (measured)."""
_ASK_SECONDS = 10.0
"""How long the group has to share out anew before it is asked again."""


class KafkaShare(Share):
    """One member of the group; used by one thread.

    Whoever comes back under a known name is given what that name had, and no rebalance happens: a topic that was made meanwhile
    would be nobody's, for ever. So it asks for more, a topic that is never there, which makes the group share out anew. The
    client may lose that wish (its brokers can be away at that moment), so it is told until the group has done it. The topic has
    the same name for all: members that ask for different topics cost the assignor its simple way.
    """

    def __init__(self, settings: Mapping[str, Any], topics: Sequence[str], start: Start, prefix: str) -> None:
        from confluent_kafka import Consumer

        self._start, self._prefix = start, prefix
        self._held: set[tuple[str, int]] = set()
        self._lost: set[tuple[str, int]] = set()
        self._consumer: Consumer | None = Consumer(dict(settings))
        self._names = [prefix + topic for topic in topics]
        self._marker = f"{prefix}modelway-joined"
        self._settled = "group.instance.id" not in settings
        self._given_old = self._wider = False
        self._asked_at: float | None = None
        self._subscribe(self._names)

    def take(self, limit: int, wait: float, room: int = ROOM) -> list[Event]:
        from confluent_kafka import KafkaError

        if self._consumer is None:
            return []
        # a topic that is not there: its share begins when it is
        quiet = (KafkaError._PARTITION_EOF, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC)
        if self._given_old and not self._settled:
            self._ask_anew()
        found: list[Event] = []
        while len(found) < limit and room > 0:
            messages = waiting(self._consumer, limit - len(found), 0 if found else wait)
            if not messages:
                break
            told = [message for message in messages if message.error() is not None]
            new = events_of([m for m in messages if m.error() is None] if told else messages, self._prefix)
            found += new
            for message in told:
                if message.error().code() not in quiet and message.topic() != self._marker:
                    self._fail(message, found)
            room -= size_of(new)
            wait = 0
        if places(found) <= self._held:
            return found
        return [event for event in found if (event.topic, event.partition) in self._held]

    def lost(self) -> set[tuple[str, int]]:
        gone, self._lost = self._lost, set()
        return gone

    def held(self) -> set[tuple[str, int]]:
        return set(self._held)

    def seek(self, topic: str, partition: int, offset: int) -> None:
        from confluent_kafka import TopicPartition

        if self._consumer is not None and (topic, partition) in self._held:
            place = TopicPartition(self._prefix + topic, partition, offset)
            self._consumer.incremental_unassign([place])
            self._consumer.incremental_assign([place])

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
            self._held.clear()

    def _subscribe(self, names: Sequence[str]) -> None:
        if self._consumer is not None:
            self._consumer.subscribe(list(names), on_assign=self._given, on_revoke=self._taken, on_lost=self._taken)

    def _ask_anew(self) -> None:
        now = time.monotonic()
        if self._asked_at is None or now - self._asked_at > _ASK_SECONDS:
            self._asked_at, self._wider = now, not self._wider
            self._subscribe([*self._names, self._marker] if self._wider else self._names)

    def _name(self, topic: str) -> str:
        return topic[len(self._prefix) :]

    def _fail(self, message: Any, found: list[Event]) -> None:
        """Raise what an error of one partition, or of the whole group, means; what the others gave meanwhile is read again."""
        for topic, partition in places(found):
            first = min(e.offset for e in found if (e.topic, e.partition) == (topic, partition))
            self.seek(topic, partition, first)
        from confluent_kafka import KafkaError

        error, topic = message.error(), self._name(message.topic() or "")  # the group's own errors are of no topic
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            raise out_of_range(topic, message.partition(), self._start(topic, message.partition()), None, None)
        raise EventLogError(
            f"kafka, {f'topic {topic}' if topic else 'the group of ingesting processes'}: {error.str()}",
            "it is tried again; look at the brokers",
            transient=error.code() != KafkaError.TOPIC_AUTHORIZATION_FAILED,  # that is the topic's, and lasts
            topic=topic,
        )

    def _given(self, consumer: "Consumer", places: Sequence["TopicPartition"]) -> None:
        from confluent_kafka import OFFSET_BEGINNING

        self._given_old, self._settled = True, self._settled or self._asked_at is not None
        for place in places:
            position = self._start(self._name(place.topic), place.partition)
            place.offset = OFFSET_BEGINNING if position is None else position
        consumer.incremental_assign(list(places))
        self._held |= {(self._name(place.topic), place.partition) for place in places}

    def _taken(self, consumer: "Consumer", places: Sequence["TopicPartition"]) -> None:
        gone = {(self._name(place.topic), place.partition) for place in places}
        self._held -= gone
        self._lost |= gone
        consumer.incremental_unassign(list(places))


def waiting(consumer: "Consumer", limit: int, wait: float) -> list["Message"]:
    """What is there, up to a thousand; if nothing is, the first that comes. (`consume` alone waits until all are there.)"""
    found: list[Message] = consumer.consume(min(_TAKE, limit), timeout=0)
    if not found and wait and (first := consumer.poll(wait)) is not None:
        found = [first]
    return found


def out_of_range(topic: str, partition: int, position: int | None, start: int | None, end: int | None) -> EventLogError:
    """A position that is not there: retention passed it, or the topic was cut, reset or made anew."""
    kept = "" if start is None else f" (kept: {start} to {end})"
    how = "beyond the end" if position is not None and end is not None and position > end else "no longer there"
    if how == "no longer there" and start is not None and position is not None and position < start:
        how = "no longer there: retention has passed it"
    return EventLogError(
        f"topic {topic}, partition {partition}: offset {position} is {how}{kept}; nothing was skipped",
        f"modelway positions show {topic}, then decide: modelway positions set {topic} --to oldest (or newest, or OFFSET)",
        topic=topic,
    )
