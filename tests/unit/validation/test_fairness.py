import math

import numpy as np
import polars as pl
import pytest

from modelway.spec.model import Gate
from modelway.validation.fairness import four_fifths


def _gate(**more) -> Gate:
    return Gate.model_validate({"metric": "four_fifths", "by": "sex", **more})


def _judged(counts, **more):
    """counts: group → (positive decisions, rows)."""
    names = np.repeat(list(counts), [n for _, n in counts.values()])
    positive = np.concatenate([np.arange(n) < k for k, n in counts.values()])
    return four_fifths("four_fifths by sex", _gate(**more), positive, pl.DataFrame({"sex": names}))


def test_the_ratio_and_its_interval_are_the_formulas():
    verdict = _judged({"f": (60, 400), "m": (100, 500)})
    found = verdict.evidence["groups"]["f"]
    half = 1.959964 * math.sqrt(0.85 / 60 + 0.8 / 100)
    assert found["ratio"] == pytest.approx(0.75)
    assert (found["low"], found["high"]) == (
        pytest.approx(0.75 * math.exp(-half), rel=1e-6),
        pytest.approx(0.75 * math.exp(half), rel=1e-6),
    )


@pytest.mark.parametrize(
    ("counts", "outcome", "warns"),
    [
        ({"f": (200, 1000), "m": (400, 1000)}, "fail", False),
        ({"f": (395, 1000), "m": (400, 1000)}, "pass", False),
        ({"f": (33, 100), "m": (40, 100)}, "undecided", True),
        ({"f": (0, 1000), "m": (400, 1000)}, "fail", False),
        ({"f": (10, 20), "m": (400, 1000)}, "undecided", False),
        ({"f": (0, 100), "m": (0, 100)}, "undecided", False),
    ],
    ids=["shown", "not there", "a warning", "none called", "too few", "nobody called"],
)
def test_adverse_impact_fails_when_shown_warns_when_possible_and_refuses_when_not_computable(counts, outcome, warns):
    verdict = _judged(counts)
    assert (verdict.outcome, verdict.warn_only) == (outcome, warns)


def test_the_worst_group_is_named_and_small_groups_are_left_out():
    verdict = _judged({"a": (500, 1000), "b": (480, 1000), "c": (300, 1000), "d": (1, 5)})
    assert verdict.outcome == "fail"
    assert verdict.reason.startswith("c is called positive 0.6 times as often as a (300/1000 against 500/1000")
    assert "shared over 2 comparisons" in verdict.reason
    assert verdict.evidence["left_out"] == ["d"]


def test_a_missing_group_is_a_group():
    column = pl.DataFrame({"sex": ["f"] * 100 + [None] * 50 + [""] * 50})
    positive = np.arange(200) % 2 == 0
    assert set(four_fifths("g", _gate(), positive, column).evidence["groups"]) == {"f", "(missing)"}


def test_equal_rates_fail_in_at_most_one_of_forty_cases():
    rng, failed, runs = np.random.default_rng(0), 0, 400
    names = pl.DataFrame({"sex": np.repeat(["f", "m"], 300)})
    for _ in range(runs):
        positive = rng.random(600) < np.repeat([0.32, 0.4], 300)
        failed += four_fifths("g", _gate(), positive, names).outcome == "fail"
    assert failed / runs < 0.025 + 3 * math.sqrt(0.025 * 0.975 / runs)
