"""Topics on a real broker, filled with payments: as JSON, or as Avro in the wire format of a schema registry."""

import io
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fastavro
import orjson
from tests.engines.broker import start_broker
from tests.engines.registry import start_registry

from benchmarks.tables import payments

TOPIC = "payments"
AGAIN = 50
"""Each so many-th record comes twice."""
_KINDS = {
    **{"id": "string", "customer": "long", "at": "string", "amount": "double", "count": "long"},
    **{f"word_{n}": "string" for n in range(5)},
    **{f"number_{n}": "double" for n in range(10)},
}
AVRO = {"type": "record", "name": "Payment", "fields": [{"name": n, "type": kind} for n, kind in _KINDS.items()]}
_MADE = 500_000
"""Records that are made; beyond, they come again under other ids."""


@contextmanager
def broker() -> Iterator[str]:
    """HOST:PORT of a broker of our own."""
    with tempfile.TemporaryDirectory() as folder:
        started = start_broker(Path(folder))
        try:
            yield started.address
        finally:
            started.program.stop()


@contextmanager
def registry() -> Iterator[str]:
    """The address of a schema registry of our own."""
    with tempfile.TemporaryDirectory() as folder:
        address, program = start_registry(Path(folder))
        try:
            yield address
        finally:
            program.stop()


def fill(bootstrap: str, prefix: str, rows: int, partitions: int, *, again: int = AGAIN, registered: str = "") -> float:
    """A topic of so many payments; bytes a record. Each `again`-th comes twice (0: none does); Avro where a registry is given."""
    make(bootstrap, prefix, partitions)
    producer, name = open_producer(bootstrap, 20), prefix + TOPIC
    size = 0
    for number, (key, value) in enumerate(records(rows, avro(registered, name) if registered else orjson.dumps)):
        for _ in range(2 if again and number % again == 0 else 1):
            produce(producer, name, key, value)
        size += len(value)
    producer.flush()
    return size / rows


def make(bootstrap: str, prefix: str, partitions: int) -> None:
    from confluent_kafka.admin import AdminClient, NewTopic

    name, admin = prefix + TOPIC, AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, partitions, 1)])[name].result()


def open_producer(bootstrap: str, linger: int) -> Any:
    """`linger` in milliseconds."""
    from confluent_kafka import Producer

    settings = {
        "acks": "all",
        "linger.ms": linger,
        "partitioner": "murmur2_random",
        "queue.buffering.max.messages": 500_000,
    }
    return Producer({"bootstrap.servers": bootstrap, **settings})


def produce(producer: Any, name: str, key: str, value: bytes) -> None:
    """As soon as there is room."""
    while True:
        try:
            producer.produce(name, value=value, key=key)
            producer.poll(0)
            return
        except BufferError:
            producer.poll(0.05)


def records(rows: int, write: Callable[[dict[str, Any]], bytes]) -> Iterator[tuple[str, bytes]]:
    """Key and value; what is made once comes again under other ids of the same length (`p…`, `o…`, `n…`)."""
    made = [(row["id"], write(row)) for row in payments(min(rows, _MADE)).iter_rows(named=True)]
    for start in range(0, rows, _MADE):
        letter = chr(ord("p") - start // _MADE)
        for key, value in made[: rows - start]:
            named = letter + key[1:]
            yield named, value.replace(key.encode(), named.encode(), 1)


def avro(address: str, name: str) -> Callable[[dict[str, Any]], bytes]:
    """A writer of registered records."""
    from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

    with SchemaRegistryClient({"url": address}) as client:
        number = client.register_schema(f"{name}-value", Schema(orjson.dumps(AVRO).decode(), "AVRO"))
    head = struct.pack(">bI", 0, number)
    return lambda row: head + pack(row)


def pack(row: dict[str, Any]) -> bytes:
    """A payment as Avro, without a head."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(AVRO), row)
    return out.getvalue()
