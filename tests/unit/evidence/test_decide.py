import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.evidence.decide import decide

finite = st.integers(-128, 128).map(lambda i: i / 128)


@st.composite
def intervals(draw):
    low, effect, high = sorted(draw(st.lists(finite, min_size=3, max_size=3)))
    return effect, low, high


@given(intervals(), st.floats(0, 1))
def test_turning_the_arms_round_turns_better_and_worse(interval, margin):
    effect, low, high = interval
    there = decide(effect, low, high, alpha=0.05).answer
    back = decide(-effect, -high, -low, alpha=0.05).answer
    assert (there == "better") == (back == "worse")
    assert not (there == "better" and back == "better")


ORDER = {"worse": 0, "undecided": 0, "not_worse": 1, "better": 1}


@given(intervals(), st.floats(0, 1), st.floats(0, 1))
def test_a_wider_margin_never_takes_a_pass_away(interval, one, two):
    effect, low, high = interval
    narrow, wide = sorted((one, two))
    assert (
        ORDER[decide(effect, low, high, margin=wide, alpha=0.05).answer]
        >= (ORDER[decide(effect, low, high, margin=narrow, alpha=0.05).answer])
    )


@given(intervals(), finite.map(abs), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_a_narrower_interval_never_takes_an_answer_back(interval, margin, share):
    effect, low, high = interval
    answer = decide(effect, low, high, margin=margin, alpha=0.05).answer
    closer = decide(
        effect, effect - share * (effect - low), effect + share * (high - effect), margin=margin, alpha=0.05
    ).answer
    kept = {
        "better": {"better"},
        "worse": {"worse", "not_worse"},
        "not_worse": {"not_worse", "better"},
        "undecided": {"better", "not_worse", "worse", "undecided"},
    }
    assert closer in kept[answer]


def test_what_is_needed_is_where_the_interval_would_reach_the_margin():
    finding = decide(0.004, -0.011, 0.019, margin=0.005, alpha=0.05, n=1000)
    shrunk = math.sqrt(1000 / (1000 + finding.needed))
    assert 0.004 - 0.015 * shrunk == pytest.approx(-0.005, abs=1e-5)


@pytest.mark.parametrize("numbers", [(math.nan, 0.0, 1.0), (0.0, math.nan, 1.0), (0.0, -1.0, math.nan)])
def test_what_is_not_a_number_is_undecided(numbers):
    assert decide(*numbers, alpha=0.05).answer == "undecided"


def test_an_effect_next_to_the_margin_forecasts_nothing():
    assert decide(5e-324, -5.8e-59, 1.0, alpha=0.05, n=10).needed is None


def test_a_margin_below_zero_is_refused():
    with pytest.raises(ValueError, match="margin"):
        decide(0.0, -1.0, 1.0, margin=-0.1, alpha=0.05)
