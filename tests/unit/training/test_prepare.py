from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from modelway.errors import DataError, TooLittleDataError
from modelway.records import Column, TableVersion, TrainingSet, dumps, loads
from modelway.training.classes import ordered_classes, target_text
from modelway.training.frames import codes, parquet_bytes, read_audit, read_training_set, to_pandas
from modelway.training.prepare import learnable, prepare, trained_keys
from tests.unit.training.conftest import COLUMNS, START, rows, spec_of


def test_the_record_tells_counts_and_the_artefact_holds_the_rows(store):
    made = prepare(
        rows(), spec_of(gap="5h"), COLUMNS, [TableVersion("loans", 3)], START, store, audit=["sex", "gone"], too_young=7
    )
    table = read_training_set(made, store)
    assert table.columns == ["_key", "_at", "_part", "_target", "amount", "country"]
    assert (made.rows, made.train_rows, made.holdout_rows, made.too_young) == (296, 236, 60, 7)
    assert made.cutoff == START + timedelta(hours=240)
    assert read_audit(made, store).columns == ["_key", "sex"]
    assert read_audit(made, store).height == made.rows
    assert loads(TrainingSet, dumps(made)) == made
    assert set(trained_keys(made, store)) == {f"k{i}" for i in range(236)}


def test_columns_that_are_missing_in_every_row_to_learn_from_are_named(store):
    """What only the holdout holds is nothing to learn from."""
    late = pl.when(pl.col("_at") >= START + timedelta(hours=240)).then(1.0)
    frame = rows().with_columns(usual=pl.lit(None, pl.Float64), late=late, city=pl.lit(""), seen=pl.lit(0.0))
    more = [*(Column(name, "number") for name in ("usual", "late", "seen")), Column("city", "word")]
    made = prepare(frame, spec_of(), (*COLUMNS, *more), (), START, store)
    assert made.empty == ("usual", "late", "city")
    assert loads(TrainingSet, dumps(made)) == made


def test_equal_rows_give_equal_digests_in_whatever_order_and_chunks_they_come(store):
    frame = rows()
    chunked = pl.concat([frame[150:], frame[:150]], rechunk=False)
    assert prepare(chunked, spec_of(), COLUMNS, (), START, store) == prepare(
        frame, spec_of(), COLUMNS, (), START, store
    )
    assert (
        prepare(rows(seed=1), spec_of(), COLUMNS, (), START, store).data
        != prepare(frame, spec_of(), COLUMNS, (), START, store).data
    )


def test_missing_values_are_nan_and_the_empty_text(store):
    made = prepare(rows(), spec_of(), COLUMNS, (), START, store)
    frame = to_pandas(read_training_set(made, store), made.columns)
    assert frame["amount"].dtype == np.float64
    assert frame["amount"].isna().sum() > 0
    assert (frame["country"] == "").sum() > 0
    assert {type(x) for x in frame["country"]} == {str}


def test_numbers_and_truth_values_become_doubles():
    frame = pl.DataFrame({"a": [1, None], "b": [True, None], "c": ["x", None]})
    made = to_pandas(frame, [Column("a", "number"), Column("b", "number"), Column("c", "word")])
    assert made["b"].tolist()[0] == 1.0
    assert made["c"].tolist() == ["x", ""]


def test_a_column_that_is_gone_is_named():
    with pytest.raises(DataError, match="are missing: gone"):
        to_pandas(pl.DataFrame({"a": [1.0]}), [Column("gone", "number")])


def test_rows_without_a_target_are_not_used_and_counted(store):
    frame = rows().with_columns(
        pl.when(pl.col("_key") < "k11").then(None).otherwise(pl.col("_target")).alias("_target")
    )
    missing = frame["_target"].null_count()
    made = prepare(frame, spec_of(), COLUMNS, (), START, store)
    assert missing > 0
    assert (made.too_young, made.rows) == (missing, 300 - missing)


@pytest.mark.parametrize(
    ("change", "spec", "words"),
    [
        ({"_target": pl.lit("no")}, spec_of(), r"only one class: no \(300 rows\)"),
        ({"_target": pl.lit(None, dtype=pl.String)}, spec_of(), "no row has a final label"),
        ({"_target": pl.lit(4.0)}, spec_of("regression"), "the same number in all 300 rows"),
    ],
)
def test_too_little_is_refused_with_counts(store, change, spec, words):
    with pytest.raises(TooLittleDataError, match=words):
        prepare(rows().with_columns(**change), spec, COLUMNS, (), START, store)


