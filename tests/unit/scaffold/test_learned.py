"""The contract that is learned: what a user would keep, and what holds in each part of the file."""

import numpy as np
import polars as pl

from modelway.contracts.contract import Contract
from modelway.contracts.table import check_table
from modelway.scaffold.columns import facts_of
from modelway.scaffold.learned import key_rule, rule_of
from modelway.spec.contract import Rule

RNG = np.random.default_rng(7)
AMOUNTS = pl.Series("amount", RNG.gamma(2.0, 40.0, 5_000).round(2))


def learned(column: pl.Series, order: pl.Series | None = None) -> dict:
    return rule_of(facts_of(column), order)


def broken(column: pl.Series, rule: dict) -> list[str]:
    checked = check_table(column.to_frame(), Contract({column.name: Rule.model_validate(rule)}), None)
    return sorted({f"{b.rule} {b.action}" for b in checked.breaches})


def test_a_number_learns_that_it_is_there_its_floor_and_where_its_median_lies():
    rule = learned(AMOUNTS)
    assert rule["nulls"] == 0
    assert (rule["min"], rule["on_breach"]) == (0, {"min": "warn"})
    median = rule["distribution"]["quantiles"]["50%"]
    assert 0 < median["min"] < float(AMOUNTS.median()) < median["max"]
    assert broken(AMOUNTS, rule) == []


def test_a_column_in_cents_is_told_of_and_usual_batches_are_not():
    rule = learned(AMOUNTS)
    assert broken(AMOUNTS.head(200) * 100, rule) == ["quantile 50% warn"]
    for start in range(0, 5_000, 100):
        assert broken(AMOUNTS.slice(start, 100), rule) == []


def test_a_median_that_moves_with_time_is_no_rule():
    trend = pl.Series("price", np.arange(5_000.0))
    assert "distribution" not in learned(trend)
    mixed = trend.sample(5_000, shuffle=True, seed=1)
    assert "distribution" in learned(mixed)
    assert "distribution" not in learned(mixed, mixed.rename("at"))


def test_shares_have_a_ceiling_and_codes_and_signed_numbers_have_no_bounds():
    share = pl.Series("share", RNG.random(500))
    assert learned(share) == {"type": "float", "min": 0, "max": 1, "on_breach": "warn"}
    signed = pl.Series("change", RNG.normal(0, 1, 500))
    assert learned(signed) == {"type": "float"}
    flags = pl.Series("flag", RNG.integers(0, 2, 5_000))
    assert learned(flags) == {"type": "int", "nulls": 0, "min": 0, "on_breach": {"min": "warn"}}


def test_holes_are_not_a_rule():
    holes = AMOUNTS.set(pl.Series(RNG.random(5_000) < 0.1), None)
    rule = learned(holes)
    assert "nulls" not in rule
    assert rule["on_breach"] == "warn"
    assert broken(holes, rule) == []


def test_a_key_that_comes_again_is_told_of_only_where_it_never_did():
    assert key_rule(facts_of(pl.Series("id", range(50)))) == {
        "type": "int",
        "unique": True,
        "on_breach": {"unique": "warn"},
    }
    assert key_rule(facts_of(pl.Series("id", [1, 1, 2]))) == {"type": "int"}
