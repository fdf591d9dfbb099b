"""CatBoost's categories: the words that it splits by, and the tables of target statistics that it keeps of them.

A model holds hashes of words. With the words of training given, each one's hash (as CatBoost itself tells it) is looked up
here, and the graph gets tables from words. A word that training did not meet has no entry: so it is in CatBoost.
"""

import ast
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

from modelway.errors import ExportError
from modelway.export.block import Block, block, joined, numbers
from modelway.export.graph import ML, GraphBuilder, word_tensor

LARGEST = 200_000
"""Entries of the table of one combination of columns."""
MULTIPLIER, MASK = 0x4906BA494954CB65, 2**64 - 1
EMPTY = MASK
"""The key of an unused place in CatBoost's tables."""
WAY_OUT = "encode the words first, with OneHotEncoder, OrdinalEncoder or TargetEncoder, and leave cat_features out"


@dataclass(frozen=True, slots=True)
class _Words:
    """One column of categories: its words, the hash of each, and int64[N, 1] of their places, the last for a new word."""

    hashes: tuple[int, ...]
    place: str


def told(model: Any) -> dict[str, Any]:
    """The model as CatBoost writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        return dict(json.loads(path.read_text()))


def encoded(graph: GraphBuilder, model: Any, columns: Block, vocabulary: Mapping[str, Sequence[str]]) -> Block:
    """The columns as numbers: categories as places in the list of those split by, then one column for each statistic."""
    chosen = model.get_cat_feature_indices()
    if not chosen:
        return columns
    known = {i: _vocabulary(columns, i, vocabulary) for i in chosen}
    hashes = _hashes(sorted({word for words in known.values() for word in words}))
    features = told(model)
    cats = features["features_info"]["categorical_features"]
    words = {
        cat["feature_index"]: _looked_up(
            graph, columns, cat["flat_feature_index"], known[cat["flat_feature_index"]], hashes
        )
        for cat in cats
    }
    made = list(columns)
    for cat in cats:
        made[cat["flat_feature_index"]] = _one_hot(graph, words[cat["feature_index"]], cat)
    statistics = [_statistic(graph, ctr, features, words, columns) for ctr in features["features_info"].get("ctrs", ())]
    return tuple(made) + tuple(slot for tensor in statistics for slot in block(tensor, "number", [None]))


def _vocabulary(columns: Block, place: int, vocabulary: Mapping[str, Sequence[str]]) -> list[str]:
    slot = columns[place]
    if slot.kind != "word" or slot.origin is None:
        raise ExportError(f"CatBoost takes column {place} as categories, which are numbers by then", WAY_OUT)
    if slot.origin.column not in vocabulary:
        raise ExportError(
            f"CatBoost takes the words of {slot.origin.column} itself, of which its model keeps hashes only", WAY_OUT
        )
    return sorted(set(vocabulary[slot.origin.column]))


def _hashes(words: Sequence[str]) -> dict[str, int]:
    """The hash of each word, from the table that CatBoost writes with a model in Python: of one tree, grown for this."""
    from catboost import CatBoostRegressor, Pool

    rows = [[word] for word in {*words, "one", "other"}]
    pool = Pool(rows, label=list(range(len(rows))), cat_features=[0])
    small = CatBoostRegressor(iterations=1, depth=1, verbose=False, allow_writing_files=False, thread_count=1).fit(pool)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.py"
        small.save_model(str(path), format="python", pool=pool)
        text = path.read_text()
    table = text[text.index("cat_features_hashes = ") :]
    literal = ast.literal_eval(table[table.index("{") : table.index("\n}") + 2])
    # Bytes beyond ASCII are written one by one, as if each were a character.
    return {word.encode("latin-1").decode(): value for word, value in literal.items()}


def _looked_up(
    graph: GraphBuilder, columns: Block, place: int, words: Sequence[str], hashes: Mapping[str, int]
) -> _Words:
    code = graph.op(
        "LabelEncoder",
        joined(graph, (columns[place],)),
        domain=ML,
        keys_tensor=word_tensor(words, [len(words)], "k"),
        values_tensor=numpy_helper.from_array(np.arange(len(words), dtype=np.float64), "v"),
        default_tensor=numpy_helper.from_array(np.array([len(words)], dtype=np.float64), "d"),
    )
    return _Words(tuple(hashes.get(word, 0) for word in words), graph.cast(code, TensorProto.INT64))


def _one_hot(graph: GraphBuilder, words: _Words, cat: Mapping[str, Any]) -> Any:
    """The place of a word's hash among those that the trees split by, −1 for all others."""
    wanted = cat.get("values", [])
    _covered(set(wanted), set(words.hashes), cat)
    table = np.array([*(wanted.index(h) if h in wanted else -1 for h in words.hashes), -1], dtype=np.float64)
    return block(graph.op("Gather", graph.constant(table), words.place, axis=0), "number", [None])[0]


