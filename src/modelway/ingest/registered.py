"""Values in a schema registry's wire format: a zero byte, the schema's number (u32, big end first), then Avro, Protobuf or JSON.

docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

from collections.abc import Sequence

import polars as pl

from modelway.errors import NotFoundError
from modelway.ingest.avro import decode_avro
from modelway.ingest.frames import rows_frame
from modelway.ingest.json_rows import Kinds, decode_json
from modelway.ingest.protobuf import decode_protobuf
from modelway.schemas.port import Schema, Schemas

Frames = list[tuple[Sequence[int], pl.DataFrame]]
_HEAD = 5


def decode_registered(values: Sequence[bytes], schemas: Schemas, kinds: Kinds) -> tuple[Frames, dict[int, str]]:
    """Frames with the places of their rows among the values, and the places that hold no row, with the reason."""
    frames: Frames = []
    bad: dict[int, str] = {}
    places: dict[int, list[int]] = {}
    for place, value in enumerate(values):
        if len(value) < _HEAD or value[0] != 0:
            bad[place] = f"cut off: {len(value)} bytes, and the schema's number alone needs {_HEAD}"
        else:
            places.setdefault(int.from_bytes(value[1:_HEAD]), []).append(place)
    for number, mine in places.items():
        try:
            schema = schemas.schema(number)
        except NotFoundError as error:
            bad |= dict.fromkeys(mine, error.problem)
            continue
        found, refused = _decoded(schema, [values[place][_HEAD:] for place in mine], kinds)
        frames += [([mine[n] for n in rows], frame) for rows, frame in found]
        bad |= {mine[n]: f"schema {number}: {reason}" for n, reason in refused.items()}
    return frames, bad


def _decoded(schema: Schema, values: Sequence[bytes], kinds: Kinds) -> tuple[Frames, dict[int, str]]:
    if schema.language == "JSON":
        return decode_json(values, kinds)
    if schema.language == "AVRO":
        return decode_avro(values, schema.text)
    rows, bad = decode_protobuf(values, schema)
    frames: Frames = [(list(rows), rows_frame(list(rows.values())))] if rows else []
    return frames, bad
