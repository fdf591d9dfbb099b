"""TargetEncoder: each category by its encoding, an unseen one by the mean of the target."""

from typing import Any

import numpy as np

from modelway.export.block import Block, block, joined
from modelway.export.graph import GraphBuilder
from modelway.export.words import look_up


def target_encoder(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    """Binary and regression: one number a column; multiclass: one a class, column by column."""
    classes = len(step.classes_) if step.target_type_ == "multiclass" else 1
    means = np.broadcast_to(np.asarray(step.target_mean_, dtype=np.float64), (classes,))
    found = []
    for place, encoding in enumerate(step.encodings_):
        slot, categories = columns[place // classes], step.categories_[place // classes]
        codes = np.asarray(encoding, dtype=np.float64)[: len(categories)].tolist()
        mean = float(means[place % classes])
        found.append(look_up(graph, joined(graph, (slot,)), slot.kind, categories, codes, mean))
    values = found[0] if len(found) == 1 else graph.op("Concat", *found, axis=1)
    return block(values, "number", [None] * len(found))
