"""Models that answer together: what comes of a row is what its own values say, whoever is asked beside it."""

import math
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.errors import EngineError
from modelway.serving.composed import (
    Bound,
    Composed,
    LateError,
    Link,
    Member,
    Said,
    Table,
    averaged,
    backed,
    chained,
    routed,
)

finite = st.floats(-1e3, 1e3, allow_nan=False)
number = st.one_of(finite, st.just(math.nan))
rows_of = st.lists(st.tuples(number, number), min_size=1, max_size=12)


def never(numbers, words):
    return ""


def member(name, run, *, numbers=(0, 1), words=(), refusal=never, width=2) -> Member:
    return Member(name, run, refusal, numbers, words, width)


def scored(p):
    """A model of two classes, `p` of the first number."""
    return lambda numbers, words: [[1 - p(row[0]), p(row[0])] for row in np.asarray(numbers).tolist()]


def squash(value):
    return 0.5 if math.isnan(value) else 1 / (1 + math.exp(-max(-50.0, min(50.0, value))))


LEFT = member("left@1", scored(squash))
RIGHT = member("right@2", scored(lambda value: 1 - squash(value / 2)))
BROKEN = member("broken@1", scored(lambda value: math.nan if value > 0 else squash(value)))


def table(rows) -> Table:
    return Table(np.array(rows, dtype=np.float64).reshape(len(rows), 2), np.empty((len(rows), 0), dtype=object))


def assert_same(one: Said, other: Said, rows) -> None:
    np.testing.assert_array_equal(one.scores[rows], other.scores)
    for name in ("member", "fallback", "problem", "refused"):
        assert list(getattr(one, name)[rows]) == list(getattr(other, name)), name


@settings(max_examples=150, deadline=None)
@given(rows_of)
def test_every_row_is_answered_as_it_is_alone(rows):
    """Of each kind of composition, and of a composition of compositions."""
    route = routed([(1, LEFT), (None, BROKEN)], 2)
    inner = Composed(backed(route, RIGHT, 2, "the route"), False)
    kinds = [
        route,
        averaged([(1, LEFT), (3, BROKEN)], 2),
        chained([Link(ask=BROKEN), Link(ask=member("last@1", scored(squash), numbers=(2,)))], 2),
        averaged([(0.5, member("inner@4", inner)), (0.5, LEFT)], 2),
    ]
    for ask in kinds:
        whole = ask(table(rows))
        for n, row in enumerate(rows):
            assert_same(whole, ask(table([row])), [n])


@settings(max_examples=100, deadline=None)
@given(rows_of)
def test_a_router_asks_for_each_row_the_model_of_the_first_rule_that_holds(rows):
    said = routed([(0, LEFT), (1, RIGHT), (None, BROKEN)], 2)(table(rows))
    for n, (a, b) in enumerate(rows):
        who = LEFT if a and not math.isnan(a) else RIGHT if b and not math.isnan(b) else BROKEN
        assert said.member[n] == who.name
        np.testing.assert_array_equal(said.scores[n : n + 1], who(table([(a, b)])).scores)


@settings(max_examples=100, deadline=None)
@given(rows_of, st.floats(0.01, 100), st.floats(0.01, 100))
def test_an_ensemble_is_the_weighted_mean_and_says_who_it_was(rows, w, v):
    said = averaged([(w, LEFT), (v, RIGHT)], 2)(table(rows))
    one, other = LEFT(table(rows)).scores, RIGHT(table(rows)).scores
    np.testing.assert_allclose(said.scores, (w * one + v * other) / (w + v), rtol=1e-12)
    assert set(said.member) == {"left@1 + right@2"}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(finite, finite), min_size=1, max_size=8))
def test_a_chain_is_one_function_after_the_other(rows):
    """Here: p = left(a); q = p · 2 + b; right(q), then a mapping of its probability."""
    links = [
        Link(ask=LEFT),
        Link(compute=lambda cells: cells[2] * 2 + cells[1]),
        Link(ask=member("right@2", RIGHT.run, numbers=(3,))),
        Link(compute=lambda cells: cells[4] ** 2),
    ]
    said = chained(links, 2)(table(rows))
    for n, (a, b) in enumerate(rows):
        want = (1 - squash((squash(a) * 2 + b) / 2)) ** 2
        np.testing.assert_allclose(said.scores[n], [1 - want, want], rtol=1e-12)
    assert set(said.member) == {"left@1 → right@2"}


def test_a_chain_hands_words_on_and_gives_a_number_of_a_regression():
    size = Link(compute=lambda cells: "big" if cells[0] > 10 else "small", word=True)
    last = member(
        "price@3", lambda numbers, words: [[10.0 if w == ["big"] else 1.0] for w in words], words=(0,), width=1
    )
    said = chained([size, Link(ask=last)], 1)(table([(11, 0), (2, 0)]))
    assert said.scores.tolist() == [[10.0], [1.0]]
    doubled = chained(
        [Link(ask=member("p@1", lambda n, w: [[3.0]] * len(n), width=1)), Link(compute=lambda c: c[2] * 2)], 1
    )
    assert doubled(table([(0, 0)])).scores.tolist() == [[6.0]]


