"""Text in one form of date or time, as Date or Datetime in UTC."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

_TIME = (
    r"^(?P<date>.*?\d)(?:(?:T|t|,? +)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?"
    r" ?(?P<half>[AaPp][Mm])?)?(?: ?(?P<zone>[Zz]|UTC|[+-]\d{2}:?\d{2}))?$"
)
_ISO = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?Z?$"
_SHAPES = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S")
_FORMS = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y"),
    *("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%d-%B-%Y", "%B %d, %Y", "%B %d %Y", "%d/%b/%Y"),
)
_EITHER_WAY = (("%d/%m/%Y", "%m/%d/%Y"), ("%d-%m-%Y", "%m-%d-%Y"))
"""Day first or month first: one of them must fail, or the column stays text."""


@dataclass(frozen=True, slots=True)
class Dates:
    """What is known of texts as dates: the forms that all fit, whether some have a time of day, and whether some have none."""

    forms: frozenset[str]
    timed: bool = False
    untimed: bool = False

    @property
    def possible(self) -> bool:
        return bool(self.forms) and not (self.timed and self.untimed)

    @property
    def form(self) -> str | None:
        """The one form of all values; None when there is none, or day and month cannot be told apart."""
        if not self.possible or not (self.timed or self.untimed):
            return None
        fits = [form for form in _FORMS if form in self.forms]
        for pair in _EITHER_WAY:
            ways = [form for form in pair if form in self.forms]
            fits += ways if len(ways) == 1 else []
        return fits[0] if fits else None

    def more(self, other: "Dates") -> "Dates":
        return Dates(self.forms & other.forms, self.timed or other.timed, self.untimed or other.untimed)


ANY_DATES = Dates(frozenset([*_FORMS, *itertools.chain(*_EITHER_WAY)]))
"""Of no values at all."""
NO_DATES = Dates(frozenset())


def dates_of(values: pl.Series, among: Dates = ANY_DATES) -> Dates:
    """What the values are as dates, beside those that are known."""
    given = values.drop_nulls()
    for part in (given.head(200), given):  # the first ones mostly tell
        among = among.more(_dates(part, among.forms))
        if not among.possible:
            return NO_DATES
    return among


def moments_of(values: pl.Series, form: str, timed: bool) -> pl.Series:
    """Date, or Datetime(us, UTC) where there is a time of day (without a zone it is taken as UTC); null for what is not so."""
    if not timed:
        return values.str.to_date(form, strict=False)
    if form == _FORMS[0] and (made := _of_shape(values)) is not None:
        return made
    parts = _parts(values)
    return _with_time(parts["date"].str.to_date(form, strict=False), parts).alias(values.name)


def _dates(given: pl.Series, forms: Iterable[str]) -> Dates:
    if given.is_empty():
        return ANY_DATES
    if given.str.contains(_ISO).all():
        dates = given.str.head(10).unique()
        return Dates(frozenset(form for form in forms if _fits(dates, form)), timed=True)
    parts = _parts(given)
    zone_alone = parts["hour"].is_null() & parts["zone"].is_not_null()
    if parts["date"].null_count() or zone_alone.any() or not _possible_times(parts):
        return NO_DATES
    dates = parts["date"].unique()
    untimed = parts["hour"].null_count()
    return Dates(frozenset(form for form in forms if _fits(dates, form)), untimed < len(given), untimed > 0)


def _of_shape(values: pl.Series) -> pl.Series | None:
    """By polars alone where all values have one of the most common shapes: a tenth of the time."""
    for shape in _SHAPES:
        if values.head(20).str.to_datetime(shape, time_unit="us", strict=False).count():
            made = values.str.to_datetime(shape, time_unit="us", strict=False)
            return made.dt.replace_time_zone("UTC") if made.null_count() == values.null_count() else None
    return None


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
