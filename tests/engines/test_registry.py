"""Avro, Protobuf and JSON through a real schema registry: written by Confluent's own serializers, read into a table."""

import json
from collections.abc import Iterator

import pytest
from confluent_kafka.schema_registry import Schema as RegisteredSchema
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import timestamp_pb2

from modelway.errors import EventLogError, NotFoundError
from modelway.events.log import REGISTERED, NewEvent
from modelway.flow.feeding import ingest
from modelway.schemas.registry import RegistrySchemas
from modelway.workspace import Workspace
from tests.engines.streams import stream_workspace

pytestmark = pytest.mark.engines
AVRO = {
    "type": "record",
    "name": "Payment",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "customer", "type": ["null", "string"]},
        {"name": "amount", "type": "double"},
        {"name": "number", "type": "long"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ],
}

_JSON = '{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "title": "J"}'


def row(number: int) -> dict:
    return {"id": f"p{number}", "customer": None, "amount": 1.5, "number": number, "at": 1_767_225_600_000_000 + number}


@pytest.fixture
def client(registry: str) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": registry}) as opened:
        yield opened


@pytest.fixture
def schemas(registry: str) -> Iterator[RegistrySchemas]:
    opened = RegistrySchemas(registry)
    yield opened
    opened.close()


@pytest.fixture
def workspace(kafka: str, registry: str, tmp_path) -> Iterator[Workspace]:
    made = stream_workspace(tmp_path / "bank", kafka, registry=f'{{url: "{registry}"}}')
    yield made
    made.close()


def test_avro_of_two_versions_and_what_is_broken_between(workspace, client):
    context = SerializationContext("pay-avro", MessageField.VALUE)
    old = AvroSerializer(client, json.dumps(AVRO))
    wider = {**AVRO, "fields": [*AVRO["fields"], {"name": "fraud", "type": "int", "default": 0}]}
    new = AvroSerializer(client, json.dumps(wider))
    values = [old(row(n), context) for n in range(200)] + [
        new({**row(n), "fraud": 1}, context) for n in range(200, 300)
    ]
    values[150:150] = [values[3][:-2], b"\0\0\0\x7f\x7fx", b"\0\0"]
    workspace.log.append("payments", [NewEvent(f"c{n % 7}", value, REGISTERED) for n, value in enumerate(values)])
    (done,) = ingest(workspace, workspace.spec("pay"))
    assert (done.accepted, done.quarantined) == (300, 3)
    rows = workspace.lake.read("payments").sort("number")
    assert rows["number"].to_list() == list(range(300))
    assert rows["fraud"].to_list() == [None] * 200 + [1] * 100
    assert rows["at"][7].microsecond == 7
    reasons = " ".join(workspace.lake.read("payments_quarantine")["_reasons"])
    assert "not a record of its schema" in reasons
    assert "is not in the schema registry" in reasons
    assert "cut off: 2 bytes" in reasons


def test_protobuf_as_confluents_serializer_writes_it(client, schemas):
    """Any generated message will do: a timestamp is one that every installation has; the registry tells its type."""
    serializer = ProtobufSerializer(timestamp_pb2.Timestamp, client, {"use.deprecated.format": False})
    value = serializer(timestamp_pb2.Timestamp(seconds=5, nanos=6), SerializationContext("stamp", MessageField.VALUE))
    from modelway.ingest.registered import decode_registered

    (((_, frame),), bad) = decode_registered([value, value[:-1] + b"\xff"], schemas, {})
    assert frame.to_dicts() == [{"seconds": 5, "nanos": 6}]
    assert list(bad) == [1]


def test_json_of_a_registry_is_json(client, schemas):
    number = client.register_schema("j-value", RegisteredSchema(_JSON, "JSON"))
    assert schemas.schema(number).language == "JSON"


def test_a_number_that_was_never_given_and_a_registry_that_is_away(schemas):
    schemas.ping()
    with pytest.raises(NotFoundError, match="schema 99999 is not in the schema registry"):
        schemas.schema(99_999)
    away = RegistrySchemas("http://127.0.0.1:1", "reader", "pässword")
    for call in (away.ping, lambda: away.schema(1)):
        with pytest.raises(EventLogError) as caught:
            call()
        assert caught.value.transient
        assert "pässword" not in f"{caught.value!r}"
