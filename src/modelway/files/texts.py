"""Columns of text become numbers, truth values, dates or times when every value of theirs is one; else they stay text."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import polars as pl

from modelway.files.kinds import Kind, meant, trimmed
from modelway.files.moments import ANY_DATES, NO_DATES, Dates, dates_of
from modelway.files.settled import UTC_TIME

NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$|^[+-]?(?:inf|Inf|INF|Infinity|infinity)$"
CODE = r"^[+-]?0[0-9]|^[+-]?[0-9]{16,}$"
"""Digits that are no number: leading zeros, or more digits than a double holds."""
WHOLE = r"^[+-]?[0-9]+$"
COMMA = r"^[+-]?(?:[0-9]+|[0-9]{1,3}(?:\.[0-9]{3})+)(?:,[0-9]+)?$"
"""A number with a decimal comma, and dots between thousands."""
_PLAIN = r"^[+-]?(?:0|[1-9][0-9]{0,14})$"
_POINTED = r"^[+-]?(?:0|[1-9][0-9]{0,14})\.[0-9]+$"
"""Most numbers are one of these two: they are told by one look, and are no codes."""
_POINT = r"\.(?:[0-9]{1,2}|[0-9]{4,})$"
_SURE = r",(?:[0-9]{1,2}|[0-9]{4,})$|[0-9]{4,},|^[+-]?0,"
_SAMPLE = 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of the values of a column, words for missing ones left out.

    For all of them holds `blank` (there is no text), `number`, `comma` (a number if commas are decimal), `truth`, `dates`;
    for some `code`, `fraction`, `comma_fraction`, `point` (a decimal point beyond doubt), `sure` (a decimal comma beyond doubt).
    """

    blank: bool = True
    number: bool = True
    comma: bool = True
    truth: bool = True
    dates: Dates = ANY_DATES
    code: bool = False
    fraction: bool = False
    comma_fraction: bool = False
    point: bool = False
    sure: bool = False

    @property
    def text(self) -> bool:
        """Whether it stays text, whatever comes."""
        return not (self.number or self.comma or self.truth or self.dates.possible)

    def kind(self, comma: bool) -> Kind:
        """`comma`: numbers of the file have decimal commas."""
        if self.comma if comma else self.number:
            if self.code:
                return Kind(pl.String())
            return Kind(pl.Float64() if (self.comma_fraction if comma else self.fraction) else pl.Int64(), comma)
        if self.truth:
            return Kind(pl.Boolean())
        if form := self.dates.form:
            return Kind(UTC_TIME if self.dates.timed else pl.Date(), form=form)
        return Kind(pl.String())


def seen(column: pl.Series, before: Seen | None = None) -> Seen:
    """What is known with these values of text beside those before."""
    known = before or Seen()
    for part in (
        (column.head(_SAMPLE), column) if known.blank else (column,)
    ):  # the first ones mostly tell that it is text
        if known.text:
            break
        known = _seen(part, known)
    return known


def decimal_comma(columns: Iterable[Seen]) -> bool:
    """Whether numbers have decimal commas beyond doubt: some cannot be thousands, and no column has decimal points."""
    known = list(columns)
    return any(c.comma and c.sure for c in known) and not any(c.number and c.point for c in known)


def _seen(column: pl.Series, known: Seen) -> Seen:
    odd = _others(column, _PLAIN)
    if len(odd) < len(column) - column.null_count():
        known = replace(known, blank=False, truth=False, dates=NO_DATES)
    if not known.comma:
        pointed, odd = len(odd), _others(odd, _POINTED)
        if len(odd) < pointed:
            known = replace(known, blank=False, truth=False, dates=NO_DATES, fraction=True)
    rest = trimmed(odd.unique()).drop_nulls()
    known = replace(known, blank=known.blank and rest.is_empty())
    values = meant(rest).drop_nulls()
    return known if values.is_empty() else _weighed(values, known)


def _weighed(values: pl.Series, known: Seen) -> Seen:
    def some(pattern: str) -> bool:
        return bool(values.str.contains(pattern).any())

    number = known.number and bool(values.str.contains(NUMBER).all())
    comma = known.comma and bool(values.str.contains(COMMA).all())
    return Seen(
        blank=False,
        number=number,
        comma=comma,
        truth=known.truth and bool(values.str.to_lowercase().is_in(["true", "false"]).all()),
        dates=dates_of(values, known.dates) if known.dates.possible else NO_DATES,
        code=known.code or ((number or comma) and some(CODE)),
        fraction=known.fraction or (number and not values.str.contains(WHOLE).all()),
        comma_fraction=known.comma_fraction or (comma and some(",")),
        point=known.point or (number and some(_POINT)),
        sure=known.sure or (comma and some(_SURE)),
    )


def _others(values: pl.Series, pattern: str) -> pl.Series:
    return values.filter(~values.str.contains(pattern))
