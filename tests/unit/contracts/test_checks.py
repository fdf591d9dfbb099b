"""Rules beyond one value of one column: other tables, other columns, other rows, and batches as a whole."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from pydantic import ValidationError

from modelway.contracts.contract import Contract, contract_of, from_plain, to_plain
from modelway.contracts.row import compile_row
from modelway.contracts.severity import severities
from modelway.contracts.table import check_table
from modelway.errors import SpecError
from modelway.spec.contract import Check, Rule
from modelway.spec.model import Spec

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def rules(**given: dict) -> dict[str, Rule]:
    return {name: Rule.model_validate(rule) for name, rule in given.items()}


def contract(columns: dict[str, Rule], *checks: dict, event_time: str = "") -> Contract:
    return Contract(columns, tuple(Check.model_validate(check) for check in checks), event_time)


AMOUNTS = rules(amount={"type": "float"}, limit={"type": "float"})


def told(checked) -> list[tuple]:
    return [(b.row, b.column, b.rule, b.value, b.action) for b in checked.breaches]


def test_an_expression_that_is_false_breaks_and_one_with_a_missing_value_does_not():
    frame = pl.DataFrame({"amount": [1.0, 5.0, None, 9.0], "limit": [3.0, 3.0, 3.0, None]})
    asked = contract(AMOUNTS, {"expr": "amount <= limit"})
    checked = check_table(frame, asked, None)
    assert told(checked) == [(1, "amount, limit", "amount <= limit", "amount 5, limit 3", "quarantine")]
    assert checked.quarantined["_reasons"].to_list() == ["amount <= limit does not hold: amount 5, limit 3"]
    check = compile_row(asked)
    assert [bool(check(row)[1]) for row in frame.to_dicts()] == [False, True, False, False]


def test_times_words_and_truth_are_seen_by_expressions():
    columns = rules(opened={"type": "date"}, at={"type": "datetime"}, state={"type": "string"}, paid={"type": "bool"})
    asked = contract(columns, {"expr": "opened <= at"}, {"expr": 'paid or state == "open"', "name": "paid-or-open"})
    rows = [
        {"opened": "2026-01-01", "at": "2026-01-01T00:00:00Z", "state": "open", "paid": False},
        {"opened": "2026-01-02", "at": "2026-01-01T23:00:00Z", "state": "shut", "paid": False},
    ]
    checked = check_table(pl.DataFrame(rows), asked, None)
    assert [(row, rule) for row, _, rule, _, _ in told(checked)] == [(1, "opened <= at"), (1, "paid-or-open")]
    assert [len(compile_row(asked)(row)[1]) for row in rows] == [0, 2]


def test_an_expression_is_asked_of_a_row_only_with_all_its_columns():
    asked = contract(AMOUNTS, {"expr": "amount <= limit"})
    assert compile_row(asked.only(("amount",)))({"amount": 5})[1] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("amount <= limt", "checks\\[0\\]: there is no column 'limt', did you mean 'limit'?"),
        ("lower(amount)", "checks\\[0\\]"),
        ("amount <=", "checks\\[0\\]: expected a value"),
    ],
)
def test_an_expression_that_cannot_be_is_a_spec_error(text, words):
    with pytest.raises(SpecError, match=words):
        compile_row(contract(AMOUNTS, {"expr": text}))


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("amount + limit", 7, "a number"),
        ("amount", 0, "a number"),
        ("1", 0, "a number"),
        ("-amount", 0, "a number"),
        ("lower(state)", 0, "a word"),
        ("at", 0, "a time"),
        ('coalesce("2026-01-01", at)', 9, "a time"),
        ("if(amount > 5, paid, limit)", 21, "a number"),
    ],
)
def test_what_is_neither_true_nor_false_is_no_condition(text, place, words):
    columns = AMOUNTS | rules(state={"type": "string"}, at={"type": "datetime"}, paid={"type": "bool"})
    with pytest.raises(SpecError, match=f"true or false, and this is {words}\n    .*\n    {' ' * place}\\^") as caught:
        compile_row(contract(columns, {"expr": text}))
    assert "compare it" in caught.value.fix


@pytest.mark.parametrize(
    "text",
    [
        "paid", "not paid", "amount > 1 or paid", "is_missing(amount)", "if(paid, amount > 5, True)",
        "if_missing(amount > 5, false)", "coalesce(paid, amount == 1)", "amount in [1, 2]",
    ],
)  # fmt: skip
def test_what_is_true_or_false_is_a_condition(text):
    columns = AMOUNTS | rules(paid={"type": "bool"})
    assert compile_row(contract(columns, {"expr": text}))({"amount": 1, "limit": 2, "paid": True})


def test_values_that_may_not_come_together_twice():
    columns = rules(account={"type": "string"}, day={"type": "int"})
    frame = pl.DataFrame({"account": ["a", "a", "a", "b", None, None], "day": [1, 2, 1, 1, 1, 1]})
    checked = check_table(frame, contract(columns, {"unique": ["account", "day"]}), None)
    assert told(checked) == [(2, "account, day", "unique", "account a, day 1", "quarantine")]


def test_a_number_that_never_decreases_within_its_entity():
    columns = rules(car={"type": "string"}, km={"type": "int"}, at={"type": "int"})
    frame = pl.DataFrame(
        {"car": ["x", "y", "x", "x", "y", None], "km": [10, 5, 30, 20, 7, 1], "at": [1, 1, 3, 2, 2, 9]}
    )
    check = {"change": {"of": "km", "by": "car", "order": "at", "min": 0, "max": 9}}
    checked = check_table(frame, contract(columns, check), None)
    assert [(b.row, b.value) for b in checked.breaches] == [(2, "30"), (3, "20")]
    assert checked.breaches[1].reason == "km of car x: 20 after 10, a change of 10, above 9"
    in_batch_order = contract(columns, {"change": {"of": "km", "by": ["car"], "min": 0}})
    assert [b.row for b in check_table(frame, in_batch_order, None).breaches] == [3]


def test_how_a_column_lies_as_a_whole():
    wanted = {
        "mean": {"min": 0, "max": 10}, "quantiles": {"50%": {"max": 5}, "0.9": {"min": 1}}, "min_rows": 3,
    }  # fmt: skip
    columns = rules(x={"type": "float", "distribution": wanted})
    fine = check_table(pl.DataFrame({"x": [1.0, 2.0, 3.0, None]}), contract(columns), None)
    assert told(fine) == []
    cents = check_table(pl.DataFrame({"x": [100.0, 200.0, 300.0]}), contract(columns), None)
    assert told(cents) == [
        (None, "x", "mean", "200", "warn"),
        (None, "x", "quantile 50%", "200", "warn"),
    ]
    assert cents.accepted.height == 3
    assert cents.warnings == {"x: mean": 1, "x: quantile 50%": 1}
    assert told(check_table(pl.DataFrame({"x": [100.0, 200.0]}), contract(columns), None)) == []


def test_a_batch_that_is_rejected_as_a_whole_blames_no_row():
    wanted = {"mean": {"max": 10}, "min_rows": 0, "on_breach": "reject_batch"}
    checked = check_table(
        pl.DataFrame({"x": [99.0, 1.0]}), contract(rules(x={"type": "float", "distribution": wanted})), None
    )
    assert checked.rejected
    assert checked.accepted.height == 0
    reasons = checked.quarantined["_reasons"].unique().to_list()
    assert reasons == ["the whole batch is rejected: x: the mean is 50, above 10"]
    empty = check_table(pl.DataFrame({"x": [None]}), contract(rules(x={"type": "float", "distribution": wanted})), None)
    assert not empty.rejected


@pytest.mark.parametrize(("most", "broken"), [(0.0, 1), ("40%", 1), ("50%", 0)])
def test_new_categories_have_a_share(most, broken):
    wanted = {"new_categories": {"known": ["a", "b"], "most": most}, "min_rows": 1}
    columns = rules(x={"type": "string", "distribution": wanted})
    checked = check_table(pl.DataFrame({"x": ["a", "c", "c", "b", None]}), contract(columns), None)
    assert len(checked.breaches) == broken


def test_freshness_and_volume_are_of_the_batch():
    columns = rules(at={"type": "datetime"})
    asked = contract(columns, {"freshness": "2h"}, {"volume": {"min": 2, "max": 3}}, event_time="at")
    old = pl.DataFrame({"at": [NOON - timedelta(hours=3)], "_arrived": [NOON]})
    assert told(check_table(old, asked, None)) == [
        (None, "at", "freshness", "3h", "warn"),
        (None, "", "volume", "1", "warn"),
    ]
    fresh = pl.DataFrame({"at": [NOON, NOON - timedelta(days=9)], "_arrived": [NOON, NOON]})
    assert told(check_table(fresh, asked, None)) == []
    assert told(check_table(fresh.drop("_arrived"), asked, None)) == []


def test_values_that_must_be_in_another_table():
    columns = rules(customer={"type": "string", "references": "customers.id"})
    frame = pl.DataFrame({"customer": ["1", "2", "9", None]})
    asked = []

    def lookup(reference: str) -> pl.Series:
        asked.append(reference)
        return pl.Series([1, 2, 2, None])

    checked = check_table(frame, contract(columns), None, lookup)
    assert asked == ["customers.id"]
    assert told(checked) == [(2, "customer", "references", "9", "quarantine")]
    assert told(check_table(frame, contract(columns), None)) == []


def test_each_rule_of_a_column_has_its_own_action():
    columns = rules(x={"type": "float", "min": 0, "nulls": 0, "on_breach": {"min": "warn"}})
    frame = pl.DataFrame({"x": ["-1", None, "word"]})
    checked = check_table(frame, contract(columns), None)
    assert [(b.rule, b.action) for b in checked.breaches] == [
        ("min", "warn"), ("nulls", "quarantine"), ("type", "quarantine"),
    ]  # fmt: skip
    check = compile_row(contract(columns))
    assert [bool(check(row)[1]) for row in frame.to_dicts()] == [False, True, True]


def test_shares_are_exact_where_doubles_are_not():
    columns = rules(x={"type": "float", "nulls": 0.29})
    frame = pl.DataFrame({"x": [None] * 29 + [1.0] * 71})
    assert told(check_table(frame, contract(columns), None)) == []


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"expr": "a < b", "unique": ["a", "b"]},
        {"volume": {"min": 1}, "on_breach": "quarantine"},
        {"freshness": "1h", "on_breach": "quarantine"},
        {"change": {"of": "a"}},
    ],
)
def test_a_check_has_one_kind_and_an_action_that_it_can_take(given):
    with pytest.raises(ValidationError):
        Check.model_validate(given)


def test_a_contract_with_checks_comes_back_from_json_and_one_without_is_written_as_before():
    columns = rules(x={"type": "float", "distribution": {"mean": {"min": 1}}, "severity": {"min": "page"}})
    asked = contract(columns, {"expr": "x > 0"}, {"volume": {"max": 5}}, {"freshness": "2h"})
    assert from_plain(to_plain(asked)) == asked
    assert to_plain(contract(rules(x={"type": "float"}))) == {"x": {"type": "float"}}


def test_severities_are_named_as_breaches_are_counted():
    columns = rules(
        x={
            "type": "float",
            "min": 0,
            "severity": {"min": "page"},
            "distribution": {"mean": {"max": 1}, "severity": "note"},
        },
        at={"type": "datetime"},
    )
    checks = [
        {"expr": "x < 5", "severity": "ticket"},
        {"unique": ["x", "at"], "severity": "note"},
        {"freshness": "1h", "severity": "page"},
        {"volume": {"min": 9}},
    ]
    asked = contract(columns, *checks, event_time="at")
    frame = pl.DataFrame(
        {"x": [-1.0, 9.0, 9.0] + [50.0] * 100, "at": [NOON] * 103, "_arrived": [NOON + timedelta(days=1)] * 103}
    )
    broken = check_table(frame, asked, None).counts
    assert {"at: freshness", "x: mean", "x: min"} < set(severities(asked)) <= set(broken)
    assert severities(asked)["at: freshness"] == "page"
    assert "volume" not in severities(asked)


def test_what_a_row_can_be_asked_is_all_that_remains_by_row():
    columns = rules(x={"type": "float", "unique": True, "nulls": 0.1, "references": "t.x", "min": 0})
    left = contract(columns, {"expr": "x > 1"}, {"volume": {"min": 1}}).by_row()
    assert left.rules["x"] == Rule(type="float", min=0)
    assert [check.kind for check in left.checks] == ["expr"]


def test_a_spec_carries_its_checks():
    spec = Spec.model_validate(
        {
            "model": "m", "task": "binary", "data": {"source": "rows", "target": "y", "event_time": "at"},
            "contract": {"a": {"type": "float"}}, "checks": [{"expr": "a > 0"}],
        }
    )  # fmt: skip
    assert contract_of(spec).event_time == "at"
    assert [check.label for check in contract_of(spec).checks] == ["a > 0"]
