"""Columns that alone give the target away: most likely they are known only after it."""

import numpy as np
import polars as pl

from modelway.scaffold.columns import Facts
from modelway.scaffold.target import Target

AUC, R, ACCURACY = 0.995, 0.999, 0.995
_ROWS = 50_000
_BINS = 100


def leak(facts: Facts, target: Target) -> str:
    """How the column gives the target away; "" when it does not. Looks at up to 50,000 rows."""
    rows = pl.DataFrame({"x": facts.values.filter(target.present), "y": target.values})
    rows = rows.sample(min(rows.height, _ROWS), shuffle=True, seed=0)
    if _copies(rows, facts, target):
        return "it is a copy of the target"
    if not _enough(target):
        return ""
    if (told := _absence(rows, target)) or facts.missing == facts.rows:
        return told
    rows = rows.drop_nulls()
    if rows.height < 20 or rows.height < 0.5 * min(target.rows, _ROWS):
        return ""
    return _JUDGES[target.task](rows, facts)


def _copies(rows: pl.DataFrame, facts: Facts, target: Target) -> bool:
    """Whether each value stands for one class and each class for one value."""
    if not target.counts or facts.distinct != len(target.counts) or facts.missing:
        return False
    return rows.unique().height == facts.distinct


def _enough(target: Target) -> bool:
    """Whether a perfect order could not come by chance."""
    if not target.counts:
        return target.rows >= 20
    rarest = min(target.counts.values())
    return target.rows >= 20 and (rarest >= 5 or (rarest >= 3 and target.rows >= 300) or target.task == "multiclass")


def _absence(rows: pl.DataFrame, target: Target) -> str:
    """Whether a value being there or not gives the target away, as a date of default does."""
    gone = rows["x"].is_null()
    if target.task == "regression" or not 0 < int(gone.sum()) < rows.height:
        return ""
    if target.task == "binary":
        score = _auc(gone.cast(pl.Float64), rows["y"] == min(target.counts, key=lambda k: target.counts[k]))
        return f"whether it is missing tells the classes apart (AUC {score:.4f})" if score >= AUC else ""
    return ""


def _binary(rows: pl.DataFrame, facts: Facts) -> str:
    y = rows["y"] == rows["y"].value_counts(sort=True)["y"][-1]
    x = _encoded(rows["x"], y.cast(pl.Float64)) if facts.word else _numbers(rows["x"])
    score = _auc(x, y)
    return f"it alone tells the classes apart (AUC {score:.4f})" if score >= AUC else ""


def _multiclass(rows: pl.DataFrame, facts: Facts) -> str:
    x = rows["x"]
    if not facts.word:
        x = _numbers(x)
        if x.n_unique() > _BINS:
            x = (x.rank("average") * _BINS / (len(x) + 1)).floor()
    parts = rows.select(pl.Series("x", x.cast(pl.String)), "y").with_row_index("i").with_columns(half=pl.col("i") % 2)
    commonest = (
        parts.group_by("x", "half", "y")
        .len()
        .sort("len", descending=True)
        .unique(["x", "half"], keep="first", maintain_order=True)
    )
    guess = commonest.select("x", (1 - pl.col("half")).alias("half"), pl.col("y").alias("guess"))
    right = (
        parts.join(guess, on=["x", "half"], how="left")
        .select((pl.col("guess") == pl.col("y")).fill_null(False).mean())
        .item()
    )
    plain = rows["y"].value_counts(sort=True)["count"][0] / rows.height
    return f"it alone names the class of {right:.1%} of the rows" if right >= ACCURACY and plain < 0.98 else ""


def _regression(rows: pl.DataFrame, facts: Facts) -> str:
    y = rows["y"].cast(pl.Float64)
    x = _encoded(rows["x"], y) if facts.word else _numbers(rows["x"])
    for words, left, right in (("is nearly in line with", x, y), ("orders the rows nearly as", x.rank(), y.rank())):
        r = abs(_correlation(left, right))
        if r >= R:
            return f"it {words} the target (|r| {r:.4f})"
    return ""


_JUDGES = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}


def _numbers(x: pl.Series) -> pl.Series:
    """Doubles; infinities as the largest number."""
    return (x.dt.epoch("us") if x.dtype.is_temporal() else x).cast(pl.Float64).clip(-1e300, 1e300)


def _encoded(x: pl.Series, y: pl.Series) -> pl.Series:
    """Each category as the mean target of the other half of the rows, so that a value of its own row tells nothing."""
    parts = pl.DataFrame({"x": x, "y": y}).with_row_index("i").with_columns(half=pl.col("i") % 2)
    means = parts.group_by("x", "half").agg(pl.col("y").mean().alias("mean")).with_columns(half=1 - pl.col("half"))
    joined = parts.join(means, on=["x", "half"], how="left", maintain_order="left")
    return joined["mean"].fill_null(y.mean())


def _auc(x: pl.Series, y: pl.Series) -> float:
    positive = int(y.sum())
    negative = len(y) - positive
    if not positive or not negative:
        return 0.5
    ranks = float(x.rank("average").filter(y).sum())
    area = (ranks - positive * (positive + 1) / 2) / (positive * negative)
    return max(area, 1 - area)


def _correlation(x: pl.Series, y: pl.Series) -> float:
    left, right = x.to_numpy(), y.to_numpy()
    left, right = left - left.mean(), right - right.mean()
    left, right = left / (np.abs(left).max() or 1.0), right / (np.abs(right).max() or 1.0)
    length = float(np.sqrt((left**2).sum() * (right**2).sum()))
    return float((left * right).sum()) / length if length else 0.0
