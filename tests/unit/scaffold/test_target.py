"""The task and the positive class, and what is refused."""

from datetime import date

import polars as pl
import pytest

from modelway.errors import TooLittleDataError, UsageError
from modelway.scaffold.columns import facts_of
from modelway.scaffold.target import target_of


def target(values: list) -> object:
    return target_of(facts_of(pl.Series("y", values)))


@pytest.mark.parametrize(
    ("values", "task", "positive"),
    [
        ([0, 1] * 10, "binary", None),
        ([1, 2, 2, 2] * 5, "binary", "1"),
        (["yes", "no"] * 10, "binary", None),
        (["good", "bad", "good"] * 10, "binary", "bad"),
        ([True, False, True] * 5, "binary", None),
        ([0.0, 1.0] * 10, "binary", None),
        (["a", "b", "c"] * 5, "multiclass", None),
        ([1, 2, 3, 4, 5] * 10, "multiclass", None),
        ([3.0, 4.0, 5.0] * 10, "multiclass", None),
        (list(range(40)), "regression", None),
        ([1, 1000, 20] * 10, "regression", None),
        ([0.5, 1.5, 2.0] * 10, "regression", None),
        (["1.5", "2", "7"] * 10, "regression", None),
    ],
)
def test_the_task_is_found(values, task, positive):
    found = target(values)
    assert (found.task, found.positive) == (task, positive)
    assert found.decisions[0].why


def test_classes_are_counted_commonest_first_and_named_as_training_names_them():
    assert target([2.0] * 9 + [1.0] * 12).counts == {"1": 12, "2": 9}
    assert target([" a", "a ", "b", "b"] * 5).counts == {"a": 10, "b": 10}


def test_rows_without_a_target_are_told():
    found = target([0, 1, None] * 10)
    assert found.rows == 20
    assert any("10 of 30 rows" in d.decision for d in found.decisions)


def test_rare_classes_are_told():
    assert any("fraud (3 rows)" in d.decision for d in target(["ok"] * 100 + ["fraud"] * 3).decisions)


@pytest.mark.parametrize(
    ("values", "error", "says"),
    [
        ([None] * 20, TooLittleDataError, "missing in all 20 rows"),
        ([1] * 20, TooLittleDataError, "only one value: 1 in all 20 rows"),
        ([0, 1] * 4, TooLittleDataError, "only 8 rows have a target"),
        ([0] * 20 + [1], TooLittleDataError, "only one row of class '1'"),
        ([date(2024, 1, i) for i in range(1, 21)], UsageError, "is a date"),
        ([f"text {i}" for i in range(50)], UsageError, "too many for classes"),
        ([f"{i},5 €" for i in range(50)], UsageError, "numbers kept as text"),
        ([1.5, float("inf")] * 10 + [2.5], UsageError, "infinite"),
    ],
)
def test_what_teaches_nothing_is_refused_with_the_way_out(values, error, says):
    with pytest.raises(error, match=says) as caught:
        target(values)
    assert caught.value.fix
