"""Contracts as suites of Great Expectations, and suites as contracts: nothing is dropped on the way, in either direction."""

import json
import math
import os
import sys

import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings

from modelway.contracts.contract import Contract
from modelway.contracts.counterparts import counterparts, mostly
from modelway.contracts.great_expectations import suite_json, verdicts, verdicts_on, views_of, write_docs
from modelway.contracts.rules import at_most
from modelway.contracts.suites import contract_of_suite
from modelway.contracts.table import check_table
from modelway.errors import MissingExtraError, UnreadableFileError
from modelway.files.read import read_table
from modelway.spec.contract import Check, Rule
from tests.support.contracts import Case, cases
from tests.support.world import START


def rules(**given: dict) -> dict[str, Rule]:
    return {name: Rule.model_validate(rule) for name, rule in given.items()}


@pytest.mark.timeout(600)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases(columns=20))
def test_both_engines_blame_the_same_rows(case: Case):
    """A hundred and sixty contracts of a column; thousands are in tests/engines."""
    found = verdicts(case.contract, case.frame)
    ours = {(b.row, b.column, b.rule) for b in check_table(case.frame, case.contract, None).breaches}
    assert (found.breaches, found.unevaluated) == (ours, {})


def test_of_equal_values_the_first_is_blamed_by_great_expectations_only():
    frame = pl.DataFrame({"x": ["a", "b", "a", None, None, "a"]})
    found = verdicts(Contract(rules(x={"type": "string", "unique": True})), frame)
    assert found.breaches == {(2, "x", "unique"), (5, "x", "unique")}
    assert found.also == {(0, "x", "unique")}


EVERY = Contract(
    rules(
        amount={
            "type": "float", "min": 0, "max": 9, "nulls": 0, "on_breach": {"min": "warn"}, "severity": "page",
            "distribution": {"mean": {"min": 1}, "quantiles": {"50%": {"max": 5}, "90%": {"min": 1}}, "min_rows": 30},
        },
        limit={"type": "float"},
        country={"type": "string", "in": ["DE", "FR"], "nulls": 0.42, "on_breach": "warn"},
        code={"type": "string", "pattern": "^[A-Z]+$", "unique": True},
        opened={"type": "date", "min": "2020-01-01"},
        kind={"type": "int", "distribution": {"new_categories": {"known": [1, 2], "most": 0.1}, "on_breach": "reject_batch"}},
    ),
    (
        Check(expr="amount <= limit", name="within", severity="note"),
        Check(expr="amount > 0.5", on_breach="warn"),
        Check(expr="country not in ['XX']"),
        Check(unique=("country", "code")),
        Check.model_validate({"volume": {"min": 1, "max": 9}}),
    ),
)  # fmt: skip


def test_a_contract_comes_back_from_its_own_suite():
    made = suite_json(EVERY, "loans")
    assert made["name"] == "loans"
    back = contract_of_suite(json.loads(json.dumps(made)))
    assert back.contract == EVERY
    assert (back.without, back.assumed) == ((), ())


def test_what_has_no_counterpart_is_listed_and_every_rule_is_in_one_of_the_lists():
    columns = rules(
        customer={"type": "string", "references": "customers.id"}, km={"type": "int"}, at={"type": "datetime"}
    )
    checks = (
        Check(expr="log(km) > 1", name="far"),
        Check.model_validate({"change": {"of": "km", "by": "customer", "min": 0}}),
        Check.model_validate({"freshness": "2h"}),
    )
    found = counterparts(Contract(columns, checks, "at"))
    assert [(one.column, one.rule) for one in found.without] == [
        ("customer", "references"), ("km", "far"), ("km, customer", "change"), ("at", "freshness"),
    ]  # fmt: skip
    assert all(one.why for one in found.without)
    assert [one.rules for one in found.expectations] == [("type",)] * 3


@pytest.mark.parametrize("share", [0.07, 0.29, 0.35, 0.42, 0.58, 1 / 3, 0.0, 1.0])
def test_a_share_means_the_same_whichever_side_it_is_told_from(share):
    for rows in range(1, 200):
        for broken in (at_most(share, rows), at_most(share, rows) + 1):
            if broken <= rows:
                assert ((rows - broken) / rows >= mostly(share)) == (broken <= at_most(share, rows)), (share, rows)


