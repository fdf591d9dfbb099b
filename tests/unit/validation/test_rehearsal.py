"""Figures and verdicts of a rehearsal: what holds of any rows, and what a limit asks for."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.spec.model import Rehearsal as Limits
from modelway.validation.intervals import share_interval
from modelway.validation.rehearsal import (
    Replayed,
    apart,
    effective_rows,
    figures,
    needed,
    outstanding,
    overall,
    sure_rows,
    verdicts,
)

ROWS = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.sampled_from("ab"), st.sampled_from("ab"), st.floats(-1, 1)),
    min_size=1,
    max_size=60,
)


def replayed(rows, callers=()):
    answered, ours, before, after, moved = zip(*rows, strict=True)
    both = np.array(answered) & np.array(ours)
    return Replayed(
        np.array(answered), np.array(ours), before, after, np.where(both, np.array(moved, float), math.nan), callers
    )


def by_gate(found, limits=None):
    return {one.gate: one for one in verdicts(found, limits or Limits())}


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("ab")), min_size=1, max_size=60))
def test_a_version_that_answers_as_before_changes_nothing(rows):
    found = figures(replayed([(good, good, said, said, 0.0) for good, said in rows]), classes=2)
    assert (found.changed.hits, found.invalid.hits, found.new) == (0, 0, 0)
    assert found.quantiles in ((), (0.0, 0.0, 0.0, 0.0))
    assert overall(verdicts(found, Limits(scores_change=0.1))) in ("pass", "undecided", "not_applicable")


@given(ROWS, st.integers(1, 5))
def test_shares_lie_in_their_intervals_and_segments_add_up(rows, parts):
    whole = replayed(rows, [str(n % parts) for n in range(len(rows))])
    found = figures(whole, classes=2)
    for share in (found.changed, found.invalid):
        if share.share is not None:
            assert 0 <= share.low <= share.share + 1e-12
            assert share.share <= share.high + 1e-12 <= 1 + 1e-9
    even = np.arange(len(rows)) % 2 == 0
    sides = [figures(whole.only(rows), classes=2) for rows in (even, ~even) if rows.any()]
    assert sum(one.invalid.hits for one in sides) == found.invalid.hits
    assert sum(one.changed.hits for one in sides) == found.changed.hits
    assert sum(one.new for one in sides) == found.new


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40), st.integers(1, 6))
def test_there_are_never_more_effective_rows_than_rows(values, parts):
    made = np.array(values)
    assert 0 < effective_rows(made, np.arange(len(values)) % parts) <= len(values)
    assert effective_rows(made, np.arange(len(values))) == len(values)


def test_rows_of_one_caller_that_change_together_count_as_one():
    callers = np.repeat(np.arange(20), 10)
    together, apart = (callers < 4).astype(float), np.tile([1.0, 0, 0, 0, 0], 40)
    assert effective_rows(together, callers) == pytest.approx(19)
    assert effective_rows(apart, callers) == 200


@pytest.mark.parametrize(("callers", "rows"), [(10, 30), (100, 5)])
def test_the_interval_holds_where_the_rows_of_a_caller_hang_together(callers, rows):
    rng, groups, inside = np.random.default_rng(0), np.repeat(np.arange(callers), rows), 0
    for _ in range(400):
        changed = (rng.random(callers * rows) < np.repeat(rng.beta(1, 4, callers), rows)).astype(float)
        low, high = share_interval(float(changed.mean()), sure_rows(changed, groups))
        inside += low <= 0.2 <= high
    assert inside / 400 > 0.92


@pytest.mark.parametrize(
    ("changed", "rows", "outcome"),
    [(0, 1000, "pass"), (50, 1000, "pass"), (100, 1000, "undecided"), (200, 1000, "fail")],
)
def test_a_limit_is_passed_and_failed_by_the_whole_interval(changed, rows, outcome):
    made = [(True, True, "a", "b" if n < changed else "a", 0.0) for n in range(rows)]
    assert by_gate(figures(replayed(made), classes=2))["decisions"].outcome == outcome


def test_so_many_rows_more_settle_it():
    few = by_gate(figures(replayed([(True, True, "a", "a", 0.0)] * 300), classes=2))["invalid"]
    assert few.outcome == "undecided"
    more = few.evidence["needed"]
    assert f"about {more:,} more rows" in few.reason
    enough = [(True, True, "a", "a", 0.0)] * (300 + more)
    assert by_gate(figures(replayed(enough), classes=2))["invalid"].outcome == "pass"
    assert by_gate(figures(replayed(enough[1:]), classes=2))["invalid"].outcome == "undecided"
    assert needed(0.2, 100, 0.1) is None


def test_rows_that_get_no_answer_any_more_fail_and_those_that_get_one_now_are_told():
    lost = [(True, n % 2 == 0, "a", "a", 0.0) for n in range(100)]
    found = figures(replayed([*lost, (False, True, "a", "a", 0.0)]), classes=2)
    assert (found.invalid.hits, found.invalid.rows, found.new, found.changed.rows) == (50, 100, 1, 50)
    assert by_gate(found)["invalid"].outcome == "fail"


def test_of_numbers_scores_alone_are_judged_where_a_limit_is_declared():
    found = figures(replayed([(True, True, "1", "2", 0.3 + 0.01 * (n % 3)) for n in range(50)]), classes=0)
    assert found.changed is None
    assert set(by_gate(found)) == {"invalid"}
    assert by_gate(found, Limits(scores_change=0.1))["scores"].outcome == "fail"
    assert by_gate(found, Limits(scores_change=0.5))["scores"].outcome == "pass"
    assert found.mean == pytest.approx(found.moved)


def test_nothing_was_answered():
    found = figures(replayed([(False, False, None, None, 0.0)]), classes=2)
    assert overall(verdicts(found, Limits(scores_change=0.1))) == "not_applicable"


def test_a_segment_beyond_the_limit_warns_while_all_rows_together_pass():
    changed = figures(replayed([(True, True, "a", "b", 0.5)] * 30), classes=2, alpha=0.025)
    calm = figures(replayed([(True, True, "a", "a", 0.0)] * 4000), classes=2, alpha=0.025)
    warned = outstanding("branch", {"12": changed, "13": calm}, Limits())
    assert [(one.gate, one.outcome, one.warn_only) for one in warned] == [("decisions by branch", "fail", True)]
    assert warned[0].reason.startswith("branch 12: 100 % of the decisions change (30 of 30")
    whole = verdicts(figures(replayed([(True, True, "a", "a", 0.0)] * 4000), classes=2), Limits())
    assert overall((*whole, *warned)) == "pass"
    assert outstanding("branch", {"13": calm}, Limits()) == ()


@given(st.lists(st.floats(0, 1), min_size=2, max_size=5), st.randoms())
def test_the_same_scores_do_not_move_in_whatever_order_the_classes_stand(scores, random):
    classes = [f"c{n}" for n in range(len(scores))]
    order = random.sample(range(len(scores)), len(scores))
    other, moved = [classes[n] for n in order], [scores[n] for n in order]
    assert apart(scores, tuple(classes), moved, tuple(other)) == 0


def test_how_far_scores_lie_apart():
    two, three = ("bad", "good"), ("a", "b", "c")
    assert apart([0.8, 0.2], two, [0.5, 0.5], two) == pytest.approx(0.3)
    assert apart([0.2, 0.3, 0.5], three, [0.6, 0.3, 0.1], three) in (pytest.approx(0.4), pytest.approx(-0.4))
    assert apart([7.0], (), [4.5], ()) == -2.5
    odd = ("normal", "anomaly")
    assert apart([0.5], odd, [0.75], odd) == 0.25
    assert math.isnan(apart([None], odd, [0.75], odd))
    assert math.isnan(apart([0.5, 0.5], odd, [0.75], odd))  # it was another task
    assert math.isnan(apart([0.5], (), [0.75], odd))
    assert math.isnan(apart([0.8, 0.2], two, [1.0, 0.0, 0.0], three))
    assert math.isnan(apart([None], (), [1.0], ()))
