"""What a column of text becomes, once that is known of the whole file."""

from dataclasses import dataclass

import polars as pl

from modelway.files.moments import moments_of

MISSING = ("na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none", "nat", "?", ".")
"""What stands for a missing value among numbers, dates and truth values, in any case; in text such a word is a value."""


class ChangedError(Exception):
    """A value is not of the kind that its column had when the file was read to its end."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Int64, Float64, Boolean, Date, Datetime(us, UTC) or String; whether numbers have decimal commas; the form of dates."""

    dtype: pl.DataType
    comma: bool = False
    form: str = ""

    def read(self, column: pl.Series) -> pl.Series:
        """Text as what it stands for. Raises ChangedError for a value that is no such thing, and no word for a missing one."""
        if self.dtype == pl.String:
            return trimmed(column)
        for given in (column, trimmed(column)):  # blanks around values are rare, and to look for them is dear
            made = self._made(given)
            odd = meant(trimmed(given.filter(made.is_null() & given.is_not_null()))).drop_nulls()
            if odd.is_empty():
                return made
        raise ChangedError(f"{odd[0]!r} in column {column.name!r}")

    def _made(self, column: pl.Series) -> pl.Series:
        """Null where it does not fit."""
        if self.dtype == pl.Boolean:
            words = column.str.to_lowercase()
            return words.replace_strict(["true", "false"], [True, False], default=None, return_dtype=pl.Boolean)
        if self.form:
            return moments_of(column, self.form, self.dtype != pl.Date)
        if self.comma:
            column = column.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        made = column.cast(self.dtype, strict=False)
        return made.fill_nan(None) if self.dtype == pl.Float64 else made


def trimmed(column: pl.Series) -> pl.Series:
    """Text without blanks at its ends; blank text is missing."""
    made = column.str.strip_chars()
    return made.set((made == "").fill_null(False), None)


def meant(values: pl.Series) -> pl.Series:
    """Without the words that stand for a missing value."""
    return values.set(values.str.to_lowercase().is_in(MISSING).fill_null(False), None)