def expectation(kind: str, **given) -> dict:
    return {"type": f"expect_{kind}", "kwargs": given}


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        (expectation("column_values_to_be_of_type", column="x", type_="float64"), {"type": "float"}),
        (expectation("column_values_to_be_of_type", column="x", type_="Timestamp"), {"type": "datetime"}),
        (expectation("column_values_to_be_in_set", column="x", value_set=["a", "b"]), {"type": "string", "in": ["a", "b"]}),
        (expectation("column_values_to_be_between", column="x", min_value=1), {"type": "float", "min": 1}),
        (expectation("column_values_to_match_regex", column="x", regex="a$"), {"type": "string", "pattern": "a$"}),
        (
            expectation("column_values_to_be_in_set", column="x", value_set=["a"], mostly=0.9),
            {"type": "string", "distribution": {"new_categories": {"known": ["a"], "most": 0.1}, "min_rows": 0}},
        ),
        (expectation("column_values_to_not_be_null", column="x", mostly=0.95), {"type": "string", "nulls": 0.05}),
    ],
)  # fmt: skip
def test_an_expectation_becomes_a_rule_that_warns(given, rule):
    found = contract_of_suite({"name": "s", "expectations": [given]})
    assert found.contract.rules == {"x": Rule.model_validate({"on_breach": "warn"} | rule)}
    assert found.without == ()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (expectation("column_values_to_be_between", column="x", min_value=0, strict_min=True), "x > 0"),
        (expectation("column_value_lengths_to_equal", column="x", value=2), "length(x) == 2"),
        (expectation("column_values_to_not_be_in_set", column="x y", value_set=["a", "b"]), '`x y` not in ["a", "b"]'),
        (expectation("column_values_to_be_null", column="x"), "is_missing(x)"),
        (
            expectation(
                "column_pair_values_a_to_be_greater_than_b",
                column_A="a",
                column_B="b",
                ignore_row_if="either_value_is_missing",
            ),
            "a > b",
        ),
    ],
)
def test_an_expectation_becomes_an_expression(given, text):
    found = contract_of_suite({"expectations": [given]})
    assert [(check.expr, check.on_breach) for check in found.contract.checks] == [(text, "warn")]
    assert found.without == ()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (expectation("column_stdev_to_be_between", column="x", min_value=1), "no such rule"),
        (expectation("column_values_to_be_between", column="x", min_value=1, mostly=0.9), "a share of breaches"),
        (expectation("column_values_to_be_unique", column="x", row_condition="y > 1"), "row_condition"),
        (
            expectation("compound_columns_to_be_unique", column_list=["x", "y"], ignore_row_if="never"),
            "ignore_row_if never",
        ),
        (expectation("column_values_to_be_of_type", column="x", type_="complex"), "none of a contract's types"),
        (expectation("column_median_to_be_between", column="x", min_value=1), "between two values"),
        ({"type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": "…"}}, "no such rule"),
    ],
)
def test_what_a_contract_cannot_say_is_listed_with_its_reason(given, words):
    found = contract_of_suite({"expectations": [given]})
    assert found.contract.rules == {}
    assert [one.rule for one in found.without] == [given["type"]]
    assert words in found.without[0].why


def test_a_second_bound_is_told_not_dropped():
    first = expectation("column_values_to_be_between", column="x", min_value=1)
    second = expectation("column_values_to_be_between", column="x", min_value=2)
    found = contract_of_suite({"expectations": [first, second]})
    assert found.contract.rules["x"].min == 1
    assert "one `min`" in found.without[0].why


def test_what_is_no_suite_is_said():
    with pytest.raises(UnreadableFileError, match="no suite"):
        contract_of_suite({"name": "x"})


