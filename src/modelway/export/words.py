"""One-hot and ordinal encoders (of words and of numbers) and the imputer of words."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

from modelway.errors import ExportError
from modelway.export.block import Block, block, held, joined, words
from modelway.export.graph import ML, GraphBuilder, word_tensor

DIRECT = 256
"""Up to so many one-hot columns are found by comparing with each category; more by looking codes up."""


def imputer(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    """SimpleImputer of words: `missing_values` is a word; NaN and None never come, since a missing word is ""."""
    kept = [isinstance(fill, str) or step.keep_empty_features for fill in step.statistics_]
    left = tuple(slot for slot, keep in zip(columns, kept, strict=True) if keep)
    fill = [str(fill) for fill, keep in zip(step.statistics_, kept, strict=True) if keep]
    if not isinstance(step.missing_values, str):
        if step.add_indicator and len(step.indicator_.features_):
            raise ExportError("an indicator of missing words looks for NaN", 'set missing_values=""')
        return left
    filled: Block = ()
    if left:
        values = words(graph, left)
        gone = graph.op("Equal", values, graph.words([step.missing_values]))
        filled = held(left, graph.op("Where", gone, graph.words(fill), values))
    if not step.add_indicator or not len(step.indicator_.features_):
        return filled
    return filled + indicator(graph, step.indicator_, tuple(columns[i] for i in step.indicator_.features_))


def indicator(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    """MissingIndicator of words: `missing_values` is a word, "" as a rule."""
    if not isinstance(step.missing_values, str):
        raise ExportError("an indicator of missing words looks for NaN", 'set missing_values=""')
    gone = graph.op("Equal", words(graph, columns), graph.words([step.missing_values]))
    return block(graph.cast(gone, TensorProto.DOUBLE), "number", [None] * len(columns))


def one_hot(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    """OneHotEncoder: infrequent categories share their last column, dropped and unknown ones have none."""
    codes, unknown, widths = zip(*(_one_hot_codes(step, i) for i in range(len(columns))), strict=True)
    width = sum(widths)
    if width == 0:
        return ()
    plain = width <= DIRECT and all(u == -1 and len(set(c)) == len(c) for u, c in zip(unknown, codes, strict=True))
    if plain and all(slot.kind == "word" for slot in columns):
        hot = _by_comparing(graph, step, columns, codes)
    else:
        hot = _by_code(graph, step, columns, codes, unknown, widths)
    return block(graph.cast(hot, TensorProto.DOUBLE), "number", [None] * width)


def ordinal(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    """OrdinalEncoder; a category that must not come (handle_unknown="error") gets NaN, and is refused by the server."""
    unknown = float(step.unknown_value) if step.handle_unknown == "use_encoded_value" else float("nan")
    found = []
    for i, slot in enumerate(columns):
        codes = _ordinal_codes(step, i)
        found.append(look_up(graph, joined(graph, (slot,)), slot.kind, step.categories_[i], codes, unknown))
    values = found[0] if len(found) == 1 else graph.op("Concat", *found, axis=1)
    return block(values, "number", [None] * len(columns))


def _one_hot_codes(step: Any, i: int) -> tuple[list[int], int, int]:
    """The column of each category of feature i (−1: none), that of an unknown one, and how many there are."""
    rare = _infrequent(step, i)
    frequent = [k for k in range(len(step.categories_[i])) if k not in rare]
    columns = {k: place for place, k in enumerate(frequent)} | dict.fromkeys(rare, len(frequent))
    width = len(frequent) + bool(rare)
    grouped = rare and step.handle_unknown in ("infrequent_if_exist", "warn")
    unknown = len(frequent) if grouped else -1
    dropped = step.drop_idx_[i] if step.drop_idx_ is not None else None
    if dropped is not None:
        gone = columns[int(dropped)]
        columns = {k: _without(place, gone) for k, place in columns.items()}
        unknown, width = _without(unknown, gone), width - 1
    return [columns[k] for k in range(len(columns))], unknown, width


def _without(place: int, gone: int) -> int:
    if place == gone:
        return -1
    return place - 1 if place > gone else place


def _ordinal_codes(step: Any, i: int) -> list[float]:
    categories = step.categories_[i]
    missing = {k for k, value in enumerate(categories) if isinstance(value, float) and np.isnan(value)}
    rare = _infrequent(step, i)
    frequent = [k for k in range(len(categories)) if k not in rare and k not in missing]
    codes = {k: float(place) for place, k in enumerate(frequent)} | dict.fromkeys(rare, float(len(frequent)))
    codes |= dict.fromkeys(missing, float(step.encoded_missing_value))
    return [codes[k] for k in range(len(categories))]


def _infrequent(step: Any, i: int) -> set[int]:
    if step.min_frequency is None and step.max_categories is None:
        return set()
    rare = step.infrequent_categories_[i]
    return set() if rare is None else {k for k, v in enumerate(step.categories_[i]) if v in set(rare)}


def _by_comparing(graph: GraphBuilder, step: Any, columns: Block, codes: Sequence[Sequence[int]]) -> str:
    """bool[N, width]: each column compared with all its categories at once."""
    places, wanted = [], []
    for i, own in enumerate(codes):
        for code, category in sorted(zip(own, step.categories_[i], strict=True), key=lambda pair: pair[0]):
            if code >= 0:  # a single infrequent category has the last place
                places.append(i)
                wanted.append(str(category))
    spread = graph.op("Gather", words(graph, columns), graph.constant(places), axis=1)
    return graph.op("Equal", spread, graph.words(wanted))


def _by_code(
    graph: GraphBuilder,
    step: Any,
    columns: Block,
    codes: Sequence[Sequence[int]],
    unknown: Sequence[int],
    widths: Sequence[int],
) -> str:
    """bool[N, width]: each value looked up once, its code compared with the places of its columns."""
    found = [
        look_up(graph, joined(graph, (slot,)), slot.kind, step.categories_[i], [float(c) for c in codes[i]], unknown[i])
        for i, slot in enumerate(columns)
    ]
    values = found[0] if len(found) == 1 else graph.op("Concat", *found, axis=1)
    owner = np.repeat(np.arange(len(widths)), widths)
    place = np.concatenate([np.arange(width) for width in widths])
    return graph.op("Equal", graph.op("Gather", values, graph.constant(owner), axis=1), graph.row(place))


def look_up(
    graph: GraphBuilder, values: str, kind: str, categories: Any, codes: Sequence[float], unknown: float
) -> str:
    """double[N, 1]: the code of each value, `unknown` when it is none of the categories."""
    if kind == "word":
        keys = word_tensor([str(v) for v in categories], [len(categories)], "k")
    else:
        keys = numpy_helper.from_array(np.asarray(categories, dtype=np.float64), "k")
    return graph.op(
        "LabelEncoder",
        values,
        domain=ML,
        keys_tensor=keys,
        values_tensor=numpy_helper.from_array(np.asarray(codes, dtype=np.float64), "v"),
        default_tensor=numpy_helper.from_array(np.array([unknown], dtype=np.float64), "d"),
    )
