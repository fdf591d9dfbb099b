"""Protobuf messages as rows, by the descriptors that the registry serves: no generated code is needed.

In front of a message stands the path of its type within the file: a count, then indexes, as zigzag numbers; a single 0 stands
for the first type (docs.confluent.io, "Wire format").
"""

import base64
from collections.abc import Sequence
from datetime import UTC
from typing import Any

from modelway.schemas.port import Schema

_TIME = "google.protobuf.Timestamp"


def decode_protobuf(values: Sequence[bytes], schema: Schema) -> tuple[dict[int, dict[str, Any]], dict[int, str]]:
    """Rows by their place, and the places that hold none, with the reason."""
    from google.protobuf.message import DecodeError

    rows: dict[int, dict[str, Any]] = {}
    bad: dict[int, str] = {}
    try:
        file, types = _file(schema), dict[tuple[int, ...], Any]()
    except (DecodeError, ValueError, TypeError, KeyError) as error:
        why = f"the registry gives no file descriptor for it, as it is asked to (format=serialized): {error}"
        return {}, dict.fromkeys(range(len(values)), why)
    for place, value in enumerate(values):
        try:
            path, body = _path(value)
            if path not in types:
                types[path] = _type(file, path)
            rows[place] = _row(types[path].FromString(body))
        except (DecodeError, ValueError, IndexError) as error:
            bad[place] = f"not a message of its schema: {error}"
    return rows, bad


def _file(schema: Schema) -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool, timestamp_pb2

    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    for number, text in enumerate((*schema.imports, schema.text)):
        told = descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(text))
        told.name = told.name or f"file{number}.proto"
        if told.name != timestamp_pb2.DESCRIPTOR.name:
            pool.Add(told)
    return pool.FindFileByName(told.name)


def _type(file: Any, path: tuple[int, ...]) -> Any:
    from google.protobuf.message_factory import GetMessageClass

    found = list(file.message_types_by_name.values())[path[0]]
    for index in path[1:]:
        found = found.nested_types[index]
    return GetMessageClass(found)


def _row(message: Any) -> dict[str, Any]:
    """By field: an optional one that is not set is missing, a message in the message is a row of its own, an enum its name."""
    _demand_own_bytes(message)
    return {field.name: _value(message, field) for field in message.DESCRIPTOR.fields}


def _demand_own_bytes(message: Any) -> None:
    """Raise ValueError where a field's bytes are of another type: Protobuf passes over them, and the field reads as 0 or empty.

    A field whose number the schema lacks is passed over, as Protobuf means it; so is a name that a closed enum lacks.
    """
    from google.protobuf.unknown_fields import UnknownFieldSet

    known = message.DESCRIPTOR.fields_by_number
    for one in UnknownFieldSet(message):
        field = known.get(one.field_number)
        if field is not None and field.enum_type is None:
            raise ValueError(f"{field.name} (field {one.field_number}) holds bytes of another type")


def _value(message: Any, field: Any) -> Any:
    if field.has_presence and not message.HasField(field.name):
        return None
    value = getattr(message, field.name)
    if field.is_repeated:
        return [_plain(one, field) for one in value]
    return _plain(value, field)


def _plain(value: Any, field: Any) -> Any:
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else str(value)
    if field.message_type is None:
        return value.hex() if isinstance(value, bytes) else value
    if field.message_type.full_name == _TIME:
        _demand_own_bytes(value)
        return value.ToDatetime(tzinfo=UTC).isoformat()
    return _row(value)


def _path(value: bytes) -> tuple[tuple[int, ...], bytes]:
    count, at = _number(value, 0)
    if count == 0:
        return (0,), value[at:]
    path = []
    for _ in range(count):
        index, at = _number(value, at)
        path.append(index)
    return tuple(path), value[at:]


def _number(value: bytes, at: int) -> tuple[int, int]:
    """A zigzag number and where the next byte lies; raises IndexError when it is cut off."""
    found = shift = 0
    while True:
        byte = value[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (found >> 1) ^ -(found & 1), at
        shift += 7
