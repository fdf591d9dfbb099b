"""Avro and Protobuf in a registry's wire format, from a registry in memory: a broken record does not cost its neighbours."""

import base64
import io
import json
import struct
from datetime import UTC, datetime

import fastavro
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, timestamp_pb2
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.errors import NotFoundError
from modelway.ingest.registered import decode_registered
from modelway.schemas.port import Schema, Schemas

AVRO = {
    "type": "record",
    "name": "Payment",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "amount", "type": "double", "default": 0, "doc": "in euro"},
        {"name": "count", "type": ["null", "long"]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ],
}
FIXED = {
    "type": "record",
    "name": "Payment",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "parts", "type": {"type": "map", "values": "long"}},
    ],
}


class Held(Schemas):
    """A registry in memory; `asked` counts."""

    def __init__(self, schemas: dict[int, Schema]) -> None:
        self.schemas = schemas

    def schema(self, number: int) -> Schema:
        if number not in self.schemas:
            raise NotFoundError(f"schema {number} is not in the schema registry")
        return self.schemas[number]

    def ping(self) -> None: ...

    def close(self) -> None: ...


def wired(number: int, body: bytes) -> bytes:
    return b"\0" + struct.pack(">I", number) + body


def avro(row: dict, schema: dict = AVRO) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), row)
    return out.getvalue()


def payment(n: int) -> dict:
    return {"id": f"p{n}", "amount": n + 0.5, "count": n if n % 3 else None, "at": datetime(2026, 1, 1, tzinfo=UTC)}


def rows_of(frames) -> dict[int, dict]:
    return {place: row for places, frame in frames for place, row in zip(places, frame.to_dicts(), strict=True)}


SCHEMAS = Held({1: Schema("AVRO", json.dumps(AVRO)), 2: Schema("AVRO", json.dumps(FIXED)), 3: Schema("JSON", "{}")})


def test_records_of_several_schemas_and_json_are_read_together():
    values = [wired(1, avro(payment(n))) for n in range(5)] + [
        wired(2, avro({"id": "m", "parts": {"a": 1}}, FIXED)),
        wired(3, b'{"id": "j", "amount": 1}'),
    ]
    frames, bad = decode_registered(values, SCHEMAS, {})
    rows = rows_of(frames)
    assert bad == {}
    assert [rows[n]["id"] for n in range(7)] == ["p0", "p1", "p2", "p3", "p4", "m", "j"]
    assert (rows[3]["amount"], rows[3]["count"], rows[4]["count"]) == (3.5, None, 4)
    assert rows[4]["at"].replace(tzinfo=UTC) == datetime(2026, 1, 1, tzinfo=UTC)


whole = avro(payment(7))
BROKEN = {
    "cut off": whole[:-3],
    "too long": whole + b"\x02\x00\x00",
    "empty": b"",
    "of another shape": b"\x00" * 4,
    "a length that reaches into the next": b"\x7f" + whole[1:],
}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([*BROKEN, "good", "good", "good"]), min_size=1, max_size=20),
)
def test_a_broken_record_is_refused_and_its_neighbours_are_what_they_were(kinds):
    values = [wired(1, avro(payment(n)) if kind == "good" else BROKEN[kind]) for n, kind in enumerate(kinds)]
    frames, bad = decode_registered(values, SCHEMAS, {})
    rows = rows_of(frames)
    assert sorted(bad) == [n for n, kind in enumerate(kinds) if kind != "good"]
    assert {n: row["id"] for n, row in rows.items()} == {n: f"p{n}" for n, kind in enumerate(kinds) if kind == "good"}
    assert all(row["amount"] == n + 0.5 for n, row in rows.items())


def test_two_records_that_are_wrong_by_as_much_do_not_make_up_for_each_other():
    first, second = avro(payment(1)), avro(payment(2))
    values = [wired(1, first + second[:4]), wired(1, second[4:]), wired(1, avro(payment(3)))]
    frames, bad = decode_registered(values, SCHEMAS, {})
    assert (sorted(bad), [row["id"] for row in rows_of(frames).values()]) == ([0, 1], ["p3"])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\0\0\0", "cut off: 3 bytes"),
        (wired(9, b"x"), "schema 9 is not in the schema registry"),
        (wired(2, b"\x02"), "schema 2: not a record of its schema"),
        (wired(3, b"[1]"), "schema 3: not a JSON object"),
    ],
)
def test_what_cannot_be_read_says_why(value, reason):
    frames, bad = decode_registered([value, wired(1, whole)], SCHEMAS, {})
    assert list(bad) == [0]
    assert reason in bad[0]
    assert len(rows_of(frames)) == 1


