"""The classes of a target as text, in the order in which scores are written."""

from collections.abc import Mapping, Sequence

import polars as pl

from modelway.errors import DataError, TooLittleDataError
from modelway.records import Task

_POSITIVE = (("0", "1"), ("no", "yes"), ("n", "y"), ("false", "true"), ("-1", "1"), ("negative", "positive"))


ODDITIES = ("normal", "anomaly")
"""What a detector tells apart, whatever the labels are called, and whether there are any."""


def target_text(target: pl.Series) -> pl.Series:
    """Class names: `1` and `1.0` are the same class "1", a blank is missing (null)."""
    if target.dtype.is_float():
        whole = target.is_finite() & (target == target.round())
        wide = target.is_finite() & (target.abs() < 2**53)
        named = pl.select(
            pl.when(whole & wide)
            .then(target.cast(pl.Int64, strict=False).cast(pl.String))
            .otherwise(target.cast(pl.String))
        ).to_series()
        named = named.set(target.is_nan().fill_null(True), None)
    else:
        named = target.cast(pl.String)
    named = named.str.strip_chars()
    return named.set((named == "").fill_null(True), None).alias("_target")


def ordered_classes(counts: Mapping[str, int], task: Task, positive: str | None = None) -> tuple[str, ...]:
    """The classes in the order of the scores; of a binary task the positive class is the last.

    Positive is `positive`, else the second of 0/1, no/yes, n/y, false/true (in any case), else the rarer class.
    Raises TooLittleDataError for one class, DataError when the task or `positive` does not fit the data.
    """
    if len(counts) < 2:
        raise TooLittleDataError(
            f"the target has only one class: {_told(counts)}",
            "a model needs rows of at least two classes; bring in more rows, or check data.target in modelway.yaml",
        )
    names = _sorted(list(counts))
    if task != "binary":
        return tuple(names)
    if len(counts) > 2:
        raise DataError(
            f"task: binary, but the target has {len(counts)} classes: {_told(counts)}",
            "write task: multiclass (or task: regression for a number) in modelway.yaml",
        )
    last = _positive(names, counts, positive)
    return (next(name for name in names if name != last), last)


def oddities(target: pl.Series, positive: str | None = None) -> pl.Series:
    """Labels as `ODDITIES`, missing where there is none; an anomaly is what `ordered_classes` takes for positive.

    Where one label alone is known, it is normal unless it is `positive` or a word for yes. Raises DataError for more than two
    labels without a `positive`.
    """
    named = target_text(target)
    counts: dict[str, int] = dict(named.drop_nulls().value_counts().iter_rows())
    if positive is None and len(counts) > 2:
        raise DataError(
            f"the target has {len(counts)} labels, and an anomaly is one of two: {_told(counts)}",
            "say which one is an anomaly: positive under data: in modelway.yaml",
        )
    odd = positive or (_positive(_sorted(list(counts)), counts, None) if len(counts) == 2 else "")
    yes = {odd} if odd else {name for name in counts if name.casefold() in {yes for _, yes in _POSITIVE}}
    made = (
        pl.when(named.is_null())
        .then(None)
        .when(named.is_in(list(yes)))
        .then(pl.lit(ODDITIES[1]))
        .otherwise(pl.lit(ODDITIES[0]))
    )
    return pl.select(made.cast(pl.String).alias("_target")).to_series()


def _positive(names: Sequence[str], counts: Mapping[str, int], wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in counts:
            raise DataError(
                f"data.positive is {wanted!r}, but the target has the classes {_told(counts)}",
                f"write positive: {names[-1]!r} under data: in modelway.yaml",
            )
        return wanted
    folded = {name.casefold(): name for name in names}
    for negative, yes in _POSITIVE:
        if set(folded) == {negative, yes}:
            return folded[yes]
    return min(names, key=lambda name: (counts[name], -names.index(name)))


def _sorted(names: list[str]) -> list[str]:
    try:
        return sorted(names, key=lambda name: (float(name), name))
    except ValueError:
        return sorted(names)


def _told(counts: Mapping[str, int]) -> str:
    shown = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:10]
    more = f" and {len(counts) - 10} more" if len(counts) > 10 else ""
    return ", ".join(f"{name} ({count} rows)" for name, count in shown) + more
