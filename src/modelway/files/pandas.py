"""What polars refuses, read by pandas: rows of unlike length, quotes within fields, R's nameless first column."""

import csv
import io
import warnings
from pathlib import Path
from typing import Any

import polars as pl

from modelway.errors import UnreadableFileError


def read_with_pandas(path: Path, data: bytes, separator: str) -> tuple[list[str], pl.DataFrame]:
    """The names of the header ("" where there is none) and all columns as text, named by their place.

    Raises UnreadableFileError with the line at which pandas gives up.
    """
    import pandas as pd

    def read(**options: Any) -> "pd.DataFrame":
        given = io.BytesIO(data)
        return pd.read_csv(given, sep=separator, header=None, dtype=str, keep_default_na=False, **options)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.ParserWarning)
            head = [str(name) for name in read(nrows=1).iloc[0]]
            more = _one_more(data, separator, len(head))
            table = read(skiprows=1, names=range(len(head) + 1)) if more else read().iloc[1:]
    except pd.errors.EmptyDataError as error:
        raise UnreadableFileError(f"{path} has no columns", "bring a file with a header line and rows") from error
    except pd.errors.ParserError as error:
        raise UnreadableFileError(f"{path} is no table: {_reason(error)}", _FIX) from error
    columns = [pl.Series(str(i), list(table[i]), dtype=pl.String, strict=False) for i in table.columns]
    if len(columns) == len(head) + 1:
        if all(not value for value in table[len(head)].fillna("")):
            columns.pop()
        else:
            head = ["", *head]
    return head, pl.DataFrame(columns[: len(head)])


_FIX = "mend that line: each row needs as many fields as the header, and quotes that are opened must be closed"


def _one_more(data: bytes, separator: str, head: int) -> bool:
    """Whether every row has one field more than the header: row names before, or a delimiter at each end."""
    lines = io.StringIO(data.decode("utf-8", errors="replace"), newline="")
    rows = (len(row) for row in csv.reader(lines, delimiter=separator) if row)
    next(rows, None)
    return all(width == head + 1 for width in rows)


def _reason(error: Exception) -> str:
    return str(error).replace("Error tokenizing data. C error: ", "").strip()
