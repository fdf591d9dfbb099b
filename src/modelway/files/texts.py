"""Columns of text become numbers, truth values, dates or times when every value of theirs is one; else they stay text."""

import polars as pl

from modelway.files.moments import moments

MISSING = ("na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none", "nat", "?", ".")
"""What stands for a missing value among numbers, dates and truth values, in any case; in text such a word is a value."""
NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$|^[+-]?(?:inf|Inf|INF|Infinity|infinity)$"
CODE = r"^[+-]?0\d|^[+-]?\d{16,}$"
"""Digits that are no number: leading zeros, or more digits than a double holds."""
WHOLE = r"^[+-]?\d+$"
COMMA = r"^[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+)(?:,\d+)?$"
"""A number with a decimal comma, and dots between thousands."""


_SAMPLE = 1000


def trimmed(frame: pl.DataFrame) -> pl.DataFrame:
    """Text without blanks at its ends; blank text is missing."""
    text = pl.col(pl.String).str.strip_chars()
    return frame.with_columns(pl.when(text != "").then(text))


def typed(column: pl.Series, *, comma: bool = False) -> pl.Series:
    """The column of trimmed text as Int64, Float64, Boolean, Date or Datetime(us, UTC), or as it is."""
    if column.dtype != pl.String or (len(column) > _SAMPLE and _is_text(column.head(_SAMPLE), comma)):
        return column
    kind = _kind(_meant(column.drop_nulls().unique()), comma)
    if kind == "number":
        return _numbers(_meant(column), comma)
    if kind == "truth":
        return _meant(column).str.to_lowercase() == "true"
    if kind == "moment" and (made := moments(_meant(column))) is not None:
        return made
    return column


def decimal_comma(frame: pl.DataFrame) -> bool:
    """Whether numbers have decimal commas beyond doubt: some cannot be thousands, and no column has decimal points."""
    found = False
    for name in frame.columns:
        values = _meant(frame[name].drop_nulls().unique())
        if values.is_empty() or values.dtype != pl.String:
            continue
        if values.str.contains(NUMBER).all() and values.str.contains(r"\.(?:\d{1,2}|\d{4,})$").any():
            return False
        if values.str.contains(COMMA).all() and values.str.contains(r",(?:\d{1,2}|\d{4,})$|\d{4,},|^[+-]?0,").any():
            found = True
    return found


def _is_text(sample: pl.Series, comma: bool) -> bool:
    """Whether the first values alone decide that the column stays text."""
    return _kind(_meant(sample.drop_nulls().unique()), comma) == "text"


def _meant(values: pl.Series) -> pl.Series:
    """Without the words that stand for a missing value."""
    return values.set(values.str.to_lowercase().is_in(MISSING).fill_null(False), None)


def _kind(values: pl.Series, comma: bool) -> str:
    values = values.drop_nulls()
    if values.is_empty():
        return "number"
    if values.str.contains(COMMA if comma else NUMBER).all():
        return "text" if values.str.contains(CODE).any() else "number"
    if values.str.to_lowercase().is_in(["true", "false"]).all():
        return "truth"
    return "moment" if moments(values.head(200)) is not None else "text"


def _numbers(values: pl.Series, comma: bool) -> pl.Series:
    if comma:
        values = values.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    whole = values.str.contains(WHOLE).all()
    return values.cast(pl.Int64 if whole else pl.Float64)
