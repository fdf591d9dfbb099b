"""What was found in a request, as a message tells it."""

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
