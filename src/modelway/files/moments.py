"""Text in one form of date or time, as Date or Datetime in UTC."""

import polars as pl

_TIME = (
    r"^(?P<date>.*?\d)(?:(?:T|t|,? +)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?"
    r" ?(?P<half>[AaPp][Mm])?)?(?: ?(?P<zone>[Zz]|UTC|[+-]\d{2}:?\d{2}))?$"
)
_FORMS = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y"),
    *("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%d-%B-%Y", "%B %d, %Y", "%B %d %Y", "%d/%b/%Y"),
)
_EITHER_WAY = (("%d/%m/%Y", "%m/%d/%Y"), ("%d-%m-%Y", "%m-%d-%Y"))
"""Day first or month first: one of them must fail, or the column stays text."""


def moments(values: pl.Series) -> pl.Series | None:
    """Date, or Datetime(us, UTC) where there is a time of day (without a zone it is taken as UTC); None if not all fit."""
    given = values.drop_nulls()
    if given.is_empty() or _form(given.head(200)) is None:
        return None
    form = _form(given)
    if form is None:
        return None
    parts = _parts(values)
    date = parts["date"].str.to_date(form, strict=False)
    if parts["hour"].null_count() == parts.height:
        return date.alias(values.name)
    return _with_time(date, parts).alias(values.name)


def _form(given: pl.Series) -> str | None:
    """The one form of date that all values have; None when there is none, or day and month cannot be told apart."""
    parts = _parts(given)
    dates = parts["date"].unique()
    timed = parts["hour"].null_count()
    if dates.null_count() or timed not in (0, parts.height) or (timed and parts["zone"].null_count() < parts.height):
        return None
    if not _possible_times(parts):
        return None
    fits = [form for form in _FORMS if _fits(dates, form)]
    for pair in _EITHER_WAY:
        ways = [form for form in pair if _fits(dates, form)]
        fits += ways if len(ways) == 1 else []
    return fits[0] if fits else None


def _fits(dates: pl.Series, form: str) -> bool:
    made = dates.str.to_date(form, strict=False)
    return made.null_count() == 0 and bool(made.dt.year().is_between(1, 9999).all())


def _possible_times(parts: pl.DataFrame) -> bool:
    limits = {"hour": 23, "minute": 59, "second": 59}
    return all((parts[name].cast(pl.Int64).fill_null(0) <= most).all() for name, most in limits.items())


def _parts(values: pl.Series) -> pl.DataFrame:
    return values.str.extract_groups(_TIME).struct.unnest()


def _with_time(date: pl.Series, parts: pl.DataFrame) -> pl.Series:
    number = {name: pl.col(name).cast(pl.Int64).fill_null(0) for name in ("hour", "minute", "second")}
    half = pl.col("half").str.to_lowercase()
    hour = (
        pl.when(half == "pm").then(number["hour"] % 12 + 12).when(half == "am").then(number["hour"] % 12)
        .otherwise(number["hour"])
    )  # fmt: skip
    part = pl.col("part").str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int64).fill_null(0)
    sign = pl.when(pl.col("zone").str.starts_with("-")).then(-1).otherwise(1)
    zone = sign * (
        pl.col("zone").str.extract(r"^[+-](\d{2})").cast(pl.Int64).fill_null(0) * 60
        + pl.col("zone").str.extract(r"^[+-]\d{2}:?(\d{2})").cast(pl.Int64).fill_null(0)
    )
    seconds = (hour * 60 + number["minute"] - zone) * 60 + number["second"]
    return parts.select(
        (date.cast(pl.Datetime("us")) + pl.duration(microseconds=seconds * 1_000_000 + part)).dt.replace_time_zone(
            "UTC"
        )
    ).to_series()
