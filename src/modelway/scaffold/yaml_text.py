"""Names and values as YAML reads them back, whatever characters they have."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

_SAFE = re.compile(r"[A-Za-z_][A-Za-z0-9_./]*(?: [A-Za-z0-9_]+)*")


def scalar(value: Any) -> str:
    """One value in a flow or block collection: bare where it reads back as itself, quoted where it must be."""
    if isinstance(value, str):
        bare = _SAFE.fullmatch(value) and len(value) < 80 and yaml.safe_load(value) == value
        return value if bare else _quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def flow(values: Mapping[str, Any]) -> str:
    """`{type: float, in: [a, b]}`."""
    return "{" + ", ".join(f"{name}: {_item(value)}" for name, value in values.items()) + "}"


def _item(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(scalar(v) for v in value) + "]"
    return flow(value) if isinstance(value, Mapping) else scalar(value)


def _quoted(text: str) -> str:
    made = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=10**9).rstrip("\n")
    return str(made)
