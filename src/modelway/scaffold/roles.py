"""Which column identifies a row, and which says when it happened."""

import re
from collections.abc import Sequence

import polars as pl

from modelway.scaffold.columns import Facts
from modelway.scaffold.target import Target

_ID = re.compile(
    r"^(id|ids|key|pk|index|idx|uuid|guid|row|rowid|rownum|no|nr|number|ref|reference|code|sk_id_curr)$"
    r"|(^|[_\- .])(id|uuid|guid|key|no|nr|pk|ref|idx|number|num)$|^(id|pk)[_\- .]|(?<=[a-z])(ID|Id|Key|No|UUID)$|^column_\d+$",
)
_TIME = re.compile(
    r"(^|[_\- .])(date|time|timestamp|datetime|ts|when|day|dt|moment|month|period|week|at)($|[_\- .\d])"
    r"|(?<=[a-z])(Date|Time|Timestamp|At|Dt)$|^(date|time)|(date|time|timestamp)$"
)
_NOT_NOW = re.compile(
    r"birth|born|dob|expir|matur|due|deliver|valid|until|retire|deceas|death|next|end|clos|last|paid|settle", re.I
)
_CALENDAR = re.compile(r"year|month|week|day|date|time|quarter|^t$", re.I)
_PROTECTED = re.compile(
    r"(^|[_\- .])(sex|gender|race|ethnic\w*|religion|religious|nationality|disab\w+|pregnan\w+|marital|marriage|age)($|[_\- .\d])"
)
_UUID = r"^\{?[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\}?$"
_SERIAL = r"^[A-Za-z]{0,8}[-_/#]?\d{3,}$|^[0-9a-fA-F]{12,64}$"


def identifier(columns: Sequence[Facts], doubled: pl.Series | None) -> tuple[Facts, str] | None:
    """The column that is another in each row and whose name or shape says that it identifies; and why.

    `doubled` marks rows that are an exact copy of an earlier one: they do not make a key less unique.
    """
    unique = [c for c in columns if c.kind in ("whole", "text") and not c.missing and _unique(c, doubled)]
    by_name = [c for c in unique if named_like_id(c.name)]
    if by_name:
        best = min(by_name, key=lambda c: c.name.startswith("column_"))
        return best, "no two rows share a value, and it is named like an identifier"
    for c in unique:
        if c.rows >= 20 and not _CALENDAR.search(c.name) and (shape := _shape(c)):
            return c, f"no two rows share a value: {shape}"
    return None


def named_like_id(name: str) -> bool:
    return bool(_ID.search(name) or _ID.search(name.lower()))


def named_like_protected(name: str) -> bool:
    """Whether the law of many countries may forbid to decide by it."""
    return bool(_PROTECTED.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()))


def event_time(columns: Sequence[Facts], target: Target) -> tuple[Facts | None, list[tuple[str, str]]]:
    """The date or time at which a row happened; and of each other date why it is not."""
    dates = [c for c in columns if c.kind in ("date", "time")]
    found: list[Facts] = []
    rest: list[tuple[str, str]] = []
    for c in dates:
        reason = _not_event_time(c, target)
        if reason:
            rest.append((c.name, reason))
        else:
            found.append(c)
    best = max(found, key=lambda c: (c.kind == "time", c.distinct), default=None)
    rest += [(c.name, f"{best.name!r} tells rows better apart") for c in found if best is not None and c is not best]
    return best, rest


def _not_event_time(c: Facts, target: Target) -> str:
    if _NOT_NOW.search(c.name):
        return "by its name it is another date than that of the row"
    if not (_TIME.search(c.name) or _TIME.search(c.name.lower())):
        return "it is not named like the time of an event"
    if c.missing:
        return f"it is missing in {c.missing} rows"
    if c.distinct < max(10, min(50, c.rows // 100)):
        return f"only {c.distinct} different values: the latest part cannot be told apart"
    if target.counts and not _classes_on_both_sides(c, target):
        return "the latest fifth and the rows before it do not both hold every class"
    return ""


def _classes_on_both_sides(c: Facts, target: Target) -> bool:
    """Whether the latest fifth can judge: for a binary target both classes there and before."""
    if target.task != "binary":
        return True
    rows = pl.DataFrame({"at": c.values.filter(target.present), "y": target.values})
    cut = rows["at"].sort()[int(0.8 * rows.height)]
    return all(rows.filter(side)["y"].n_unique() == 2 for side in (pl.col("at") >= cut, pl.col("at") < cut))


def _unique(c: Facts, doubled: pl.Series | None) -> bool:
    if c.distinct == c.rows:
        return True
    if doubled is None:
        return False
    single = c.values.filter(~doubled)
    return single.n_unique() == len(single) and len(single) > 0.5 * c.rows


def _shape(c: Facts) -> str:
    if c.kind == "whole":
        span = int(c.values.max() - c.values.min()) + 1  # type: ignore[operator, arg-type]
        return "whole numbers one after another" if span == c.distinct else ""
    if c.values.str.contains(_UUID).all():
        return "UUIDs"
    return "serial numbers" if c.values.str.contains(_SERIAL).all() else ""
