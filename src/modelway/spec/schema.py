"""JSON Schema of both files, for editors, and the reference page: both made from the models."""

from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from modelway.spec.explain import written
from modelway.spec.fields import described, key_of, meaning, parts_in
from modelway.spec.model import Part, Spec
from modelway.spec.names import METRICS, SEARCH_METRICS
from modelway.spec.stack import Stack
from modelway.spec.units import Count, Duration, Share

_UNITS = ((Duration, "duration"), (Share, "share"), (Count, "count"))
_NAMES = {str: "text", float: "number", int: "whole number", bool: "true, false", Any: "any value"}
_HEAD = """\
# The files: modelway.yaml and stack.yaml

*Made from the models in `modelway.spec` (`modelway.spec.schema.reference()`); a test holds it up to date.*

A **duration** is written `45s`, `30m`, `12h`, `7d`, `2w` or `1y`, up to `100y`; a **share** `20%`, `+0.1 points` or `0.2`; a
**count** `200` or `200 requests`. Keys without a default must be there. `on`, `yes`, `no` and dates are text, as in YAML 1.2, and
where text is wanted a number is taken as it is written. A misspelt key is refused with its line and the key that was meant.
"""


def spec_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of modelway.yaml; a composition may leave out what the models have that it asks."""
    made = _schema(Spec, "modelway.yaml")
    needed = [name for name in made["required"] if name != "model"]
    return {**made, "required": ["model"], "anyOf": [{"required": needed}, {"required": ["compose"]}]}


def stack_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of stack.yaml."""
    return _schema(Stack, "stack.yaml")


def reference() -> str:
    """The reference page, in Markdown."""
    parts = [_HEAD, "## modelway.yaml\n", *_sections(Spec, ""), *_metrics(), "## stack.yaml\n", *_sections(Stack, "")]
    return "\n".join(parts).rstrip("\n") + "\n"


def _schema(part: type[Part], title: str) -> dict[str, Any]:
    described(part)
    made = part.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": title}


def _sections(part: type[Part], place: str) -> Iterator[str]:
    """The table of a part, then those of the parts in it."""
    if place:
        yield f"### {place}\n"
    if part.__doc__ and part.__doc__ != Part.__doc__:
        yield " ".join(part.__doc__.split()) + "\n"
    yield "| key | value | default | meaning |\n| --- | --- | --- | --- |"
    deeper: list[tuple[type[Part], str]] = []
    for name, field in part.model_fields.items():
        key = key_of(name, field)
        yield f"| `{key}` | {_cell(_type(field))} | {_cell(_default(field))} | {_cell(meaning(part, name))} |"
        below = f"{place}.{key}" if place else key
        many = get_origin(field.annotation)
        tail = "[]" if many is tuple else ".NAME" if many is dict else ""
        deeper += [(inner, below + tail) for inner in parts_in(field.annotation)]
    yield ""
    for inner, below in deeper:
        yield from _sections(inner, below)


def _metrics() -> Iterator[str]:
    yield "### Names of metrics\n"
    yield "| task | `gates[].metric` | `training.search.metric` |\n| --- | --- | --- |"
    for task, names in METRICS.items():
        yield f"| `{task}` | {', '.join(names)} | {', '.join(SEARCH_METRICS[task])} |"
    yield ""


def _type(field: FieldInfo) -> str:
    own = next((name for kind, name in _UNITS if set(get_args(kind)[1:]) <= set(field.metadata)), "")
    return own or _named(field.annotation)


def _named(annotation: Any) -> str:
    if unit := next((name for kind, name in _UNITS if annotation == kind), ""):
        return unit
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in inner)
    if origin in (Union, UnionType):
        return " or ".join(_named(option) for option in inner if option is not type(None))
    if origin is tuple:
        return f"list of {_named(inner[0])}"
    if origin is dict:
        return f"name: {_named(inner[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return "keys, see below"
    return _NAMES[annotation]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.default if field.default is not PydanticUndefined else field.default_factory()  # type: ignore[misc, call-arg]
    if isinstance(value, Part):
        return ""
    return f"`{written(value)}`" if value not in (None, "", (), {}) else "none"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
