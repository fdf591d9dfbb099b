"""What is kept of training rows: exact where nothing is lost, never too large a distance where something is."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.errors import DataError, EngineError
from modelway.monitoring.drift import drift
from modelway.monitoring.profile import (
    POINTS,
    PREDICTION,
    WORDS,
    Numbers,
    Words,
    likeness,
    number_values,
    predicted,
    profile,
    profile_of,
    read_profile,
    word_likeness,
    word_values,
)
from modelway.records import Column
from modelway.spec.model import Drift

NUMBER, WORD = Column("x", "number"), Column("w", "word")
ALL = Drift(min_rows=1)
NUMBERS = st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=1, max_size=60)


def scores(rows):
    return np.full((rows, 1), 0.5)


def frame(values):
    return pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)})


@given(NUMBERS, NUMBERS)
@settings(max_examples=60, deadline=None)
def test_the_distance_is_that_of_the_whole_rows_while_all_values_are_kept(reference, current):
    kept = profile_of(frame(reference), [NUMBER], scores(len(reference)), ())
    found = drift(kept, frame(current), scores(len(current)), ALL)[0]
    a, b = (np.array([-math.inf if math.isnan(v) else v for v in side]) for side in (reference, current))
    # a missing number is smaller than -inf, which the oracle cannot say: so it is told apart by hand
    order = {v: i for i, v in enumerate(sorted({*a, *b}))}
    a2 = np.array([0 if math.isnan(v) else order[v] + 1 for v in reference])
    b2 = np.array([0 if math.isnan(v) else order[v] + 1 for v in current])
    steps = np.arange(len(order) + 1)
    gaps = [abs((a2 <= s).mean() - (b2 <= s).mean()) for s in steps]
    assert found.distance == pytest.approx(max(gaps), abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.floats(-1, 1), st.sampled_from([0, 1, 3]))
@settings(max_examples=25, deadline=None)
def test_a_distance_read_off_the_kept_points_is_never_too_large_and_little_too_small(seed, shift, digits):
    rng = np.random.default_rng(seed)
    reference, current = rng.normal(size=6_000), rng.normal(shift, 1.5, size=700)
    if digits:
        reference, current = reference.round(digits), current.round(digits)
    from scipy.stats import ks_2samp

    kept = profile_of(frame(reference), [NUMBER], scores(6_000), ())
    found = drift(kept, frame(current), scores(700), ALL)[0]
    exact = ks_2samp(reference, current).statistic
    assert exact - 1 / (POINTS - 1) - 1e-9 <= found.distance <= exact + 1e-12


@given(NUMBERS, st.lists(st.sampled_from(["", "a", "b", "ünicode"]), min_size=1, max_size=60))
@settings(max_examples=40, deadline=None)
def test_bytes_are_deterministic_and_come_back(values, words):
    n = min(len(values), len(words))
    rows = pl.DataFrame({"x": pl.Series(values[:n], dtype=pl.Float64), "w": words[:n]})
    packed = profile(rows, [NUMBER, WORD], scores(n), ())
    assert packed == profile(rows, [NUMBER, WORD], scores(n), ())
    back, made = read_profile(packed), profile_of(rows, [NUMBER, WORD], scores(n), ())
    assert (back.rows, back.classes, [c.name for c in back.columns]) == (n, (), ["x", "w", PREDICTION])
    for a, b in zip(back.columns, made.columns, strict=True):
        assert (a.name, a.rows, a.missing, a.alike) == (b.name, b.rows, b.missing, b.alike)
        if isinstance(a, Numbers):
            assert isinstance(b, Numbers)
            assert np.array_equal(a.points, b.points)
            assert np.array_equal(a.below, b.below)
            assert np.array_equal(a.upto, b.upto)
        else:
            assert isinstance(b, Words)
            assert (a.counts, a.rest) == (b.counts, b.rest)


def test_bytes_do_not_grow_with_the_rows():
    rng = np.random.default_rng(0)
    sizes = [len(profile(frame(rng.normal(size=n)), [NUMBER], scores(n), ())) for n in (5_000, 50_000)]
    assert abs(sizes[1] - sizes[0]) < 64


def test_the_most_frequent_words_are_kept_and_the_others_counted():
    words = [f"w{n:04d}" for n in range(WORDS + 50)] * 2 + ["w0249"] * 7 + [None]
    column = profile_of(pl.DataFrame({"w": words}), [WORD], scores(len(words)), ()).inputs[0]
    assert isinstance(column, Words)
    assert (len(column.counts), column.counts["w0249"], column.rest) == (WORDS, 9, 50 * 2 + 1)


def test_the_prediction_is_a_probability_a_class_or_a_value():
    two = np.array([[0.9, 0.1], [0.2, 0.8]])
    assert predicted(two, ("no", "yes")).tolist() == [0.1, 0.8]
    assert predicted(np.array([[3.5], [2.0]]), ()).tolist() == [3.5, 2.0]
    three = predicted(np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]]), ("a", "b", "c"))
    assert three.to_list() == ["c", "a"]


def test_missing_values_are_nan_and_the_empty_word():
    assert np.array_equal(number_values(pl.Series([1, None])), [1.0, math.nan], equal_nan=True)
    assert word_values(pl.Series(["a", None])).to_list() == ["a", ""]


def test_independent_rows_are_seldom_alike_and_a_series_is():
    rng = np.random.default_rng(1)
    draws = [rng.normal(size=400) for _ in range(400)]
    assert np.mean([likeness(x, np.sort(x)) > 0 for x in draws]) < 0.09
    noise, walk = rng.normal(size=20_000), np.zeros(20_000)
    for i in range(1, len(walk)):
        walk[i] = 0.9 * walk[i - 1] + noise[i]
    assert likeness(walk, np.sort(walk)) == pytest.approx(0.9, abs=0.02)
    assert likeness(np.ones(50), np.ones(50)) == 0.0


def test_words_that_stay_are_alike():
    blocks = pl.Series([w for w in "abcab" for _ in range(40)])
    assert word_likeness(blocks, {"a": 80, "b": 80, "c": 40}) > 0.9
    shuffled = blocks.sample(fraction=1, shuffle=True, seed=3)
    assert word_likeness(shuffled, {"a": 80, "b": 80, "c": 40}) < 0.2
    assert word_likeness(pl.Series(["a"] * 9), {"a": 9}) == 0.0


def test_what_is_no_profile_is_said():
    with pytest.raises(EngineError, match="reference profile"):
        read_profile(b"\x93nothing")
    with pytest.raises(DataError, match="no training rows"):
        profile(frame([]), [NUMBER], scores(0), ())