def test_what_does_not_fit_the_spec_is_refused(store):
    with pytest.raises(DataError, match="target has 3 classes"):
        prepare(rows(task="multiclass"), spec_of(), COLUMNS, (), START, store)
    with pytest.raises(DataError, match="is no number, for example '"):
        prepare(rows(), spec_of("regression"), COLUMNS, (), START, store)
    with pytest.raises(DataError, match="no event time"):
        prepare(rows(), spec_of(event_time=None, split="time"), COLUMNS, (), START, store)
    with pytest.raises(DataError, match=r"training\.window"):
        prepare(rows(), spec_of(event_time=None, window="5d"), COLUMNS, (), START, store)


def test_without_an_event_time_the_split_is_at_random(store):
    made = prepare(
        rows().with_columns(_at=pl.lit(None, dtype=pl.Datetime("us", "UTC"))),
        spec_of(event_time=None),
        COLUMNS,
        (),
        START,
        store,
    )
    assert made.cutoff is None
    assert 30 < made.holdout_rows < 90


@pytest.mark.parametrize(
    ("counts", "positive", "expected"),
    [
        ({"1": 90, "0": 10}, None, ("0", "1")),
        ({"Yes": 90, "No": 10}, None, ("No", "Yes")),
        ({"TRUE": 9, "FALSE": 1}, None, ("FALSE", "TRUE")),
        ({"y": 5, "n": 5}, None, ("n", "y")),
        ({"good": 70, "bad": 30}, None, ("good", "bad")),
        ({"a": 50, "b": 50}, None, ("a", "b")),
        ({"good": 70, "bad": 30}, "good", ("bad", "good")),
    ],
)
def test_the_positive_class_is_last(counts, positive, expected):
    assert ordered_classes(counts, "binary", positive) == expected


def test_a_positive_class_that_does_not_exist_is_refused_with_the_classes():
    with pytest.raises(DataError, match=r"classes good \(70 rows\), bad \(30 rows\)"):
        ordered_classes({"good": 70, "bad": 30}, "binary", "worse")


def test_classes_that_are_numbers_are_in_numeric_order():
    assert ordered_classes({"10": 1, "9": 1, "2": 1}, "multiclass") == ("2", "9", "10")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 0.0, None, float("nan"), 2.5], ["1", "0", None, None, "2.5"]),
        ([1, 0, None], ["1", "0", None]),
        ([True, False, None], ["true", "false", None]),
        ([" yes ", "", "no"], ["yes", None, "no"]),
    ],
)
def test_class_names_do_not_depend_on_how_a_file_writes_numbers(values, expected):
    assert target_text(pl.Series(values)).to_list() == expected


def test_codes_follow_the_order_of_the_classes():
    assert codes(pl.Series(["b", "a", "b"]), ("b", "a")).tolist() == [0, 1, 0]
    assert codes(pl.Series([1.5, 2.0]), ()).tolist() == [1.5, 2.0]


def test_parquet_bytes_are_equal_for_equal_frames():
    assert parquet_bytes(rows()) == parquet_bytes(pl.concat([rows()[:10], rows()[10:]], rechunk=False))


@pytest.mark.parametrize("given", [{}, {"window": "60h"}, {"window": "60h", "gap": "5h"}, {"split": "random"}])
def test_what_can_be_learned_from_is_known_before_its_columns_are_and_gives_the_same_set(store, given):
    frame = rows().with_columns(_target=pl.when(pl.col("_key") != "k299").then("_target"))
    spec = spec_of(**given)
    whole = prepare(frame, spec, COLUMNS, (), START, store, too_young=2)
    few, without = learnable(frame.select("_key", "_at", "_target"), spec, 2)
    assert without == whole.too_young > 2
    assert few.height == (60 if "window" in given else frame["_target"].drop_nulls().len())
    beside = few.join(frame.drop("_at", "_target"), on="_key")
    assert prepare(beside, spec, COLUMNS, (), START, store, too_young=without) == whole


def test_where_nothing_can_be_learned_that_is_said_before_anything_is_computed():
    with pytest.raises(TooLittleDataError, match="no row has a final label \\(302 rows"):
        learnable(rows().with_columns(_target=pl.lit(None, pl.String)), spec_of(), 2)
