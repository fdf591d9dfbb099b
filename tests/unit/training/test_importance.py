import numpy as np
import polars as pl

from modelway.records import Column
from modelway.training.importance import importance


class OnlyA:
    """Probability of class 1 depends on column a alone."""

    classes_ = (0, 1)

    def predict_proba(self, frame):
        likely = 1 / (1 + np.exp(-3 * frame["a"].to_numpy()))
        return np.c_[1 - likely, likely]


def test_only_the_column_that_is_used_is_worth_something():
    rng = np.random.default_rng(0)
    names = ["a", *(f"b{i}" for i in range(45))]
    frame = pl.DataFrame({name: rng.normal(size=500) for name in names})
    target = (frame["a"].to_numpy() > 0).astype(int)
    worth = importance(OnlyA(), frame, target, [Column(n, "number") for n in names], "binary", 2)
    assert list(worth) == names
    assert worth["a"] > 0.3
    assert all(abs(worth[n]) < 1e-12 for n in names[1:])
