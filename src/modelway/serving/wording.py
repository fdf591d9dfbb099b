"""Values of a request as people read them: in a message, and as text."""

from typing import Any

import orjson


def kind(value: Any) -> str:
    """What JSON calls it."""
    return {
        type(None): "missing",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
    }.get(type(value), "an object")


def shown(value: Any) -> str:
    """The beginning of a value as JSON, for a message."""
    try:
        text = orjson.dumps(value).decode()
    except TypeError:  # it reads deeper (1,024) than it writes (254)
        return f"{kind(value)} nested too deeply"
    return text if len(text) <= 60 else text[:57] + "…"


def as_text(value: Any) -> str:
    """A value as text: times as ISO 8601, booleans as JSON writes them, whole numbers without a fraction."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)
