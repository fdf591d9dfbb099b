"""The columns between two steps: which tensor of the graph holds each, and from which input column it came."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from modelway.errors import ExportError
from modelway.export.graph import GraphBuilder
from modelway.records import Kind


@dataclass(frozen=True, slots=True)
class Origin:
    """A number that is an input column, moved and scaled: input = value · scale + shift."""

    column: str
    scale: float = 1.0
    shift: float = 0.0


@dataclass(frozen=True, slots=True)
class Slot:
    """One column: the `index`-th of `width` in a tensor."""

    tensor: str
    index: int
    width: int
    kind: Kind
    origin: Origin | None = None
    rounded: bool = False
    """Its values may differ from Python's in the last bits (see `last_bits.py`)."""


Block = tuple[Slot, ...]


def block(tensor: str, kind: Kind, origins: Sequence[Origin | None]) -> Block:
    """All columns of one tensor."""
    width = len(origins)
    return tuple(Slot(tensor, index, width, kind, origin) for index, origin in enumerate(origins))


def numbers(graph: GraphBuilder, columns: Block) -> str:
    """The columns as one tensor double[N, n]; raises ExportError when a word column is among them."""
    if any(slot.kind == "word" for slot in columns):
        names = [slot.origin.column for slot in columns if slot.kind == "word" and slot.origin]
        raise ExportError(
            f"words ({', '.join(names) or 'a column'}) reach a step that takes numbers",
            "encode them first, with OneHotEncoder or OrdinalEncoder",
        )
    return joined(graph, columns)


def words(graph: GraphBuilder, columns: Block) -> str:
    """The columns as one tensor string[N, n]; all must be words."""
    if any(slot.kind == "number" for slot in columns):
        raise ExportError("numbers and words reach one step together", "use a ColumnTransformer to part them")
    return joined(graph, columns)


def joined(graph: GraphBuilder, columns: Block) -> str:
    if not columns:
        raise ExportError("a step is given no columns", "remove the step")
    parts = [_run(graph, list(run)) for _, run in groupby(columns, key=lambda slot: slot.tensor)]
    return parts[0] if len(parts) == 1 else graph.op("Concat", *parts, axis=1)


def moved(columns: Block, tensor: str, scale: np.ndarray, shift: np.ndarray) -> Block:
    """The columns after value ← (value − shift) / scale, held by `tensor`."""
    made = []
    for index, (slot, s, b) in enumerate(zip(columns, scale, shift, strict=True)):
        old = slot.origin
        origin = old and Origin(old.column, old.scale * float(s), old.scale * float(b) + old.shift)
        made.append(Slot(tensor, index, len(columns), "number", origin, slot.rounded))
    return tuple(made)


def held(columns: Block, tensor: str) -> Block:
    """The same columns with new values in `tensor` (their origins still tell where splits lie)."""
    return tuple(replace(slot, tensor=tensor, index=i, width=len(columns)) for i, slot in enumerate(columns))


def _run(graph: GraphBuilder, slots: list[Slot]) -> str:
    places = [slot.index for slot in slots]
    if places == list(range(slots[0].width)):
        return slots[0].tensor
    return graph.op("Gather", slots[0].tensor, graph.constant(places), axis=1)