def test_what_is_beyond_a_probability_is_no_score():
    said = chained([Link(ask=LEFT), Link(compute=lambda cells: cells[2] * 5)], 2)(table([(9, 0), (-9, 0)]))
    assert said.answered.tolist() == [False, True]
    assert said.problem[0] == "the last step gave no number that can be a score"


def test_a_row_that_a_model_cannot_answer_goes_no_further_and_says_whose_fault_it_is():
    picky = member(
        "picky@1", LEFT.run, refusal=lambda numbers, words: "income: missing" if math.isnan(numbers[0]) else ""
    )
    after = member("after@1", scored(lambda value: 0.25), numbers=(2,))
    for ask in (chained([Link(ask=picky), Link(ask=after)], 2), averaged([(1, LEFT), (1, picky)], 2)):
        said = ask(table([(math.nan, 0), (1, 0)]))
        assert said.answered.tolist() == [False, True]
        assert said.problem.tolist() == ["picky@1: income: missing", ""]
        assert said.refused.tolist() == [True, False]


def test_the_fallback_answers_rows_without_a_number_and_no_others():
    said = backed(BROKEN, RIGHT, 2, "broken@1")(table([(1, 0), (-1, 0)]))
    assert said.member.tolist() == ["right@2", "broken@1"]
    assert said.fallback.tolist() == ["broken@1 gave no finite number for this row", ""]
    np.testing.assert_array_equal(said.scores[:1], RIGHT(table([(1, 0)])).scores)


def ill(transient=False):
    asked = []

    def run(numbers, words):
        asked.append(len(numbers))
        if any(row[0] == 13 for row in np.asarray(numbers).tolist()):
            raise EngineError("ill@1 fell over", "", transient=transient)
        return LEFT.run(numbers, words)

    return member("ill@1", run), asked


def test_a_model_that_fails_on_one_row_fails_no_other():
    broken, asked = ill()
    said = backed(broken, RIGHT, 2, "ill@1")(table([(1, 0), (13, 0), (2, 0)]))
    assert said.member.tolist() == ["ill@1", "right@2", "ill@1"]
    assert said.fallback.tolist() == ["", "ill@1 fell over", ""]
    assert asked == [3, 1, 1, 1]


def test_a_model_that_is_away_is_asked_once_and_not_row_by_row():
    broken, asked = ill(transient=True)
    said = backed(broken, RIGHT, 2, "ill@1")(table([(1, 0), (13, 0)]))
    assert said.member.tolist() == ["right@2", "right@2"]
    assert asked == [2]


def test_without_a_fallback_a_failure_is_a_failure():
    with pytest.raises(EngineError, match="fell over"):
        routed([(None, ill()[0])], 2)(table([(13, 0)]))
    with pytest.raises(EngineError, match="another shape"):
        member("odd@1", lambda numbers, words: [[0.1, 0.2, 0.7]] * len(numbers))(table([(1, 0)]))


def test_the_fallback_answers_when_the_time_is_over_and_at_once_while_late_calls_are_under_way():
    hold, running = threading.Event(), threading.Semaphore(0)

    def run(numbers, words):
        running.release()
        hold.wait(30)
        return LEFT.run(numbers, words)

    ask = backed(member("slow@1", run), RIGHT, 2, "slow@1", Bound(0.02, most=2))
    try:
        for _ in range(2):
            assert ask(table([(1, 0)])).fallback.tolist() == ["slow@1 took longer than 20 ms"]
        assert running.acquire(timeout=5)
        assert running.acquire(timeout=5)
        said = ask(table([(1, 0)]))
        assert said.fallback.tolist() == ["slow@1 is still busy with calls that took longer than 20 ms"]
        assert not running.acquire(blocking=False), "it was asked all the same"
    finally:
        hold.set()
    deadline = time.monotonic() + 10
    while ask(table([(1, 0)])).member[0] != "slow@1":
        assert time.monotonic() < deadline, "it is well again, and is never asked"


def test_a_bound_hands_on_what_went_wrong():
    def fails():
        raise EngineError("no", "")

    bound = Bound(1.0, most=1)
    for _ in range(3):  # a failed call gives its place free
        with pytest.raises(EngineError, match="no") as caught:
            bound.call(fails)
        assert not isinstance(caught.value, LateError)


def test_a_composition_in_a_composition_names_the_whole_way_and_who_answered_is_counted():
    inner = Composed(backed(routed([(1, LEFT), (None, BROKEN)], 2), RIGHT, 2, "the route"), False)
    heard = []
    whole = Composed(member("pricing@7", inner), False, lambda *told: heard.append(told))
    said = whole.said([[1.0, 1.0], [1.0, 0.0], [-1.0, 0.0]], [[], [], []])
    assert said.member.tolist() == ["pricing@7/left@1", "pricing@7/right@2", "pricing@7/broken@1"]
    assert said.fallback.tolist() == ["", "broken@1 gave no finite number for this row", ""]
    assert sorted(heard) == [
        ("pricing@7/broken@1", False, 1),
        ("pricing@7/left@1", False, 1),
        ("pricing@7/right@2", True, 1),
    ]
    assert whole([[1.0, 1.0]], [[]]) == LEFT.run([[1.0]], [])