def proto() -> tuple[Schema, type]:
    """message Outer { message Payment { string id = 1; double amount = 2; optional int64 count = 3; Kind kind = 4;
    google.protobuf.Timestamp at = 5; repeated int64 many = 6; } }"""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="pay.proto", syntax="proto3", dependency=["google/protobuf/timestamp.proto"]
    )
    outer = file.message_type.add(name="Outer")
    kind = outer.enum_type.add(name="Kind")
    kind.value.add(name="CARD", number=0)
    kind.value.add(name="CASH", number=1)
    inner = outer.nested_type.add(name="Payment")
    for number, (name, type_, extra) in enumerate(
        [
            ("id", field.TYPE_STRING, {}),
            ("amount", field.TYPE_DOUBLE, {}),
            ("count", field.TYPE_INT64, {"proto3_optional": True, "oneof_index": 0}),
            ("kind", field.TYPE_ENUM, {"type_name": ".Outer.Kind"}),
            ("at", field.TYPE_MESSAGE, {"type_name": ".google.protobuf.Timestamp"}),
            ("many", field.TYPE_INT64, {"label": field.LABEL_REPEATED}),
        ],
        1,
    ):
        inner.field.add(name=name, number=number, type=type_, **{"label": field.LABEL_OPTIONAL, **extra})
    inner.oneof_decl.add(name="_count")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    made = GetMessageClass(pool.FindMessageTypeByName("Outer.Payment"))
    return Schema("PROTOBUF", base64.b64encode(file.SerializeToString()).decode()), made


def test_messages_are_rows_and_broken_ones_are_refused():
    schema, made = proto()
    message = made(id="a", amount=1.5, kind=1, many=[1, 2])
    message.at.FromDatetime(datetime(2026, 1, 1))
    path = b"\x04\x00\x00"  # two steps: the first type, and in it the first
    values = [
        wired(5, path + message.SerializeToString()),
        wired(5, path + b"\x0a\x7f"),
        wired(5, b"\x04\x00\x0a"),
        wired(5, b""),
    ]
    frames, bad = decode_registered(values, Held({5: schema}), {})
    (row,) = rows_of(frames).values()
    assert (row["id"], row["amount"], row["count"], row["kind"], row["at"]) == (
        "a",
        1.5,
        None,
        "CASH",
        "2026-01-01T00:00:00+00:00",
    )
    assert sorted(bad) == [1, 2, 3]
    assert all("not a message of its schema" in reason for reason in bad.values())


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (b"\x12\x01x", "amount (field 2) holds bytes of another type"),  # a string, where a double belongs
        (b"\x0a\x01b\x08\x05", "id (field 1) holds"),
        (b"\x2a\x02\x0a\x00", None),  # seconds of the time as a string: a message of another type
        (b"\x4a\x01x", ""),  # field 9, which the schema lacks: passed over
        (b"\x20\x07", ""),  # a kind that has no name
    ],
)
def test_bytes_of_another_type_are_refused_and_not_read_as_0(more, why):
    schema, made = proto()
    whole = b"\x04\x00\x00" + made(id="a", amount=1.5).SerializeToString()
    frames, bad = decode_registered([wired(1, whole), wired(1, whole + more)], Held({1: schema}), {})
    if why == "":
        assert (len(rows_of(frames)), bad) == (2, {})
    else:
        assert list(rows_of(frames)) == [0]
        assert (why or "bytes of another type") in bad[1]


def chain(length: int) -> str:
    kind = '"long"'
    for n in range(length):
        kind = f'{{"type": "record", "name": "R{n}", "fields": [{{"name": "x", "type": {kind}}}]}}'
    return kind


LINKED = """{"type": "record", "name": "bank.Node", "fields": [{"name": "next", "type": ["null", "Node"]},
    {"name": "all", "type": {"type": "array", "items": "long"}}]}"""


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (Schema("AVRO", LINKED), "has the type Node within itself"),
        (Schema("AVRO", LINKED.replace('"Node"', '{"type": "map", "values": "bank.Node"}')), "bank.Node within itself"),
        (Schema("AVRO", chain(60)), "more than 64 deep"),
        (Schema("AVRO", chain(5_000)), "is no JSON"),
        (Schema("AVRO", '{"type": "record", "name": "A"}'), "is no record"),
        (Schema("AVRO", '{"type": "record", "fields": [{"name": "x", "type": "long"}]}'), "can not be read"),
        (
            Schema("AVRO", '{"type": "record", "name": "A", "fields": [{"name": "x", "type": "Lost"}]}'),
            "can not be read",
        ),
        (Schema("AVRO", '{"type": "record", "name": "A", "fields": [7]}'), "can not be read"),
        (Schema("PROTOBUF", 'syntax = "proto3"; message Payment {}'), "no file descriptor"),
        (Schema("PROTOBUF", "é"), "no file descriptor"),
    ],
)
def test_a_schema_that_nothing_reads_costs_its_records_and_not_the_topic(schema, why):
    """Five thousand nodes in a row once ended the process, at each start: C has no limit of its own."""
    held = Held({1: schema, 2: Schema("AVRO", json.dumps(AVRO))})
    frames, bad = decode_registered([wired(1, b"\x02" * 5_000), wired(2, avro(payment(1)))], held, {})
    assert list(rows_of(frames)) == [1]
    assert why in bad[0]


def test_records_within_records_are_read():
    held = Held({1: Schema("AVRO", chain(20))})
    frames, bad = decode_registered([wired(1, b"\x02")], held, {})
    assert (list(rows_of(frames)), bad) == ([0], {})