@pytest.mark.parametrize(
    ("one", "place"),
    [
        (3, r"expectations\[1\] is 3"), (None, r"expectations\[1\] is None"), ("x", r"expectations\[1\] is 'x'"),
        ({"type": "expect_table_row_count_to_equal", "kwargs": [1]}, r"expectations\[1\]\.kwargs is \[1\]"),
        ({"type": "expect_table_row_count_to_equal", "meta": 5}, r"expectations\[1\]\.meta is 5"),
        ({"type": "expect_table_row_count_to_equal", "meta": {"modelway": [5]}}, r"expectations\[1\]\.meta\.modelway is"),
        ({"type": "expect_x", "meta": {"modelway": {"check": 5}}}, r"expectations\[1\]\.meta\.modelway\.check is 5"),
    ],
)  # fmt: skip
def test_what_is_no_expectation_is_said_with_its_place(one, place):
    good = expectation("column_values_to_be_unique", column="x")
    with pytest.raises(UnreadableFileError, match=place) as caught:
        contract_of_suite({"expectations": [good, one]})
    assert "kwargs" in caught.value.fix


def test_null_in_a_set_says_nothing_and_is_told():
    of = {"column": "x", "value_set": ["a", None, "b"]}
    found = contract_of_suite(
        {
            "expectations": [
                expectation("column_values_to_be_in_set", **of),
                expectation("column_values_to_not_be_in_set", **of),
            ]
        }
    )
    assert found.contract.rules["x"].allowed == ("a", "b")
    assert [check.expr for check in found.contract.checks] == ['x not in ["a", "b"]']
    assert any("null in a value_set" in words for words in found.assumed)
    assert found.without == ()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (expectation("column_values_to_be_in_set", column="x", value_set=[None]), "names no value"),
        (
            expectation("column_values_to_be_in_set", column="x", value_set="abc"),
            "value_set is 'abc' and not a list of values",
        ),
        (expectation("column_values_to_be_in_set", column="x", value_set=[["a"]]), "not a list of values"),
        (expectation("column_values_to_be_in_set", column="x"), "its argument value_set is missing"),
        (expectation("column_values_to_be_in_set", value_set=["a"]), "its argument column is missing"),
        (expectation("column_values_to_be_unique", column=["x"]), "column is ['x'] and not a name"),
        (
            expectation("column_values_to_be_between", column="x", min_value={"$PARAMETER": "low"}),
            "not a number or a time",
        ),
        (expectation("column_values_to_be_between", column="x", min_value=math.nan), "not a number or a time"),
        (expectation("column_values_to_be_between", column="x", min_value=10**400), "not a number or a time"),
        (expectation("column_values_to_not_be_null", column="x", mostly="most"), "mostly is 'most' and not a share"),
        (
            expectation("column_mean_to_be_between", column="x", min_value="a"),
            "distribution.mean.min 'a' is not a number",
        ),
        (expectation("column_mean_to_be_between", column="x", min_value=3, max_value=1), "min, 3, is more than max, 1"),
        (
            expectation("column_quantile_values_to_be_between", column="x", quantile_ranges={"quantiles": [0.5]}),
            "quantile_ranges",
        ),
        (expectation("column_value_lengths_to_be_between", column="x"), "no bound"),
        (expectation("column_value_lengths_to_equal", column="x", value="two"), "must be a number"),
        (expectation("column_values_to_be_null", column="x`y"), "cannot name the column"),
        (expectation("column_values_to_not_be_in_set", column="x", value_set=["'\""]), "quotes of both kinds"),
        (expectation("column_values_to_not_be_in_set", column="x", value_set=list(range(400))), "at most 300 parts"),
        (expectation("table_row_count_to_equal", value=-1), "-1 is no count"),
        (expectation("table_row_count_to_be_between", min_value="some"), "'some' is no bound"),
        (expectation("column_values_to_be_of_type", column="x"), "type_ is missing"),
        (expectation("compound_columns_to_be_unique", column_list="xy"), "column_list is 'xy' and not a list of names"),
    ],
)
def test_an_expectation_that_is_not_as_its_reader_needs_it_is_listed(given, words):
    found = contract_of_suite({"expectations": [given]})
    assert (found.contract.rules, found.contract.checks) == ({}, ())
    assert [one.rule for one in found.without] == [given["type"]]
    assert words in found.without[0].why


