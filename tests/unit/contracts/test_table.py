"""What happens to the rows of a batch: quarantined, rejected as a whole, or warned of; every breach is named."""

from datetime import date

import polars as pl
import pytest

from modelway.contracts.contract import Contract
from modelway.contracts.rules import compiled
from modelway.contracts.table import check_table
from modelway.errors import SpecError
from modelway.spec.model import Rule


def check(frame: pl.DataFrame, key: str | None = None, **rules: Rule):
    return check_table(frame, Contract(rules), key)


def test_every_breach_is_named_by_row_key_column_rule_and_value():
    frame = pl.DataFrame({"id": ["x", "y", "z"], "age": ["30", "-1", "old"], "_offset": [7, 8, 9]})
    checked = check(frame, "id", age=Rule(type="int", min=0))
    assert [(b.row, b.key, b.column, b.rule, b.value, b.action) for b in checked.breaches] == [
        (1, "y", "age", "min", "-1", "quarantine"),
        (2, "z", "age", "type", "old", "quarantine"),
    ]
    assert checked.accepted.rows() == [("x", 30, 7)]
    assert checked.quarantined.rows() == [
        ("y", "-1", 8, "age: -1 is below 0"),
        ("z", "old", 9, "age: 'old' is no whole number"),
    ]


def test_a_warning_keeps_the_row_and_is_counted():
    checked = check(pl.DataFrame({"x": [1, 2, 30, 40]}), x=Rule(type="int", max=10, on_breach="warn"))
    assert checked.accepted.height == 4
    assert checked.warnings == {"x: max": 2}
    assert not checked.rejected


def test_one_breach_of_a_rejecting_rule_refuses_the_whole_batch_with_reasons():
    rule = Rule(type="float", nulls=0, on_breach="reject_batch")
    checked = check(pl.DataFrame({"x": [1.0, None, 3.0]}), x=rule)
    assert checked.rejected
    assert checked.accepted.height == 0
    reasons = checked.quarantined["_reasons"].to_list()
    assert reasons[1] == "x: missing"
    assert reasons[0] == reasons[2] == "the whole batch is rejected: row 1, x: missing"


def test_a_share_of_missing_values_is_judged_by_batch():
    rule = Rule(type="float", nulls=0.5)
    assert check(pl.DataFrame({"x": [1.0, None]}), x=rule).accepted.height == 2
    checked = check(pl.DataFrame({"x": [1.0, None, None]}), x=rule)
    assert checked.accepted.height == 1
    assert "66.7% of the batch" in checked.quarantined["_reasons"][0]


def test_of_values_that_must_differ_the_first_stays():
    checked = check(pl.DataFrame({"x": ["a", "b", "a", None, None]}), x=Rule(type="string", unique=True))
    assert checked.accepted["x"].to_list() == ["a", "b", None, None]
    assert checked.quarantined["_reasons"].to_list() == ["x: 'a' was there before in this batch"]


def test_a_column_that_is_gone_is_missing_in_every_row():
    checked = check(pl.DataFrame({"y": [1]}), x=Rule(type="float", nulls=0))
    assert checked.quarantined["_reasons"].to_list() == ["x: missing"]
    assert check(pl.DataFrame({"y": [1]}), x=Rule(type="float")).accepted["x"].dtype == pl.Float64


def test_columns_outside_the_contract_become_text_and_ours_stay():
    frame = pl.DataFrame({"x": [1.0], "other": [5.0], "list": [[1, 2]], "_partition": [0]})
    accepted = check(frame, x=Rule(type="float")).accepted
    assert accepted["other"].to_list() == ["5"]
    assert accepted.schema["_partition"] == pl.Int64


def test_an_empty_batch_has_the_types_of_the_contract():
    accepted = check(pl.DataFrame({"x": pl.Series([], dtype=pl.String)}), x=Rule(type="float", nulls=0, min=1)).accepted
    assert accepted.schema == {"x": pl.Float64}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Rule(type="float", min="low"), "contract.x.min"),
        (Rule.model_validate({"type": "int", "in": ["a"]}), "contract.x.in"),
        (Rule(type="string", pattern="("), "contract.x.pattern"),
        (
            Rule.model_validate({"type": "int", "distribution": {"new_categories": {"known": ["a"]}}}),
            "contract.x.distribution.new_categories.known",
        ),
    ],
)
def test_a_rule_that_cannot_be_is_a_spec_error(rule, words):
    with pytest.raises(SpecError, match=words):
        compiled("x", rule)


def test_reasons_are_told_apart_whatever_stands_in_a_value():
    rule = Rule.model_validate({"type": "string", "in": ["x"]})
    found = check_table(pl.DataFrame({"s": ["a; b"], "t": ["c; d"]}), Contract({"s": rule, "t": rule}), None)
    reasons = found.quarantined["_reasons"][0].split("; ")
    assert reasons == [r"s: 'a;\x20b' is none of 'x'", r"t: 'c;\x20d' is none of 'x'"]


@pytest.mark.parametrize("spread", [1, 10**6])
def test_repeats_are_found_by_counting_and_by_comparing_alike(spread):
    numbers = [3, None, 1, 3, 2, None, 1, 3, -4]
    column = pl.Series("x", [None if n is None else n * spread for n in numbers])
    checked = check(column.to_frame(), x=Rule(type="int", unique=True))
    assert checked.table["row"].to_list() == [3, 6, 7]


def test_a_nested_value_is_shown_as_it_came():
    checked = check(pl.DataFrame({"x": [[1, 2]]}), x=Rule(type="float"))
    assert [(b.value, b.reason) for b in checked.breaches] == [("[1, 2]", "x: '[1, 2]' is no number")]


@pytest.mark.parametrize(
    ("kind", "raw", "read"),
    [
        ("float", "12.5", 12.5), ("int", "5.0", 5), ("int", "5.5", "wrong"), ("float", True, "wrong"), ("float", "inf", "wrong"),
        ("string", 5, "5"), ("string", True, "true"), ("bool", "Yes", True), ("bool", 1, True), ("bool", "2", "wrong"),
        ("datetime", 5, "wrong"), ("date", "2024-01-31T23:30:00-02:00", date(2024, 2, 1)), ("float", " ", None),
        ("string", " ", " "), ("string", "", None),
    ],
)  # fmt: skip
def test_a_value_is_read_as_the_reference_says(kind, raw, read):
    checked = check(pl.DataFrame({"x": [raw]}), x=Rule(type=kind))
    assert [b.rule for b in checked.breaches] == (["type"] if read == "wrong" else [])
    assert checked.accepted["x"].to_list() == ([] if read == "wrong" else [read])
