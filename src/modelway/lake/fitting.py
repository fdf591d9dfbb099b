"""Whether the columns of a table hold new values as they are."""

import polars as pl


def holds(want: pl.DataType, values: pl.Series) -> bool:
    """Nulls, values of that very type, and numbers that come back unchanged."""
    if values.dtype == want or values.null_count() == len(values):
        return True
    if not (want.is_numeric() and values.dtype.is_numeric()) or (want.is_integer() and not values.dtype.is_integer()):
        return False
    return values.equals(values.cast(want, strict=False).cast(values.dtype, strict=False))
