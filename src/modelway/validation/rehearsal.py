"""A rehearsal: what a candidate makes of rows that were answered already, beside the answers that clients got.

    decisions   the share of the rows that both answered whose decision changes, at most `decisions_change`
    invalid     the share of the rows that were answered and that the candidate refuses or fails on, at most `invalid`
    scores      the mean of |Δscore|, at most `scores_change`, where that is declared

Segments, the rows with one value of a column, are told beside; one that is shown to go beyond a limit is a warning.

A limit on a share is passed when the whole 95 % interval lies below it, failed when it lies above; else `undecided`, with the
rows that would settle it. The interval is Clopper and Pearson's; where the rows of one caller hang together it is taken at the
effective number of rows, n over the design effect of the linearised variance by caller (Korn and Graubard; see `intervals.py`).

Δscore of a row is the largest difference of a class's probability, or of the number; classes are matched by name.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelway.records import Outcome, Verdict
from modelway.spec.model import Rehearsal as Limits
from modelway.validation.intervals import ALPHA, share_interval
from modelway.validation.words import count, number, span

QUANTILES = (0.5, 0.9, 0.99, 1.0)
_MOST = 10_000_000


@dataclass(frozen=True)
class Replayed:
    """Rows in order [N]: whether each was answered, then and now, what was decided, and how far the scores lie apart."""

    answered: np.ndarray
    """bool: the client got an answer."""
    ours: np.ndarray
    """bool: the candidate answers the row."""
    before: Sequence[str | None]
    after: Sequence[str | None]
    """What is decided, as text; not looked at where there are no classes."""
    moved: np.ndarray
    """double, signed: score of the candidate − score that was served (see above); NaN unless both answered."""
    callers: Sequence[str | None] = ()
    """Who asked, where that is known: rows of one caller are not independent."""

    def __len__(self) -> int:
        return len(self.answered)

    @property
    def both(self) -> np.ndarray:
        return self.answered & self.ours

    @property
    def changed(self) -> np.ndarray:
        """bool[N]: both answered, and decided differently."""
        differs = np.array([a != b for a, b in zip(self.before, self.after, strict=True)], dtype=bool)
        return self.both & differs

    def only(self, rows: np.ndarray) -> "Replayed":
        """The rows at these places, bool[N]."""
        places = np.flatnonzero(rows).tolist()
        return Replayed(
            self.answered[rows],
            self.ours[rows],
            [self.before[n] for n in places],
            [self.after[n] for n in places],
            self.moved[rows],
            [self.callers[n] for n in places] if self.callers else (),
        )


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `rows`, with the interval of the share; None where there is no row."""

    hits: int
    rows: int
    share: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """Of all rows, or of a segment."""

    rows: int
    changed: Share | None
    """Decisions; None of a model that predicts numbers."""
    invalid: Share
    """Rows that were answered, and that the candidate refuses or fails on."""
    new: int
    """Rows that got no answer, and that the candidate answers."""
    mean: float | None
    """The mean of Δscore with its sign; None for more than two classes, where it says nothing."""
    moved: float | None
    """The mean of |Δscore|."""
    moved_low: float | None
    moved_high: float | None
    quantiles: tuple[float, ...] = ()
    """Of |Δscore| at `QUANTILES`; () where no row was answered by both."""


def figures(rows: Replayed, *, classes: int, alpha: float = ALPHA) -> Figures:
    """`classes`: how many the model tells apart; 0 for a number."""
    groups = _groups(rows)
    known = np.isfinite(rows.moved)
    apart = np.abs(rows.moved[known])
    low, high = _mean_interval(apart, groups[known], alpha)
    return Figures(
        rows=len(rows),
        changed=_share(rows.changed, rows.both, groups, alpha) if classes else None,
        invalid=_share(rows.answered & ~rows.ours, rows.answered, groups, alpha),
        new=int((rows.ours & ~rows.answered).sum()),
        mean=float(rows.moved[known].mean()) if apart.size and classes <= 2 else None,
        moved=float(apart.mean()) if apart.size else None,
        moved_low=low,
        moved_high=high,
        quantiles=tuple(np.quantile(apart, QUANTILES).tolist()) if apart.size else (),
    )


