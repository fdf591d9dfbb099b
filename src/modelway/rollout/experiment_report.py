"""What an experiment has shown, looked at once, after its stated end; pure.

Each arm is held against each other one: the share of failed units, the mean score, and the mean loss where labels have matured. All
intervals hold together with probability ≥ 1 − α (Bonferroni: each at α/m). m is the number of intervals: of all pairs in all
measures, and of each arm's share of failures; it is fixed by the arms, whatever is found. Holm's way rejects a little more, but
its intervals have no simple form, and what a person weighs is the interval.

The best arm is the one that is shown to be better than each other that was not stopped: by losses where there are any, else by
failures. A score is neither better nor worse.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from modelway.evidence.between import Side, difference, mean_of, share

ERRORS, LOSS = "errors", "loss"
_FEWEST = 30
"""Units of each arm from which a mean is nearly normal."""
By = Mapping[int, np.ndarray]
"""Stretch → double[n], one value a unit."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One value a unit, by version and stretch; of `errors` 0 or 1."""

    name: str
    values: Mapping[int, By]


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """What is told of an arm by itself. `low` to `high`: of its share of failed units."""

    version: int
    requests: int
    units: int
    failed: int
    low: float | None
    high: float | None
    p50_ms: float | None
    p99_ms: float | None
    """Without the way to its process and back."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`one` minus `other`; None where there are too few units. `better`: the version that is shown to be so."""

    measure: str
    one: int
    other: int
    units: tuple[int, int]
    value: float | None
    low: float | None
    high: float | None
    better: int | None


@dataclass(frozen=True, slots=True)
class Report:
    unit: str
    alpha: float
    intervals: int
    """m: each is at α/m."""
    arms: tuple[ArmFigures, ...]
    differences: tuple[Difference, ...]
    basis: str
    best: int | None
    conclusion: str


def report(
    model: str,
    champion: int,
    arms: Sequence[int],
    stopped: Collection[int],
    measures: Sequence[Measure],
    took: Mapping[int, tuple[int, np.ndarray]],
    unit: str,
    alpha: float,
    void: str = "",
) -> Report:
    """All arms, the champion among them. `took`: requests and their milliseconds; `void`: why nothing may be concluded."""
    pairs = list(combinations(arms, 2))
    m = len(pairs) * len(measures) + len(arms)
    errors = next(measure for measure in measures if measure.name == ERRORS)
    figures = tuple(_figures(number, errors.values.get(number, {}), *took[number], alpha / m) for number in arms)
    found = tuple(_compared(measure, one, other, alpha / m) for measure in measures for one, other in pairs)
    left = [number for number in arms if number not in stopped]
    basis = LOSS if _is_known(found, left) else ERRORS
    best = (
        None if void or len(left) < 2 else next((number for number in left if _beats(number, left, found, basis)), None)
    )
    said = void or _conclusion(model, champion, best, basis, len(left))
    return Report(unit, alpha, m, figures, found, basis, best, said)


def _figures(number: int, failed: By, requests: int, ms: np.ndarray, alpha: float) -> ArmFigures:
    units, bad = _count(failed), int(sum(values.sum() for values in failed.values()))
    side = share(bad, units, alpha) if units else None
    known = ms[np.isfinite(ms)]
    p50, p99 = (float(q) for q in np.quantile(known, (0.5, 0.99))) if len(known) else (None, None)
    return ArmFigures(
        number, requests, units, bad, None if side is None else side.low, None if side is None else side.high, p50, p99
    )


def _compared(measure: Measure, one: int, other: int, alpha: float) -> Difference:
    a, b = measure.values.get(one, {}), measure.values.get(other, {})
    sides = [(_side(measure, a[s], alpha), _side(measure, b[s], alpha)) for s in sorted(a.keys() & b.keys())]
    both = [(x, y) for x, y in sides if x is not None and y is not None]
    units = sum(x.n for x, _ in both), sum(y.n for _, y in both)
    if not both or (measure.name != ERRORS and min(units) < _FEWEST):
        return Difference(measure.name, one, other, units, None, None, None, None)
    value, low, high = difference(both)
    better = None
    if measure.name in (ERRORS, LOSS):
        better = one if high < 0 else other if low > 0 else None
    return Difference(measure.name, one, other, units, value, low, high, better)


def _side(measure: Measure, values: np.ndarray, alpha: float) -> Side | None:
    if measure.name != ERRORS:
        return mean_of(values, alpha)
    return share(int(values.sum()), len(values), alpha) if len(values) else None


def _is_known(found: Sequence[Difference], left: Sequence[int]) -> bool:
    """Whether each pair of these has a difference of losses."""
    losses = [d for d in found if d.measure == LOSS and d.one in left and d.other in left]
    return bool(losses) and all(d.value is not None for d in losses)


def _beats(number: int, left: Sequence[int], found: Sequence[Difference], basis: str) -> bool:
    won = {d.one + d.other - number for d in found if d.measure == basis and d.better == number}
    return won >= set(left) - {number}


def _conclusion(model: str, champion: int, best: int | None, basis: str, left: int) -> str:
    if left < 2:
        return "each arm was shown to be worse than the champion, which stays"
    if best is None:
        return f"no arm is shown to be better than each other by its {basis}; the champion stays"
    if best == champion:
        return f"the champion @{best} is shown to be better than each other arm by its {basis}"
    return (
        f"@{best} is shown to be better than each other arm by its {basis}; "
        f"next: modelway release {model} --version {best}"
    )


def _count(by: By) -> int:
    return sum(len(values) for values in by.values())
