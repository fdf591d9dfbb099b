from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.errors import TooLittleDataError
from modelway.spec.model import Training
from modelway.training.split import HOLDOUT, OUT, TRAIN, draw, split_rows, within_window
from tests.unit.training.conftest import START

SMALL = {"min_rows": 1}


def _rows(hours, target=None, keys=None) -> pl.DataFrame:
    at = pl.Series([None if h is None else START + timedelta(hours=h) for h in hours], dtype=pl.Datetime("us", "UTC"))
    count = len(hours)
    return pl.DataFrame(
        {"_key": keys or [f"k{i}" for i in range(count)], "_at": at, "_target": target or [0.0] * count}
    )


@given(
    st.lists(st.integers(0, 30), min_size=2, max_size=60).filter(lambda h: len(set(h)) > 1),
    st.floats(0.05, 0.6),
    st.integers(0, 5),
)
def test_by_time_the_holdout_is_later_than_training_by_the_gap_and_no_instant_is_parted(hours, share, gap):
    rows = _rows(hours)
    try:
        made = split_rows(rows, Training(holdout=share, gap=timedelta(hours=gap), **SMALL), by_time=True)
    except TooLittleDataError:
        if not gap:
            raise
        return
    parts = rows.with_columns(made.parts.alias("part"))
    train, held, out = (parts.filter(pl.col("part") == p)["_at"] for p in (TRAIN, HOLDOUT, OUT))
    assert train.max() <= held.min() - timedelta(hours=gap)
    assert train.max() < made.cutoff == held.min()
    assert len(train) + len(held) + len(out) == len(hours)
    assert all(made.cutoff - timedelta(hours=gap) < at < made.cutoff for at in out)


def test_the_holdout_has_the_wanted_share_where_instants_allow():
    made = split_rows(_rows(range(100)), Training(holdout=0.2), by_time=True)
    assert made.count(HOLDOUT) == 20


def test_the_boundary_moves_so_that_each_class_is_on_both_sides():
    rare = ["no"] * 100
    for place in (10, 60, 70):
        rare[place] = "yes"
    made = split_rows(_rows(range(100), rare), Training(holdout=0.2), by_time=True, classes=("no", "yes"))
    assert made.cutoff == START + timedelta(hours=70)


def test_a_class_that_training_would_never_see_is_refused_with_counts():
    late = ["no"] * 95 + ["yes"] * 5
    with pytest.raises(
        TooLittleDataError, match=r"no row of class 'yes' in the train part \(79 training rows, 20 holdout rows"
    ):
        split_rows(
            _rows([min(h, 95) for h in range(100)], late),
            Training(holdout=0.2, gap=timedelta(hours=2)),
            by_time=True,
            classes=("no", "yes"),
        )


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        ([5] * 40, "same event time"),
        ([None, *range(40)], "no event time"),
        (range(10), "fewer than training.min_rows = 30"),
    ],
)
def test_what_cannot_be_split_by_time_is_refused(hours, words):
    with pytest.raises(TooLittleDataError, match=words):
        split_rows(_rows(hours), Training(), by_time=True)


def test_a_gap_that_eats_the_training_part_is_refused():
    with pytest.raises(TooLittleDataError, match="0 training rows, 10 holdout rows, 40 left out"):
        split_rows(_rows(range(50)), Training(gap=timedelta(days=9)), by_time=True)


def test_within_window_keeps_the_last_rows_only():
    assert within_window(_rows(range(100)), timedelta(hours=10))["_key"].to_list() == [f"k{i}" for i in range(90, 100)]
    assert within_window(_rows(range(100)), None).height == 100


@given(st.integers(0, 3), st.integers(50, 200))
def test_at_random_a_rows_part_does_not_change_as_data_grow(seed, more):
    training = Training(holdout=0.25, seed=seed)
    first = split_rows(_rows([None] * 50), training, by_time=False).parts
    later = split_rows(_rows([None] * (50 + more)), training, by_time=False).parts
    assert later[:50].to_list() == first.to_list()


@given(st.lists(st.sampled_from("abc"), min_size=8, max_size=60), st.floats(0.05, 0.5), st.integers(0, 5))
def test_at_random_each_class_with_two_rows_is_in_both_parts_and_a_single_row_trains(target, share, seed):
    rows = _rows([None] * len(target), target)
    classes = tuple(sorted(set(target)))
    if len(classes) < 2 or (len(classes) == 2 and min(target.count(c) for c in classes) < 2):
        return
    if all(target.count(c) < 2 for c in classes):
        return
    made = split_rows(rows, Training(holdout=share, seed=seed, **SMALL), by_time=False, classes=classes)
    for name in classes:
        parts = set(rows.with_columns(made.parts.alias("part")).filter(pl.col("_target") == name)["part"])
        assert parts == ({TRAIN, HOLDOUT} if target.count(name) > 1 else {TRAIN})


def test_the_draw_is_even_and_depends_on_key_and_seed():
    draws = [draw(str(i), 0) for i in range(10_000)]
    assert abs(sum(d < 0.2 for d in draws) / 10_000 - 0.2) < 0.015
    assert draw("a", 0) == draw("a", 0) != draw("a", 1)