def apart(before: Sequence[float | None], old: tuple[str, ...], after: Sequence[float], new: tuple[str, ...]) -> float:
    """Δscore with its sign: of the last class for two, else of the class that moved most; NaN without a class in common.

    Of a number, whether a value or how odd a row is, the difference.
    """
    if (len(before), len(after)) != (len(old), len(new)):  # a number of each, not shares of classes
        alike = len(before) == len(after) == 1 and (not old) == (not new)
        return after[0] - before[0] if alike and before[0] is not None else math.nan
    shared = [name for name in new if name in old]
    moved = []
    for name in shared:
        then = before[old.index(name)]
        if then is not None:
            moved.append(after[new.index(name)] - then)
    if not moved:
        return math.nan
    return moved[-1] if len(new) == len(shared) == 2 else max(moved, key=abs)


def verdicts(found: Figures, limits: Limits) -> tuple[Verdict, ...]:
    """One by limit; none of them has anything to say where no row was answered."""
    made = []
    if found.changed is not None:
        what = "of the decisions change"
        made.append(_bounded("decisions", found.changed, limits.decisions_change, what))
    made.append(_bounded("invalid", found.invalid, limits.invalid, "of the rows that were answered get no answer"))
    if limits.scores_change is not None:
        made.append(_scores(found, limits.scores_change))
    return tuple(made)


def outstanding(column: str, parts: Mapping[str, Figures], limits: Limits) -> tuple[Verdict, ...]:
    """A warning by limit that some segment of a column is shown to go beyond, whatever all rows together do.

    The intervals of `parts` must share the error rate among the segments.
    """
    made = []
    for gate in ("decisions", "invalid"):
        beyond = {
            value: verdict
            for value, found in parts.items()
            for verdict in verdicts(found, limits)
            if verdict.gate == gate and verdict.outcome == "fail"
        }
        if beyond:
            value = max(beyond, key=lambda one: beyond[one].evidence["low"])
            rest = f" (and {count(len(beyond) - 1)} more of its values)" if len(beyond) > 1 else ""
            reason, told = f"{column} {value}: {beyond[value].reason}{rest}", {"values": list(beyond)}
            made.append(Verdict(f"{gate} by {column}", "fail", reason, None, told, warn_only=True))
    return tuple(made)


def overall(made: Sequence[Verdict]) -> Outcome:
    """The worst of those that do not only warn; not_applicable when none applies."""
    outcomes: list[Outcome] = ["fail", "undecided", "pass"]
    judging = [verdict.outcome for verdict in made if not verdict.warn_only]
    return next((one for one in outcomes if one in judging), "not_applicable")


def _share(hits: np.ndarray, of: np.ndarray, groups: np.ndarray, alpha: float) -> Share:
    n = int(of.sum())
    if not n:
        return Share(0, 0)
    inside = hits[of]
    share = float(inside.mean())
    low, high = share_interval(share, sure_rows(inside.astype(float), groups[of], alpha), alpha)
    return Share(int(inside.sum()), n, share, low, high)


def sure_rows(values: np.ndarray, groups: np.ndarray, alpha: float = ALPHA) -> float:
    """Effective rows with the loss of certainty of few groups, as in Korn and Graubard; independent rows as they are."""
    from scipy.special import ndtri, stdtrit

    rows, m = effective_rows(values, groups), len(np.unique(groups))
    if m == len(values) or m < 2 or values.min() == values.max():
        return rows
    return rows * float(ndtri(1 - alpha / 2) / stdtrit(m - 1, 1 - alpha / 2)) ** 2