def _statistic(
    graph: GraphBuilder,
    ctr: Mapping[str, Any],
    features: Mapping[str, Any],
    words: Mapping[int, _Words],
    columns: Block,
) -> str:
    """double[N, 1]: what CatBoost keeps of the target where columns have these values together."""
    kinds = ("cat_feature_value", "float_feature", "cat_feature_exact_value")
    elements = sorted(ctr["elements"], key=lambda element: kinds.index(element["combination_element"]))
    parts = [_part(graph, element, features, words, columns) for element in elements]
    size = int(np.prod([len(values) + own for values, own, _ in parts]))
    if size > LARGEST:
        raise ExportError(
            f"CatBoost combines columns to {size} values", f"set max_ctr_complexity=1 (at most {LARGEST}), or {WAY_OUT}"
        )
    data = features["ctr_data"][ctr["identifier"]]
    rows = _rows(data)
    none = _value(ctr, data, None)
    table, met = [], set()
    for values in product(*([*values, *([None] if own else [])] for values, own, _ in parts)):
        known = [value for value in values if value is not None]
        mixed = _mixed(known) if len(known) == len(values) else None
        table.append(none if mixed is None or mixed not in rows else _value(ctr, data, rows[mixed]))
        met.add(mixed)
    _covered(set(rows), met, ctr)
    place, sizes = parts[0][2], [len(values) + own for values, own, _ in parts]
    for (_, _, own), width in zip(parts[1:], sizes[1:], strict=True):
        place = graph.op("Add", graph.op("Mul", place, graph.constant(np.array(width))), own)
    return graph.op("Gather", graph.constant(np.array(table, dtype=np.float64)), place, axis=0)


def _part(
    graph: GraphBuilder,
    element: Mapping[str, Any],
    features: Mapping[str, Any],
    words: Mapping[int, _Words],
    columns: Block,
) -> tuple[tuple[int, ...], bool, str]:
    """What one column adds to a combination: its possible values, whether there are others, and the place of a row's."""
    if element["combination_element"] == "cat_feature_value":
        own = words[element["cat_feature_index"]]
        return own.hashes, True, own.place
    if element["combination_element"] == "float_feature":
        told = next(
            f
            for f in features["features_info"]["float_features"]
            if f["feature_index"] == element["float_feature_index"]
        )
        value = graph.cast(numbers(graph, (columns[told["flat_feature_index"]],)), TensorProto.FLOAT)
        above = graph.op("Greater", value, graph.constant(np.float32(element["border"])))
        if told["nan_value_treatment"] == "AsTrue":
            above = graph.op("Or", above, graph.op("IsNaN", value))
        return (0, 1), False, graph.cast(above, TensorProto.INT64)
    own = words[element["cat_feature_index"]]
    value = element.get("value", element.get("cat_feature_value"))
    same = np.array([*(h == value for h in own.hashes), False], dtype=np.int64)
    return (0, 1), False, graph.op("Gather", graph.constant(same), own.place, axis=0)


def _mixed(values: Sequence[int]) -> int:
    result = 0
    for value in values:
        result = MULTIPLIER * ((result + MULTIPLIER * value) & MASK) & MASK
    return result


def _rows(data: Mapping[str, Any]) -> dict[int, list[float]]:
    """The counts of each combination, by its hash."""
    stride, flat = data["hash_stride"], data["hash_map"]
    rows = {int(flat[at]): [float(v) for v in flat[at + 1 : at + stride]] for at in range(0, len(flat), stride)}
    return {key: counts for key, counts in rows.items() if key != EMPTY}


def _value(ctr: Mapping[str, Any], data: Mapping[str, Any], counts: list[float] | None) -> float:
    """The statistic in float32, as CatBoost computes it; of no counts where training met no such row."""
    kind = ctr["ctr_type"]
    if kind in ("Counter", "FeatureFreq"):
        good, total = (counts or [0.0])[0], float(data["counter_denominator"])
    elif counts is None:
        good, total = 0.0, 0.0
    elif kind in ("BinarizedTargetMeanValue", "FloatTargetMeanValue"):
        good, total = counts
    elif kind == "Buckets":
        good, total = counts[ctr["target_border_idx"]], sum(counts)
    else:
        good, total = sum(counts[ctr["target_border_idx"] + 1 :]), sum(counts)
    single = np.float32
    share = (single(good) + single(ctr["prior_numerator"])) / (single(total) + single(ctr["prior_denomerator"]))
    return float((share + single(ctr["shift"])) * single(ctr["scale"]))


def _covered(wanted: set[Any], given: set[Any], what: Mapping[str, Any]) -> None:
    if not wanted <= given:
        called = what.get("feature_id") or "a combination of columns"
        raise ExportError(
            f"CatBoost has met {len(wanted - given)} categories of {called} that are not among the words of training",
            WAY_OUT,
        )
