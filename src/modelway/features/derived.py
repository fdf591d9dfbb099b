"""The records that a plan is made of: raw inputs, expressions and windows."""

from dataclasses import dataclass
from typing import Literal

from modelway.records import Kind
from modelway.spec.model import ColumnType

Stat = Literal["count", "sum", "mean", "std", "min", "max", "distinct", "last"]
SameInstant = Literal["counts", "does_not_count"]
TARGET = "_target"


@dataclass(frozen=True, slots=True)
class Input:
    """A raw column that a server must be given, with its type in the contract."""

    name: str
    type: ColumnType


@dataclass(frozen=True, slots=True)
class Expression:
    """A derived column; `late` when it uses a window, so that it is computed after the windows."""

    name: str
    text: str
    kind: Kind
    uses: tuple[str, ...]
    late: bool = False


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