def effective_rows(values: np.ndarray, groups: np.ndarray) -> float:
    """Independent rows whose mean would vary as much: n over the design effect; the groups where nothing varies. ≤ n."""
    n, (_, of) = len(values), np.unique(groups, return_inverse=True)
    m = int(of.max()) + 1
    if m == n:
        return float(n)
    rest = values - values.mean()
    alone = float((rest**2).sum())
    if m < 2 or not alone:
        return float(m)
    together = float((np.bincount(of, rest) ** 2).sum()) * m / (m - 1)
    return min(float(n), n * alone / together) if together else float(n)


def _mean_interval(values: np.ndarray, groups: np.ndarray, alpha: float) -> tuple[float | None, float | None]:
    """Estimate ± t · standard error by group; an end is None where one group alone says nothing of the others."""
    from scipy.special import stdtrit

    m = len(np.unique(groups))
    if m < 2:
        return None, None
    rows = effective_rows(values, groups)
    error = float(values.std(ddof=1)) / math.sqrt(rows)
    half, mean = float(stdtrit(m - 1, 1 - alpha / 2)) * error, float(values.mean())
    return max(0.0, mean - half), mean + half


def _groups(rows: Replayed) -> np.ndarray:
    """Of each row its caller's number; a row without one is by itself."""
    if not rows.callers:
        return np.arange(len(rows))
    places: dict[str, int] = {}
    made = [
        -1 - n if caller is None else places.setdefault(caller, len(places)) for n, caller in enumerate(rows.callers)
    ]
    return np.array(made, dtype=np.int64)


def _bounded(name: str, seen: Share, limit: float, what: str) -> Verdict:
    if seen.share is None or seen.low is None or seen.high is None:
        return Verdict(
            name, "not_applicable", "no row was answered by both" if name == "decisions" else "no row was answered"
        )
    told = f"{number(seen.share * 100)} % {what} ({count(seen.hits)} of {count(seen.rows)};"
    told += f" interval {span(seen.low * 100, seen.high * 100)} %)"
    evidence = {"limit": limit, "share": seen.share, "low": seen.low, "high": seen.high, "rows": seen.rows}
    most = f"{number(limit * 100)} %"
    if seen.high <= limit:
        return Verdict(name, "pass", f"{told}: shown to be at most {most}", None, evidence)
    if seen.low > limit:
        return Verdict(name, "fail", f"{told}: shown to be more than {most}", None, evidence)
    more = needed(seen.share, seen.rows, limit)
    wanted = f"; about {count(more)} more rows would settle it, at this share" if more else ""
    return Verdict(
        name, "undecided", f"{told}: not shown to be at most {most}{wanted}", None, evidence | {"needed": more}
    )


def needed(share: float, rows: int, limit: float, alpha: float = ALPHA) -> int | None:
    """Further independent rows that would show a share at this height to be below the limit; None where none would."""
    if share >= limit:
        return None
    low, high = rows, max(rows, 1)
    while share_interval(share, high, alpha)[1] > limit:
        low, high = high, high * 2
        if high > _MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if share_interval(share, middle, alpha)[1] <= limit else (middle, high)
    return max(high - rows, 1)


def _scores(found: Figures, limit: float) -> Verdict:
    if found.moved is None:
        return Verdict("scores", "not_applicable", "no row has two scores to compare")
    told = f"scores move by {number(found.moved)} in the mean (interval {span(found.moved_low, found.moved_high)})"
    evidence = {"limit": limit, "moved": found.moved, "low": found.moved_low, "high": found.moved_high}
    outcome: Outcome = "undecided"
    if found.moved_low is not None and found.moved_high is not None:
        outcome = "pass" if found.moved_high <= limit else "fail" if found.moved_low > limit else "undecided"
    words = {"pass": "shown to be at most", "fail": "shown to be more than", "undecided": "not shown to be at most"}
    return Verdict("scores", outcome, f"{told}: {words[outcome]} {number(limit)}", None, evidence)
