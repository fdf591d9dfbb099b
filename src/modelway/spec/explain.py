"""Every setting of a spec with its value, where it comes from and what it means."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from modelway.spec.document import Document, Place, dotted, read_document
from modelway.spec.fields import key_of, meaning
from modelway.spec.model import Part
from modelway.spec.units import write_duration

DEFAULT = "default"
MEMBERS = "the models asked"
"""What a composition has from them."""


@dataclass(frozen=True, slots=True)
class Row:
    """`origin` is `modelway.yaml:LINE`, `default`, or `the models asked`; without the file at hand `modelway.yaml`."""

    key: str
    value: str
    origin: str
    meaning: str


def explain(spec: Part, path: Path | None = None) -> list[Row]:
    """A row for each setting, in the order of the reference; `path` is the file that the spec was read from."""
    return list(_rows(spec, (), _Origins(read_document(path) if path else None)))


@dataclass(frozen=True)
class _Origins:
    document: Document | None

    def of(self, place: Place, given: bool) -> str:
        if not given:
            return DEFAULT
        if self.document is None:
            return "modelway.yaml"
        if place not in self.document.lines and ("compose",) in self.document.lines:
            return MEMBERS
        return f"{self.document.path.name}:{self.document.line(place)}"


def _rows(part: Part, place: Place, origins: _Origins) -> Iterator[Row]:
    for name, field in type(part).model_fields.items():
        here = (*place, key_of(name, field))
        value, given = getattr(part, name), name in part.model_fields_set
        said = meaning(type(part), name)
        if isinstance(value, Part):
            yield from _rows(value, here, origins)
        elif _named_parts(value):
            for item, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
                yield Row(dotted((*here, item)), written(inner), origins.of((*here, item), given), said)
        else:
            yield Row(dotted(here), written(value), origins.of(here, given), said)


def _named_parts(value: Any) -> bool:
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple) else ()
    return bool(items) and all(isinstance(item, Part) for item in items)


def written(value: Any) -> str:
    """A value as people write it: `7d`, `{type: float, min: 0}`, and `-` for none."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, timedelta):
        return write_duration(value)
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        given = {key_of(n, fields[n]): getattr(value, n) for n in fields if n in value.model_fields_set}
        return written(given)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(written(inner) for inner in value) + "]"
    return str(value)
