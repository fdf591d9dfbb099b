"""Encoders of category_encoders and feature_engine: each output depends on one category only, so they are asked for all of them.

The fitted encoder answers one row a category, and one that no category matches; the graph looks the answers up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modelway.errors import ExportError
from modelway.export.block import Block, Slot, joined
from modelway.export.graph import GraphBuilder
from modelway.export.words import look_up

if TYPE_CHECKING:
    import pandas as pd

ENCODERS = (
    *(f"category_encoders.{n}Encoder" for n in ("WOE", "Target", "Count", "JamesStein", "CatBoost", "MEstimate")),
    *(f"category_encoders.{n}Encoder" for n in ("LeaveOneOut", "Quantile", "Ordinal", "OneHot")),
    *(f"category_encoders.{n}Encoder" for n in ("Binary", "BaseN", "RankHot", "Sum", "Helmert", "BackwardDifference")),
    *(f"feature_engine.{n}Encoder" for n in ("WoE", "Mean", "Ordinal", "CountFrequency", "OneHot", "DecisionTree")),
)
UNSEEN = {"word": "∎ unseen", "number": -8.765432101234567e99}


@dataclass(frozen=True, slots=True)
class _Column:
    name: Any
    slot: Slot
    categories: tuple[Any, ...]
    """Empty where the column passes through."""


def encoder(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    """The columns in the order of the encoder's output; those that it does not encode are handed on."""
    given = {name: _column(step, name, slot) for name, slot in zip(list(step.feature_names_in_), columns, strict=True)}
    asked = [(name, category) for name, own in given.items() for category in own.categories]
    if not asked:
        return columns
    answers, takes_unseen = _answers(step, given, asked)
    made: list[Slot] = []
    for output in answers:
        if output in given and not given[output].categories:
            made.append(given[output].slot)
            continue
        first, *values = answers[output].to_numpy(np.float64).tolist()
        owner = _owner(step, output, asked, first, values)
        codes = [value for (name, _), value in zip(asked, values, strict=True) if name == owner]
        made.append(_looked_up(graph, given[owner], codes, first if takes_unseen else float("nan")))
    return tuple(made)


def categories(step: Any, name: Any) -> tuple[Any, ...]:
    """The categories of a column, as the encoder met them; none for a column that it hands on."""
    if hasattr(step, "encoder_dict_"):
        return tuple(step.encoder_dict_.get(name, ()))
    mapping = getattr(step, "ordinal_encoder", step).mapping
    if isinstance(mapping, dict):
        return tuple(mapping[name].index) if name in mapping else ()
    return tuple(k for entry in mapping if entry["col"] == name for k in dict(entry["mapping"]))


def _column(step: Any, name: Any, slot: Slot) -> _Column:
    found = categories(step, name)
    if slot.kind == "word":
        return _Column(name, slot, tuple(k for k in found if isinstance(k, str)))
    numbers = dict.fromkeys(float(k) for k in found if not isinstance(k, str) and not np.isnan(k))
    return _Column(name, slot, (*numbers, np.nan) if numbers else ())


def _answers(step: Any, given: Mapping[Any, _Column], asked: Sequence[tuple[Any, Any]]) -> "tuple[pd.DataFrame, bool]":
    """What the encoder makes of a first row, and of that row with one category put in; whether the first is unseen throughout.

    Where unseen categories are errors, the first row has known ones, and the server refuses the others.
    """
    unseen = {name: UNSEEN[own.slot.kind] for name, own in given.items()}
    try:
        return _transformed(step, [unseen, *({**unseen, name: category} for name, category in asked)]), True
    except ValueError:
        known = unseen | {name: own.categories[0] for name, own in given.items() if own.categories}
        return _transformed(step, [known, *({**known, name: category} for name, category in asked)]), False


def _transformed(step: Any, rows: Sequence[Mapping[Any, Any]]) -> "pd.DataFrame":
    import pandas as pd

    made = step.transform(pd.DataFrame(rows))
    return made if isinstance(made, pd.DataFrame) else pd.DataFrame(made, columns=list(step.get_feature_names_out()))


def _owner(step: Any, output: Any, asked: Sequence[tuple[Any, Any]], first: float, values: Sequence[float]) -> Any:
    """The column that an output depends on; any one where it is the same for all."""
    moved = {
        name
        for (name, _), value in zip(asked, values, strict=True)
        if value != first and not (np.isnan(value) and np.isnan(first))
    }
    if len(moved) > 1:
        raise ExportError(f"{output} of {type(step).__name__} depends on several columns", "use another encoder")
    names = [name for name, _ in asked]
    return moved.pop() if moved else output if output in names else names[0]


def _looked_up(graph: GraphBuilder, own: _Column, codes: Sequence[float], unseen: float) -> Slot:
    found = look_up(graph, joined(graph, (own.slot,)), own.slot.kind, own.categories, codes, unseen)
    return Slot(found, 0, 1, "number")
