"""The contract's parts of modelway.yaml: what a column, a row and a batch must hold."""

from typing import Literal, get_args

from pydantic import Field, field_validator, model_validator

from modelway.spec.part import Part
from modelway.spec.units import Count, Duration, Share, share_named

ColumnType = Literal["float", "int", "string", "bool", "date", "datetime"]
Action = Literal["quarantine", "reject_batch", "warn"]
Severity = Literal["note", "ticket", "page"]
Kind = Literal["expr", "unique", "change", "freshness", "volume"]
WHOLE = ("freshness", "volume")
"""Kinds of checks that can blame no single row."""
RULES = ("type", "nulls", "unique", "min", "max", "in", "pattern", "references")
"""Names of a column's rules that blame rows: keys of `on_breach` and `severity`."""


def _blames_no_row(action: Action | None) -> Action | None:
    if action == "quarantine":
        raise ValueError("a rule of the whole batch blames no single row: write warn or reject_batch")
    return action


class Within(Part):
    """Bounds of a figure; one may be left out."""

    min: float | None = None
    """Smallest allowed value."""
    max: float | None = None
    """Largest allowed value."""

    @model_validator(mode="after")
    def _some(self) -> "Within":
        if self.min is None and self.max is None:
            raise ValueError("has no bound; write min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min, {self.min:g}, is more than max, {self.max:g}; exchange them")
        return self


class NewCategories(Part):
    known: tuple[str | float | bool, ...]
    """The values that are known."""
    most: Share = 0.0
    """Largest allowed share of others among the values that are there."""


class Distribution(Part):
    """How the values of a batch lie as a whole. Not asked of batches with fewer values than `min_rows`."""

    mean: Within | None = None
    """Bounds of the mean."""
    quantiles: dict[str, Within] = Field(default_factory=dict)
    """By share (`50%` is the median): bounds of the value that lies there in order of size, the nearest one."""
    new_categories: NewCategories | None = None
    """Which values are known, and how many others there may be."""
    min_rows: Count = 100
    """Batches with fewer values are not judged."""
    on_breach: Action = "warn"
    """reject_batch as a whole, or warn and go on."""
    severity: Severity | None = None
    """note, ticket or page: what alert a breach opens; absent: none."""

    _whole = field_validator("on_breach")(_blames_no_row)

    @field_validator("quantiles")
    @classmethod
    def _shares(cls, quantiles: dict[str, Within]) -> dict[str, Within]:
        for share in quantiles:
            share_named(share)
        return quantiles


class Rule(Part):
    """What one column must hold. A value that cannot be read as the column's type always breaches.

    Text is read: as a float or an int when all of it is such a number (`"12.5"` is the float 12.5, `"5.0"` the int 5, `"5.5"`
    no int), as a bool when it is true, false, yes, no, 1 or 0, as a date or a datetime when it is ISO 8601 (in UTC where it
    names no zone). The numbers 1 and 0 are a bool too. As a string a number, a bool or a time is its text: 5 is `"5"`. A bool
    is no number, nor is infinity, and a number is no time. Missing is null, NaN, `""` and, but for strings in events and
    requests, text of blanks.
    """

    type: ColumnType
    """float, int, string, bool, date or datetime."""
    min: float | str | None = None
    """Smallest allowed value (a number, or a date as text)."""
    max: float | str | None = None
    """Largest allowed value."""
    nulls: Share | None = None
    """Largest allowed share of missing values; 0 makes every missing value a breach; absent means any."""
    allowed: tuple[str | float | bool, ...] | None = Field(default=None, alias="in")
    """The allowed values."""
    pattern: str | None = None
    """Regular expression that must be found in the text (Python's `re.search`)."""
    unique: bool = False
    """No two rows of a batch may share a value."""
    references: str | None = None
    """TABLE.COLUMN of the lake in which every value must be; asked where rows are ingested, not by the server."""
    distribution: Distribution | None = None
    """How the values of a batch lie as a whole."""
    on_breach: Action | dict[str, Action] = "quarantine"
    """quarantine the row, reject_batch as a whole, or warn and go on; or by rule: `{min: warn, nulls: quarantine}`."""
    severity: Severity | dict[str, Severity] | None = None
    """note, ticket or page: what alert a breach opens, or by rule: `{min: note}`; absent: none."""
    available_after: Duration | None = None
    """The value is known only so long after the event: it does not enter the model, and only windows with such a delay see it."""


class Change(Part):
    """How far a number may go from one row of an entity to its next, within a batch."""

    of: str
    """The number column."""
    by: str | tuple[str, ...] = ()
    """The entity column or columns; absent: all rows are of one entity."""
    order: str | None = None
    """The column by which rows follow one another; absent: the event time, or else the order of the batch."""
    min: float | None = None
    """Smallest allowed change; 0: it never decreases."""
    max: float | None = None
    """Largest allowed change; 0: it never increases."""

    @model_validator(mode="after")
    def _some(self) -> "Change":
        if self.min is None and self.max is None:
            raise ValueError("has no bound; write for example min: 0, which means: never decreases")
        return self


class Volume(Part):
    min: Count = 0
    """Fewest rows of a batch."""
    max: Count | None = None
    """Most rows of a batch."""


class Check(Part):
    """What a row or a batch must hold beyond single columns: exactly one of expr, unique, change, freshness, volume."""

    name: str = ""
    """How breaches are called; absent: the expression, or the kind of check."""
    expr: str | None = None
    """What must hold of a row, for example `amount <= limit`; where a value is missing that it needs, nothing is broken."""
    unique: tuple[str, ...] = ()
    """No two rows of a batch may share the values of all these columns; rows with one missing are not asked."""
    change: Change | None = None
    """How far a number may go from one row of an entity to its next."""
    freshness: Duration | None = None
    """How old the newest event time of a batch may be when the batch arrives."""
    volume: Volume | None = None
    """How many rows a batch has."""
    on_breach: Action | None = None
    """As for a column; absent: quarantine, but warn for freshness and volume, which can blame no single row."""
    severity: Severity | None = None
    """note, ticket or page: what alert a breach opens; absent: none."""

    @property
    def kind(self) -> Kind:
        return self._given[0]

    @property
    def _given(self) -> list[Kind]:
        return [kind for kind in get_args(Kind) if getattr(self, kind) not in (None, ())]

    @property
    def label(self) -> str:
        """How its breaches are called."""
        return self.name or self.expr or self.kind

    @property
    def blames_rows(self) -> bool:
        return self.kind not in WHOLE

    @property
    def action(self) -> Action:
        return self.on_breach or ("warn" if self.kind in WHOLE else "quarantine")

    @model_validator(mode="after")
    def _one_kind(self) -> "Check":
        if len(self._given) != 1:
            told = " and ".join(self._given) or "none"
            raise ValueError(f"has {told}, and a check has exactly one of {', '.join(get_args(Kind))}")
        if self.kind in WHOLE:
            _blames_no_row(self.on_breach)
        return self
