"""Parquet and JSON: the few types that the rest of the house knows."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.errors import UnreadableFileError
from modelway.files.read import read_table


def lines(tmp_path: Path, *rows: str) -> pl.DataFrame:
    path = tmp_path / "a.ndjson"
    path.write_text("\n".join(rows))
    return read_table(path)


def test_a_missing_key_is_a_missing_value(tmp_path):
    frame = lines(tmp_path, '{"a": 1}', '{"b": "x", "a": 2}', '{"c": null}')
    assert frame.rows() == [(1, None, None), (2, "x", None), (None, None, None)]


def test_values_of_several_types_are_text(tmp_path):
    frame = lines(tmp_path, '{"a": 1, "b": {"c": [1]}}', '{"a": "x", "b": null}', '{"a": true, "b": {"c": []}}')
    assert frame["a"].to_list() == ["1", "x", "true"]
    assert [value and json.loads(value) for value in frame["b"]] == [{"c": [1]}, None, {"c": []}]


def test_numbers_dates_and_truth_values(tmp_path):
    frame = lines(tmp_path, '{"a": 1, "b": 1.5, "c": true, "d": "2024-01-31", "e": "01"}', '{"b": NaN, "e": " "}')
    assert frame.row(0) == (1, 1.5, True, date(2024, 1, 31), "01")
    assert frame.row(1) == (None, None, None, None, None)


def test_an_array_of_objects_and_blank_lines(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"a": 1},\n {"a": 2}]')
    assert read_table(path).rows() == [(1,), (2,)]
    assert lines(tmp_path, "", '{"a": 1}', "", '{"a": 2}', "").rows() == [(1,), (2,)]


def test_whole_numbers_beyond_64_bits_are_text(tmp_path):
    assert lines(tmp_path, '{"a": 123456789012345678901}', '{"a": 1}')["a"].to_list() == ["123456789012345678901", "1"]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (['{"a": 1}', '{"a": '], "line 2: not JSON"),
        (['{"a": 1}', "[1]"], "line 2: not a JSON object"),
    ],
)
def test_a_broken_line_is_named(tmp_path, rows, says):
    with pytest.raises(UnreadableFileError, match=says) as caught:
        lines(tmp_path, *rows)
    assert caught.value.fix


def test_parquet_types(tmp_path):
    at = datetime(2024, 1, 31, 12, tzinfo=UTC)
    path = tmp_path / "a.parquet"
    pl.DataFrame(
        {
            "small": pl.Series([1, 2], dtype=pl.UInt8),
            "large": pl.Series([2**63, 1], dtype=pl.UInt64),
            "decimal": pl.Series([Decimal("1.50"), None], dtype=pl.Decimal(10, 2)),
            "single": pl.Series([0.5, float("nan")], dtype=pl.Float32),
            "category": pl.Series(["x", " "], dtype=pl.Categorical),
            "naive": pl.Series([at.replace(tzinfo=None), None], dtype=pl.Datetime("ns")),
            "zoned": pl.Series([at, None]).dt.convert_time_zone("Asia/Tokyo"),
            "list": [[1], []],
            "bytes": [b"x", b"\xff"],
            "__index_level_0__": [0, 1],
        }
    ).write_parquet(path)
    frame = read_table(path)
    assert frame.row(0) == (1, "9223372036854775808", 1.5, 0.5, "x", at, at, "[1]", "78")
    assert frame.row(1) == (2, "1", None, None, None, None, None, "[]", "ff")
    assert set(frame.dtypes) <= {pl.Int64(), pl.Float64(), pl.String(), pl.Datetime("us", "UTC")}


TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=5)
VALUES = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXT
OBJECTS = st.dictionaries(st.sampled_from("abc"), VALUES | st.lists(VALUES, max_size=2), min_size=1)


@settings(max_examples=60, deadline=None)
@given(st.lists(OBJECTS, min_size=1, max_size=8))
def test_any_json_objects_become_as_many_rows(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("json") / "a.ndjson"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    frame = read_table(path)
    assert frame.height == len(rows)
    for name in frame.columns:
        there = [row.get(name) is not None and str(row[name]).strip() != "" for row in rows]
        assert frame[name].is_not_null().to_list() == there, name


def test_columns_come_in_the_order_in_which_their_keys_do(tmp_path):
    frame = lines(tmp_path, '{"d": 3, "b": 1, "e": 1}', '{"b": 1, "e": 2}', '{"d": 1, "f": 2, "b": 1, "e": 1}')
    assert frame.columns == ["d", "b", "e", "f"]
