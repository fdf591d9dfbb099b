"""optbinning's BinningProcess and Scorecard: weights of evidence, or points, bin by bin.

A fitted binning is constant on each bin, so its values are asked of itself: once for each bin, special code, category, for a
missing and for an unseen value. Whatever its metric and its overrides, the graph holds the very numbers that it answers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from modelway.errors import ExportError
from modelway.export.block import Block, Slot, block, joined, numbers
from modelway.export.graph import GraphBuilder
from modelway.export.intervals import places
from modelway.export.words import look_up

if TYPE_CHECKING:
    import pandas as pd

Asked = Callable[["pd.DataFrame"], "pd.DataFrame"]
WRITTEN = ("OptimalBinning", "ContinuousOptimalBinning", "MulticlassOptimalBinning")
UNSEEN = "∎ unseen"


@dataclass(frozen=True, slots=True)
class Variable:
    """One binned column. `values` answer `inputs`: bins or categories first, then special codes, then missing or unseen."""

    name: str
    slot: Slot
    splits: np.ndarray | None
    inputs: tuple[Any, ...]
    specials: int
    values: tuple[float, ...] = ()

    @property
    def edges(self) -> np.ndarray:
        """Where its answer turns: between bins, and at special codes."""
        if self.splits is None:
            return np.zeros(0)
        return np.concatenate([self.splits, self.inputs[len(self.splits) + 1 : -1]]).astype(np.float64)

    @property
    def words(self) -> tuple[str, ...]:
        return self.inputs[:-1] if self.splits is None else ()


def binning_process(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    """BinningProcess as a transformer, with the metrics of its `binning_transform_params`."""
    return _written(graph, _answered(step.transform, variables(step, columns)))


def points(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    """Scorecard as a transformer: the points of each variable."""
    return _written(graph, _answered(step.transform, variables(step.binning_process_, columns)))


def weights(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    """What reaches the estimator within a Scorecard."""

    def asked(rows: "pd.DataFrame") -> "pd.DataFrame":
        return step.binning_process_.transform(
            rows, metric=None, metric_special=step._metric_special, metric_missing=step._metric_missing
        )

    return _written(graph, _answered(asked, variables(step.binning_process_, columns)))


def process(step: Any) -> Any:
    """The BinningProcess that is the step or is inside it; None for any other step."""
    if type(step).__module__.partition(".")[0] != "optbinning":
        return None
    return getattr(step, "binning_process_", step)


def variables(process: Any, columns: Block) -> list[Variable]:
    """The selected variables in order, each with the column that it is read from and what is to be asked of it."""
    slots = _by_name(list(process.variable_names), columns)
    return [_variable(name, slots[name], process.get_binned_variable(name)) for name in process.get_support(names=True)]


def _by_name(names: Sequence[str], columns: Block) -> dict[str, Slot]:
    known = {slot.origin.column: slot for slot in columns if slot.origin is not None}
    if set(names) <= set(known):
        return {name: known[name] for name in names}
    if len(names) == len(columns):
        return dict(zip(names, columns, strict=True))
    raise ExportError(
        "the variables of the BinningProcess are not the columns that reach it",
        "name the columns of its step in variable_names, in their order",
    )


def _variable(name: str, slot: Slot, binning: Any) -> Variable:
    if type(binning).__name__ not in WRITTEN:
        raise ExportError(f"{name} is binned by {type(binning).__name__}", f"use one of {', '.join(WRITTEN)}")
    codes = [code for code in _flat(binning.special_codes) if isinstance(code, str) == (slot.kind == "word")]
    if binning.dtype == "numerical":
        if slot.kind == "word":
            raise ExportError(f"{name} is words, binned as numbers", "name it in categorical_variables")
        splits = np.asarray(binning.splits, dtype=np.float64)
        return Variable(name, slot, splits, (*_inside(splits, codes), *codes, np.nan), len(codes))
    known = [k for k in dict.fromkeys(_flat([*binning.splits, binning._cat_others])) if k not in codes]
    if slot.kind == "word":
        known = [str(category) for category in known]
        return Variable(name, slot, None, (*known, *codes, _unseen(known)), len(codes))
    raise ExportError(f"{name} is numbers, binned as categories", "leave it out of categorical_variables")


def _unseen(known: Sequence[str]) -> str:
    return UNSEEN + "".join(known) if UNSEEN in known else UNSEEN


def _flat(codes: Any) -> list[Any]:
    """Special codes are a list, or a dict of codes and lists; categories are arrays of arrays."""
    if codes is None:
        return []
    if isinstance(codes, dict):
        return _flat(list(codes.values()))
    if isinstance(codes, (list, tuple, np.ndarray)):
        return [one for part in codes for one in _flat(part)]
    return [codes]


def _inside(splits: np.ndarray, codes: Sequence[float]) -> list[float]:
    """A value of each bin that is no special code; bins hold their lower edge and not their upper one."""
    if not len(splits):
        return [next(value for value in np.arange(len(codes) + 1.0) if value not in codes)]
    found = []
    for place in range(len(splits) + 1):
        step = np.inf if place else -np.inf
        value = splits[place - 1] if place else np.nextafter(splits[0], -np.inf)
        while value in codes:
            value = np.nextafter(value, step)
        found.append(float(value))
    return found


def _answered(ask: Asked, asked: Sequence[Variable]) -> list[Variable]:
    """The variables with what the binning makes of their inputs, all asked in one frame."""
    import pandas as pd

    length = max((len(one.inputs) for one in asked), default=0)
    columns = {one.name: [*one.inputs, *[one.inputs[-1]] * (length - len(one.inputs))] for one in asked}
    answers = ask(pd.DataFrame(columns))
    made = []
    for one in asked:
        values = np.asarray(answers[one.name].to_numpy()[: len(one.inputs)])
        if not np.issubdtype(values.dtype, np.number):
            raise ExportError(f"{one.name} becomes words (metric='bins')", "set metric='woe' or 'indices'")
        made.append(Variable(one.name, one.slot, one.splits, one.inputs, one.specials, tuple(values.astype(float))))
    return made


def _written(graph: GraphBuilder, asked: Sequence[Variable]) -> Block:
    """The columns in the order of the variables: all numbers in one tensor, each column of words in one of its own."""
    numeric = [one for one in asked if one.splits is not None]
    slots = iter(_numeric(graph, numeric) if numeric else ())
    return tuple(next(slots) if one.splits is not None else _categories(graph, one) for one in asked)


def _categories(graph: GraphBuilder, one: Variable) -> Slot:
    codes, unseen = one.values[:-1], one.values[-1]
    tensor = look_up(graph, joined(graph, (one.slot,)), "word", one.inputs[:-1], codes, unseen)
    return Slot(tensor, 0, 1, "number")


def _numeric(graph: GraphBuilder, asked: Sequence[Variable]) -> Block:
    columns = tuple(one.slot for one in asked)
    values, splits = numbers(graph, columns), [one.splits for one in asked if one.splits is not None]
    counts = [len(own) + 1 for own in splits]
    offsets = np.concatenate([[0], np.cumsum(counts)[:-1]])[None]
    table = np.concatenate([one.values[:count] for one, count in zip(asked, counts, strict=True)])
    index = graph.op(
        "Add", graph.cast(places(graph, columns, splits), TensorProto.INT64), graph.constant(offsets.astype(np.int64))
    )
    made = graph.op("Gather", graph.constant(table), index, axis=0)
    for place in range(max(one.specials for one in asked)):
        code, value = np.full((2, len(asked)), np.nan)
        for i, (one, count) in enumerate(zip(asked, counts, strict=True)):
            if place < one.specials:
                code[i], value[i] = one.inputs[count + place], one.values[count + place]
        made = graph.op("Where", graph.op("Equal", values, graph.row(code)), graph.row(value), made)
    missing = graph.row([one.values[-1] for one in asked])
    return block(graph.op("Where", graph.op("IsNaN", values), missing, made), "number", [None] * len(asked))
