"""A small table with missing numbers, blanks and rare words, and targets that depend on it."""

from typing import Any

import numpy as np
import onnxruntime
import pandas as pd

from modelway.records import Column

NUMBERS = ("amount", "age", "ratio", "balance")
WORDS = ("country", "channel", "job")
COLUMNS = tuple(Column(name, "number") for name in NUMBERS) + tuple(Column(name, "word") for name in WORDS)


def frame(rows: int, seed: int, missing: float = 0.1, rare: float = 0.01) -> pd.DataFrame:
    r = np.random.default_rng(seed)
    data: dict[str, Any] = {
        "amount": np.exp(r.normal(4, 2, rows)),
        "age": r.integers(18, 90, rows).astype(float),
        "ratio": r.normal(0, 1, rows),
        "balance": r.normal(1e6, 5e5, rows),
    }
    for name in NUMBERS:
        data[name][r.random(rows) < missing] = np.nan
    share = (1 - 3 * rare) / 4
    words = np.array(["", "DE", "FR", "Österreich", "x1", "x2", "nan"], dtype=object)
    for name in WORDS:
        data[name] = r.choice(words, rows, p=[share] * 4 + [rare] * 3)
    return pd.DataFrame(data)


def targets(table: pd.DataFrame, seed: int = 0) -> dict[str, np.ndarray]:
    """One target for each task, by name."""
    r = np.random.default_rng(seed)
    score = (
        np.nan_to_num(table["ratio"]) + (table["country"] == "DE") - (table["age"].isna()) + r.normal(0, 1, len(table))
    )
    return {
        "binary": (score > 0.5).astype(int).to_numpy(),
        "multiclass": np.digitize(score, [-0.5, 0.7]),
        "regression": (1000 * score + table["balance"].fillna(0) / 1e4).to_numpy(),
    }


def run(onnx: bytes, table: pd.DataFrame, columns: tuple[Column, ...] = COLUMNS) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx, options)
    numbers = [c.name for c in columns if c.kind == "number"]
    words = [c.name for c in columns if c.kind == "word"]
    feeds = {"numbers": table[numbers].to_numpy(np.float64), "words": table[words].to_numpy(object)}
    wanted = {i.name for i in session.get_inputs()}
    return session.run(["scores"], {name: value for name, value in feeds.items() if name in wanted})[0]
