"""One JSON event as one row: the law by which ingestion and the server's follower read alike."""

import json
import re
from collections.abc import Collection
from typing import Any

import numpy as np
import orjson

DEEPEST = 250
"""Values within values: what is nested deeper would end in some reader's own limit, and every reader has another."""
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_STEP = np.zeros(256, np.int32)
_STEP[list(b"[{")], _STEP[list(b"]}")] = 1, -1
_BEYOND = 2.0**63
_SHOWN = 10_000


def read_row(value: bytes) -> dict[str, Any] | str:
    """The row {column: value}, or why there is none.

    Strict: UTF-8, no control characters in text, no lone surrogates, no NaN, nothing behind the object (RFC 8259), and no key
    twice, since every reader takes another one of the two.
    """
    try:
        row = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        return f"not JSON: {error}"
    if not isinstance(row, dict):
        return "not a JSON object: one row is {column: value}"
    if is_deep(value):
        return f"values within values, more than {DEEPEST} deep"
    if any(_is_deep_or_long(one) for one in row.values()):
        row = json.loads(value)  # whole numbers of any length as they are: an id of twenty digits is not rounded
    if value.count(b'":') != len(row) and (name := _twice(value)) is not None:
        return f"the key {name!r} stands twice"
    return row


def nested(row: dict[str, Any], names: Collection[str]) -> str | None:
    """Why a row holds no single value under one of these names; None when it does."""
    for name in names:
        if isinstance(row.get(name), dict | list):
            what = "an object" if isinstance(row[name], dict) else "a list"
            return f"{name}: {what}, where the contract names a single value"
    return None


def is_deep(value: bytes) -> bool:
    """Whether JSON is nested more deeply than `DEEPEST`."""
    if value.count(b"[") + value.count(b"{") <= DEEPEST:
        return False
    steps = _STEP[np.frombuffer(_TEXT.sub(b"", value), np.uint8)]
    return bool(steps.cumsum().max(initial=0) > DEEPEST)


def shown(value: bytes) -> str:
    """The beginning of raw bytes as text."""
    return value[:_SHOWN].decode("utf-8", "backslashreplace")


def _is_deep_or_long(value: Any) -> bool:
    return type(value) in (dict, list) or (type(value) is float and not -_BEYOND < value < _BEYOND)


def _twice(value: bytes) -> str | None:
    """The first key that stands twice in one object, at any depth."""
    found: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        found.extend(name for index, name in enumerate(names) if name in names[:index])
        return dict(pairs)

    json.loads(value, object_pairs_hook=look)
    return found[0] if found else None
