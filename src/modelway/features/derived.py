"""The records that a plan is made of: raw inputs, expressions, windows and joins."""

from dataclasses import dataclass
from typing import Literal

from modelway.records import Kind
from modelway.spec.model import ColumnType

Stat = Literal["count", "sum", "mean", "std", "min", "max", "distinct", "last", "ratio"]
SameInstant = Literal["counts", "does_not_count"]
TARGET = "_target"


@dataclass(frozen=True, slots=True)
class Input:
    """A raw column that a server must be given, with its type in the contract."""

    name: str
    type: ColumnType
    later: bool = False
    """Known only after the decision: read from events of the past, and never asked of a client."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A derived column; `late` when it uses a window or a join, so that it is computed after them.

    With a `source` it is the Python function `text` of that source.
    """

    name: str
    text: str
    kind: Kind
    uses: tuple[str, ...]
    late: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """An aggregate over the events of an entity with t − reach < at ≤ t − delay, in microseconds.

    `of` is a column, "_target", or "" when events are counted; `by` are the entity columns, () for all events; `default` is the
    value when there is nothing to aggregate (None: 0 for count and distinct, else missing).
    """

    name: str
    stat: Stat
    of: str
    by: tuple[str, ...]
    reach_us: int
    delay_us: int
    default: float | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """The `column` of the newest statement of a table about the thing that the row's column `on` names.

    Of the statements with valid_from ≤ t − delay that had arrived by the decision, the last by (valid_from, arrival, place).
    """

    name: str
    table: str
    on: str
    column: str
    key: str
    valid_from: str
    kind: Kind
    delay_us: int = 0
    default: float | None = None
