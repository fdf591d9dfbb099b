"""Names of columns as a file gives them, made whole: no name empty, none there twice."""

from collections.abc import Sequence

UNNAMED = "column_"
"""A column without a name is called `column_N`, N counting from 1."""


def repaired(names: Sequence[str]) -> list[str]:
    """Trimmed; empty ones become `column_N`, the second `a` becomes `a.1` (as pandas has it)."""
    taken: set[str] = set()
    whole = {name.strip() for name in names}
    made: list[str] = []
    for place, name in enumerate(names, start=1):
        base = name.strip() or f"{UNNAMED}{place}"
        free = base
        count = 0
        while free in taken or (count and free in whole):
            count += 1
            free = f"{base}.{count}"
        taken.add(free)
        made.append(free)
    return made


def again(names: Sequence[str]) -> dict[str, list[str]]:
    """By name that is there more than once: what its later columns are called."""
    found: dict[str, list[str]] = {}
    for name, called in zip(names, repaired(names), strict=True):
        if name.strip() and name.strip() != called:
            found.setdefault(name.strip(), []).append(called)
    return found
