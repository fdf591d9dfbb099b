"""`read_table`: a data file as a frame of numbers, booleans, dates, times and text, whatever its form."""

from collections.abc import Collection
from pathlib import Path

import polars as pl

from modelway.errors import UnreadableFileError
from modelway.files.delimited import read_delimited
from modelway.files.json_lines import read_json
from modelway.files.parquet import read_parquet
from modelway.files.raw import Form, form_of, read_bytes


def read_table(path: Path, *, text: Collection[str] = ()) -> pl.DataFrame:
    """The rows of a CSV (any delimiter), Parquet or NDJSON file, each also gzipped, in the order of the file.

    Columns are Int64, Float64, Boolean, Date, Datetime(us, UTC) or String; what is missing is null, and text that stands
    for a number, a date or a truth value becomes one only when every value of its column does. Columns named in `text`
    stay text, so that a file of few rows is read as the file that a model was made from.
    Raises NotFoundError, and UnreadableFileError naming file, place and fix for what is empty, torn or no table.
    """
    data = read_bytes(path)
    frame = _READERS[form_of(path, data)](path, data, text)
    if frame.width == 0:
        raise UnreadableFileError(f"{path} has no columns", "bring a file with a header line and rows")
    if frame.height == 0:
        raise UnreadableFileError(f"{path} has a header but no rows", "bring a file with at least one row")
    return frame


_READERS = {Form.DELIMITED: read_delimited, Form.PARQUET: read_parquet, Form.JSON: read_json}
