"""Parquet, with types that a JSON event can carry."""

import io
from collections.abc import Collection
from pathlib import Path

import polars as pl

from modelway.errors import UnreadableFileError
from modelway.files.header import repaired
from modelway.files.settled import settled

FIX = "write or copy the file again: it is not whole"


def read_parquet(path: Path, data: bytes, text: Collection[str] = ()) -> pl.DataFrame:
    """The table without pandas' own index columns; raises UnreadableFileError."""
    if not data.endswith(b"PAR1"):
        raise UnreadableFileError(f"{path} is torn: Parquet ends early, after byte {len(data)}", FIX)
    try:
        frame = pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UnreadableFileError(f"{path} is damaged Parquet: {reason}", FIX) from error
    return settled(own_columns(frame), text)


def own_columns(frame: pl.DataFrame) -> pl.DataFrame:
    """Without pandas' index, and with whole names."""
    frame = frame.select(name for name in frame.columns if not name.startswith("__index_level_"))
    return frame.rename(dict(zip(frame.columns, repaired(frame.columns), strict=True)))
