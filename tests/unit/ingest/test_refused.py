"""Refused rows as JSON: what each had, and nothing of its neighbours."""

import json

import polars as pl

from modelway.ingest.refused import raw_rows


def raw(*rows: dict, **schema) -> list[dict]:
    frame = pl.DataFrame(
        [{"_partition": 0, "_offset": n, **row} for n, row in enumerate(rows)], schema_overrides=schema
    )
    return [json.loads(text) for text in raw_rows(frame, None)["_raw"]]


def test_columns_of_other_rows_of_the_batch_stand_in_no_row():
    rows = [{"id": "a", "amount": 1.5}, {"id": "b", 'näme "x"': ","}, {"open": True, "n": 2**60}, {}]
    assert raw(*rows) == rows


def test_values_of_every_kind_come_as_json_has_them():
    row = {"text": 'a "b" {c}, \\', "none": "", "many": [1, None], "deep": {"a": None}, "inf": float("inf")}
    assert raw(row, {"text": "x"}) == [{**row, "inf": "inf"}, {"text": "x"}]


def test_rows_without_a_field_are_empty_objects():
    assert raw({}, {}) == [{}, {}]
