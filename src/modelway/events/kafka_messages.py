"""Kafka's records as events, and back: null is a tombstone, the kind of a value stands in the header `content-type`."""

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING

from modelway.events.log import JSON, TOMBSTONE, Event, NewEvent, sniffed

if TYPE_CHECKING:
    from confluent_kafka import Message

CONTENT = "content-type"
_PLAIN: Mapping[str, str] = {}


def events_of(messages: Sequence["Message"], prefix: str = "") -> list[Event]:
    """Events of topics whose names on the brokers begin with `prefix`; none of the messages is an error.

    Column by column, as the calls cost more than what they do. What other producers wrote without a header is told apart by its
    first bytes: no JSON begins so.
    """
    from confluent_kafka import Message

    values: list[bytes | None] = list(map(Message.value, messages))
    given = list(map(Message.headers, messages))
    headers = [_headers(one) if one else _PLAIN for one in given] if any(given) else [_PLAIN] * len(values)
    plain = not any(given) and {value[:1] if value else None for value in values} == {b"{"}
    names = list(map(Message.topic, messages))
    topics = {name: name[len(prefix) :] for name in set(names)}
    return list(
        map(
            Event,
            map(topics.__getitem__, names),
            map(Message.partition, messages),
            map(Message.offset, messages),
            [stamp * 1000 for _, stamp in map(Message.timestamp, messages)],
            ["" if key is None else key.decode("utf-8", "backslashreplace") for key in map(Message.key, messages)],
            values if plain else [b"" if value is None else value for value in values],
            repeat(JSON) if plain else map(_content, values, headers),
            headers,
        )
    )


def _content(value: bytes | None, headers: Mapping[str, str]) -> str:
    if value is None:
        return TOMBSTONE
    told = headers.get(CONTENT) or JSON
    return sniffed(value) if told == JSON else told


def value_of(event: NewEvent) -> bytes | None:
    return None if event.content == TOMBSTONE else event.value


def headers_of(event: NewEvent) -> list[tuple[str, bytes]]:
    """The content's kind, unless it is the usual one, and the producer's own headers."""
    told = [] if event.content in (JSON, TOMBSTONE) else [(CONTENT, event.content.encode())]
    return told + [(name, value.encode()) for name, value in event.headers.items()]


def _headers(given: Sequence[tuple[str, bytes | None]]) -> Mapping[str, str]:
    """As text; of a name that stands twice the last counts."""
    return {name: "" if value is None else value.decode("utf-8", "backslashreplace") for name, value in given}
