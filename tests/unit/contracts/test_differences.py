"""Two contracts rule by rule: tighter, looser, or another rule."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.contracts.contract import Contract
from modelway.contracts.differences import differences
from modelway.contracts.lines import lines_of
from modelway.spec.contract import Check, Rule
from tests.unit.contracts.test_parity import contracts


def one(**rule) -> Contract:
    return Contract({"x": Rule.model_validate({"type": "float"} | rule)})


def check(**given) -> Contract:
    return Contract({"x": Rule(type="float"), "y": Rule(type="float")}, (Check.model_validate(given),))


BARE = one()
PAIRS = [
    (BARE, one(min=0), "min", "tighter"),
    (one(min=0), BARE, "min", "looser"),
    (one(min=0), one(min=1), "min", "tighter"),
    (one(max=9), one(max=10), "max", "looser"),
    (one(nulls=0.1), one(nulls=0), "nulls", "tighter"),
    (BARE, one(type="int"), "type", "tighter"),
    (BARE, one(type="string"), "type", "changed"),
    (one(min=0, on_breach="warn"), one(min=0), "min", "tighter"),
    (one(min=0), one(min=0, on_breach={"min": "warn"}), "min", "looser"),
    (one(min=0), one(min=1, on_breach={"min": "warn"}), "min", "changed"),
    (one(min=0), one(min=0, severity={"min": "page"}), "min", "changed"),
    (one(type="string", pattern="a"), one(type="string", pattern="b"), "pattern", "changed"),
    (one(type="string", **{"in": ["a", "b"]}), one(type="string", **{"in": ["b"]}), "in", "tighter"),
    (one(type="string", **{"in": ["a", "b"]}), one(type="string", **{"in": ["b", "c"]}), "in", "changed"),
    (one(type="date", min="2020-01-01"), one(type="date", min="2019-01-01"), "min", "looser"),
    (one(distribution={"mean": {"min": 0}}), one(distribution={"mean": {"min": 0, "max": 5}}), "mean", "tighter"),
    (
        one(distribution={"mean": {"min": 0, "max": 2}}),
        one(distribution={"mean": {"min": 1, "max": 5}}),
        "mean",
        "changed",
    ),
    (
        one(distribution={"mean": {"min": 0}}),
        one(distribution={"mean": {"min": 0}, "min_rows": 500}),
        "min_rows",
        "looser",
    ),
    (check(volume={"min": 5}), check(volume={"min": 1, "max": 9}), "volume", "changed"),
    (check(freshness="2h"), check(freshness="1h"), "freshness", "tighter"),
    (check(change={"of": "x", "min": 0}), check(change={"of": "x", "by": "y", "min": 0}), "change", "changed"),
    (check(expr="x < y", name="order"), check(expr="x <= y", name="order"), "order", "changed"),
]


@pytest.mark.parametrize(("then", "now", "rule", "how"), PAIRS)
def test_a_difference_has_a_direction(then, now, rule, how):
    (found,) = [one for one in differences(then, now) if one.rule == rule]
    assert found.how == how
    assert found.then != found.now


def test_a_column_that_is_gone_is_looser_in_all_its_rules():
    found = differences(one(min=0, unique=True), Contract())
    assert [(d.rule, d.how, d.now) for d in found] == [
        ("type", "looser", ""), ("unique", "looser", ""), ("min", "looser", ""),
    ]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(then=contracts(), now=contracts())
def test_back_is_the_other_way(then, now):
    other = {"tighter": "looser", "looser": "tighter", "changed": "changed"}
    there = {(d.column, d.rule): d.how for d in differences(then, now)}
    assert {place: other[how] for place, how in there.items()} == {
        (d.column, d.rule): d.how for d in differences(now, then)
    }
    assert differences(then, then) == []


@given(contract=contracts(), column=st.sampled_from("abc"))
def test_each_rule_has_a_line(contract, column):
    lines = lines_of(contract)
    assert sum(line.rule == "type" for line in lines) == len(contract.rules)
    assert sum(line.column == "" for line in lines) == len(contract.checks)