@pytest.mark.parametrize(
    ("of", "given", "rule", "words"),
    [
        (
            "str",
            expectation("column_values_to_match_regex", column="x", regex="(("),
            "pattern",
            "no regular expression",
        ),
        (
            "float",
            expectation("column_values_to_match_regex", column="x", regex="a"),
            "pattern",
            "a float has no pattern",
        ),
        ("str", expectation("column_values_to_be_between", column="x", min_value=1), "min", "a string has no min"),
        (
            "int",
            expectation("column_values_to_be_between", column="x", min_value=9, max_value=1),
            "min",
            "more than max",
        ),
        (
            "int",
            expectation("column_values_to_be_in_set", column="x", value_set=["a"]),
            "in",
            "not of the column's type",
        ),
    ],
)
def test_a_rule_that_does_not_fit_its_column_is_listed_and_the_others_stay(of, given, rule, words):
    typed = expectation("column_values_to_be_of_type", column="x", type_=of)
    unique = expectation("column_values_to_be_unique", column="x")
    found = contract_of_suite({"expectations": [typed, given, unique]})
    assert [(one.column, one.rule) for one in found.without] == [("x", rule)]
    assert words in found.without[0].why
    kept = found.contract.rules["x"]
    assert kept.unique
    assert getattr(kept, "allowed" if rule == "in" else rule) is None


def test_data_docs_are_pages_of_the_suite_and_of_its_verdicts(tmp_path):
    frame = pl.DataFrame({"amount": ["1", "x"], "limit": [1.0, 2.0], "country": ["DE", "XX"], "code": ["A", "A"]})
    page = write_docs(EVERY, "loans", tmp_path / "docs", START, frame)
    assert page.is_file()
    pages = {path.relative_to(tmp_path / "docs").parts[0] for path in (tmp_path / "docs").rglob("*.html")}
    assert {"expectations", "validations", "index.html"} <= pages


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "great_expectations", None)
    with pytest.raises(MissingExtraError, match="great-expectations is not installed") as caught:
        suite_json(EVERY, "loans")
    assert "modelway[great-expectations]" in caught.value.fix


def test_a_column_that_is_not_in_the_batch_is_missing_in_both_engines():
    frame = pl.DataFrame({"y": [1.0, 2.0]})
    contract = Contract(rules(x={"type": "float", "min": 0, "nulls": 0}))
    found = verdicts(contract, frame)
    assert found.breaches == {(0, "x", "nulls"), (1, "x", "nulls")}
    assert found.unevaluated == {}


def test_nothing_is_told_to_the_makers_of_the_library():
    suite_json(Contract(rules(x={"type": "float"})), "x")
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"


def test_a_rule_that_cannot_be_evaluated_is_no_breach():
    """What a suite alone would do to raw rows: one word among numbers, and the range is asked of none of them."""
    contract = Contract(rules(x={"type": "float", "min": 0}))
    frame = pl.DataFrame({"x": ["-1", "word"]})
    given = views_of(contract, frame)["given"]
    raw = verdicts_on(contract, {"given": given, "read": given})
    assert raw.breaches == {(1, "x", "type")}
    assert list(raw.unevaluated) == ["x: min"]
    assert verdicts(contract, frame).breaches == {(0, "x", "min"), (1, "x", "type")}


def test_empty_text_is_missing_to_modelway_and_a_value_to_a_suite_that_is_asked_of_raw_rows(tmp_path):
    """As docs/how-to/contracts.md has it: in every kind of file; the second engine is handed it as missing."""
    frame = pl.DataFrame({"x": ["a", ""]})
    frame.write_parquet(tmp_path / "x.parquet")
    frame.write_ndjson(tmp_path / "x.ndjson")
    (tmp_path / "x.csv").write_text('x\na\n""\n')
    for path in sorted(tmp_path.iterdir()):
        assert read_table(path, text=["x"])["x"].to_list() == ["a", None], path.name
    contract = Contract(rules(x={"type": "string", "nulls": 0, "in": ["a"], "pattern": "a"}))
    assert [(b.row, b.rule) for b in check_table(frame, contract, None).breaches] == [(1, "nulls")]
    assert verdicts(contract, frame).breaches == {(1, "x", "nulls")}
    raw = pd.DataFrame({"x": ["a", ""]})
    assert verdicts_on(contract, {"given": raw, "read": raw}).breaches == {(1, "x", "in"), (1, "x", "pattern")}
