"""Four-fifths rule: the rate at which a group is called positive, over that of the group called positive most often.

The ratio r of group g and the favoured group f has the interval

    ln r ± z·√((1 − p_g)/(n_g·p_g) + (1 − p_f)/(n_f·p_f))

with z shared over the groups (Bonferroni), and ½ added to the counts of a group without positives.

    fail        some group's whole interval lies below 0.8 (the gate's `min`)
    undecided   some interval contains it: a warning that refuses nothing, since adverse impact is not shown
    pass        all groups are shown to be above it

A gate that cannot be computed (no such column, fewer than two groups of `FEWEST_IN_GROUP` rows) is undecided, and does
refuse. Groups are read from columns kept for audit, which are never features. "Positive" is the model's positive class:
where being called positive is the disadvantage (a fraud, a default), the group with the *highest* rate is the one harmed,
and the ratio says the same of it; the ratio of negative decisions is in the evidence as well.

29 CFR 1607.4(D); D. Katz et al., Biometrics 34 (1978) 469 (interval of a ratio of two shares).
"""

import math
from typing import Any

import numpy as np
import polars as pl

from modelway.records import Outcome, Verdict
from modelway.spec.model import Gate
from modelway.validation.intervals import ALPHA
from modelway.validation.words import count, number, span

FOUR_FIFTHS = 0.8
FEWEST_IN_GROUP = 30


def four_fifths(name: str, gate: Gate, positive: np.ndarray, audit: pl.DataFrame | None) -> Verdict:
    """The verdict on the decisions bool[N] of the operating point, by the groups of the audit column `gate.by`."""
    by = gate.by
    if by is None or audit is None or by not in audit.columns:
        wanted = "needs `by: COLUMN`" if by is None else f"needs the column {by!r}, which the rows do not have"
        return Verdict(name, "undecided", f"four_fifths {wanted}", warn_only=gate.warn_only)
    groups = _groups(audit[by])
    sizes = {g: int((groups == g).sum()) for g in np.unique(groups).tolist()}
    judged = [g for g, n in sizes.items() if n >= FEWEST_IN_GROUP]
    if len(judged) < 2:
        told = ", ".join(f"{g} ({n} rows)" for g, n in sizes.items())
        reason = f"four_fifths by {by} needs two groups of {FEWEST_IN_GROUP} rows or more: {told}"
        return Verdict(name, "undecided", reason, evidence={"sizes": sizes}, warn_only=gate.warn_only)
    counts = {g: int(positive[groups == g].sum()) for g in judged}
    if not any(counts.values()):
        reason = f"four_fifths by {by} has no meaning: no row of {count(len(positive))} was called positive"
        return Verdict(name, "undecided", reason, evidence={"sizes": sizes}, warn_only=gate.warn_only)
    favoured = max(judged, key=lambda g: (counts[g] / sizes[g], sizes[g]))
    level = ALPHA / (len(judged) - 1)
    ratios = {g: _ratio(counts[g], sizes[g], counts[favoured], sizes[favoured], level) for g in judged if g != favoured}
    return _verdict(name, gate, ratios, counts, sizes, favoured, positive, groups)


def _verdict(
    name: str,
    gate: Gate,
    ratios: dict[str, tuple[float, float, float]],
    counts: dict[str, int],
    sizes: dict[str, int],
    favoured: str,
    positive: np.ndarray,
    groups: np.ndarray,
) -> Verdict:
    bound = FOUR_FIFTHS if gate.min is None else gate.min
    outcome: Outcome = "pass"
    if any(high < bound for _, _, high in ratios.values()):
        outcome = "fail"
    elif any(low < bound for _, low, _ in ratios.values()):
        outcome = "undecided"
    worst = min(ratios, key=lambda g: ratios[g][2] if outcome == "fail" else ratios[g][1])
    r, low, high = ratios[worst]
    told = {
        "pass": f"shown to be at least {number(bound)} for every group",
        "fail": f"shown to be below {number(bound)}",
        "undecided": f"the interval contains {number(bound)}: a warning, adverse impact is not shown",
    }[outcome]
    reason = (
        f"{worst} is called positive {number(r)} times as often as {favoured} "
        f"({counts[worst]}/{sizes[worst]} against {counts[favoured]}/{sizes[favoured]}; interval {span(low, high)}, "
        f"shared over {len(ratios)} {'comparison' if len(ratios) == 1 else 'comparisons'}): {told}"
    )
    evidence: dict[str, Any] = {
        "by": gate.by,
        "bound": bound,
        "favoured": favoured,
        "groups": {
            g: {
                "rows": n,
                "positive": int(positive[groups == g].sum()),
                "ratio": ratios[g][0] if g in ratios else None,
                "low": ratios[g][1] if g in ratios else None,
                "high": ratios[g][2] if g in ratios else None,
            }
            for g, n in sizes.items()
        },
        "ratio_of_negative_decisions": _negative(counts, sizes),
        "left_out": [g for g, n in sizes.items() if n < FEWEST_IN_GROUP],
    }
    return Verdict(name, outcome, reason, None, evidence, gate.warn_only or outcome == "undecided")


def _ratio(k: int, n: int, k_best: int, n_best: int, alpha: float) -> tuple[float, float, float]:
    """Ratio of two shares with its interval."""
    from scipy.special import ndtri

    seen = (k / n) / (k_best / n_best)
    a, b = (k + 0.5, n + 0.5) if k == 0 else (float(k), float(n))
    p, p_best = a / b, k_best / n_best
    half = -float(ndtri(alpha / 2)) * math.sqrt((1 - p) / (b * p) + (1 - p_best) / (n_best * p_best))
    middle = math.log(p / p_best)
    return seen, math.exp(middle - half), math.exp(middle + half)


def _negative(counts: dict[str, int], sizes: dict[str, int]) -> float | None:
    """Smallest over largest rate of negative decisions."""
    rates = [1 - counts[g] / sizes[g] for g in counts]
    return min(rates) / max(rates) if max(rates) > 0 else None


def _groups(column: pl.Series) -> np.ndarray:
    """The groups as text; a missing one is "(missing)"."""
    text = column.cast(pl.String).fill_null("").str.strip_chars()
    return np.where(text == "", "(missing)", text.to_numpy().astype(object)).astype(str)
