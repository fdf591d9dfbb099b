"""Positions and numbers of an application, kept as Delta application transactions in the same commit as its rows.

`app/3` is the next offset of partition 3, `app/partitions` how many partitions are told of, `app/NAME` a number of that name.
A transaction cannot be deleted: `GONE` stands for "no position".
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deltalake import Transaction

_PARTITIONS = "partitions"
GONE = -1
Recorded = Callable[[str], int | None]
"""What a version of a table says of a transaction's name; None when it says nothing."""


def nothing(name: str) -> None:
    """Of a table that is not there yet."""
    del name


def positions(recorded: Recorded, app: str) -> dict[int, int]:
    """The next offset by partition."""
    partitions = range(recorded(f"{app}/{_PARTITIONS}") or 0) if app else ()
    found = {partition: recorded(f"{app}/{partition}") for partition in partitions}
    return {partition: offset for partition, offset in found.items() if offset is not None and offset != GONE}


def number(recorded: Recorded, app: str, name: str) -> int | None:
    """The number of that name."""
    return recorded(f"{app}/{_named(name)}")


def transactions(
    recorded: Recorded, app: str, upto: Mapping[int, int], numbers: Mapping[str, int]
) -> "list[Transaction]":
    """What a commit of `app` says: these positions, besides those that stand, and these numbers."""
    from deltalake import Transaction

    said = [Transaction(f"{app}/{partition}", offset) for partition, offset in upto.items()]
    if said:
        before = recorded(f"{app}/{_PARTITIONS}")
        said.append(Transaction(f"{app}/{_PARTITIONS}", max(before or 0, max(upto) + 1)))
    return said + [Transaction(f"{app}/{_named(name)}", value) for name, value in numbers.items()]


def moved(recorded: Recorded, app: str, upto: Mapping[int, int], numbers: Mapping[str, int]) -> "list[Transaction]":
    """The same, where the positions that are not named are no longer there."""
    gone = dict.fromkeys(positions(recorded, app), GONE)
    return transactions(recorded, app, {**gone, **upto}, numbers)


def _named(name: str) -> str:
    """Raises ValueError for a name that is a partition's."""
    if name == _PARTITIONS or name.lstrip("-").isdigit():
        raise ValueError(f"{name!r} stands for a position, not for a number")
    return name
