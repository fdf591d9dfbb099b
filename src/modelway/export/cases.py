"""The rows on which graph and estimator are compared: the holdout, and rows made to tell them apart."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from modelway.export.build import Hints
from modelway.export.refusals import LADDER, UNSEEN, altered
from modelway.records import Column

if TYPE_CHECKING:
    import pandas as pd

SMALL = (0.0, -0.0, 1e-300, -1e-300, 1e-35, -1e-35, 1.0000000180025095e-35, 1e-8, 0.5, -0.5, 1.0, -1.0, 255.5, 256.0)
STRANGE = ("", " ", UNSEEN, "nan", "None", "0", "ÄÖÜ", "x" * 300)
SPLIT_ROWS, MIXED_ROWS = 2500, 500


def adversarial_rows(
    sample: "pd.DataFrame", base: "pd.DataFrame", columns: Sequence[Column], hints: Hints, seed: int
) -> "dict[str, pd.DataFrame]":
    """Frames by the name of their case; `base` is one row that the estimator takes, `sample` gives the others."""
    random = np.random.default_rng(seed)
    numbers = [column.name for column in columns if column.kind == "number"]
    words = [column.name for column in columns if column.kind == "word"]
    known = {name: sorted({*hints.words.get(name, ()), *sample[name].unique()[:200]}) for name in words}
    made = {
        "missing": altered(base, [(name, np.nan) for name in numbers]),
        "known words": altered(base, [(name, word) for name in words for word in known[name]]),
        "strange words": altered(base, [(name, word) for name in words for word in STRANGE]),
        "small and special numbers": altered(base, [(name, value) for name in numbers for value in SMALL]),
        "extremes": altered(base, [(name, s * size) for name in numbers for size in LADDER for s in (1, -1)]),
        "infinities": altered(base, [(name, s * np.inf) for name in numbers for s in (1, -1)]),
        "missing, blank and unseen at once": _mixed(random, sample, numbers, words),
        "on and next to splits": _on_splits(random, sample, hints.splits),
    }
    return {name: rows for name, rows in made.items() if len(rows)}


def _drawn(random: np.random.Generator, sample: "pd.DataFrame", rows: int) -> "pd.DataFrame":
    return sample.iloc[random.integers(0, len(sample), rows)].reset_index(drop=True)


def _mixed(
    random: np.random.Generator, sample: "pd.DataFrame", numbers: Sequence[str], words: Sequence[str]
) -> "pd.DataFrame":
    """20 % of the numbers missing, 30 % of the words blank, 30 % unseen; the last row lacks everything."""
    rows = _drawn(random, sample, MIXED_ROWS)
    for name in numbers:
        gone = random.random(MIXED_ROWS) < 0.2
        gone[-1] = True
        rows.loc[gone, name] = np.nan
    for name in words:
        draw = random.random(MIXED_ROWS)
        draw[-1] = 0.0
        rows.loc[draw < 0.3, name] = ""
        rows.loc[draw > 0.7, name] = UNSEEN
    return rows


def _on_splits(
    random: np.random.Generator, sample: "pd.DataFrame", splits: Mapping[str, Sequence[float]]
) -> "pd.DataFrame":
    """Half of the numbers of each row at a place where a tree decides, or one or two steps of a double beside it."""
    if not splits:
        return sample.iloc[:0]
    rows = _drawn(random, sample, SPLIT_ROWS)
    for name, turning in splits.items():
        values = np.asarray(turning)[random.integers(0, len(turning), SPLIT_ROWS)]
        steps = random.integers(-2, 3, SPLIT_ROWS)
        with np.errstate(over="ignore"):
            values = values + steps * np.spacing(np.abs(values))
        rows[name] = np.where(random.random(SPLIT_ROWS) < 0.5, values, rows[name].to_numpy())
    return rows
