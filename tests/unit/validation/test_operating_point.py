import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.errors import DataError, SpecError
from modelway.records import OperatingPoint
from modelway.spec.model import Decision
from modelway.validation.operating_point import choose, crossed_decisions, decide

TWO = ("no", "yes")


def _two(p) -> np.ndarray:
    p = np.asarray(p, dtype=float)
    return np.column_stack([1 - p, p])


def _decision(**given) -> Decision:
    return Decision.model_validate(given)


@st.composite
def rows(draw):
    n = draw(st.integers(1, 40))
    p = np.array(draw(st.lists(st.integers(0, 20), min_size=n, max_size=n))) / 20
    y = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    amount = np.array(draw(st.lists(st.integers(1, 50), min_size=n, max_size=n)), dtype=float)
    return p, y, amount


def _cost(threshold, p, y, amount, false_positive) -> float:
    called = p >= threshold
    return float(np.sum(false_positive * (called & (y == 0)) + amount * (~called & (y == 1))))


@given(rows(), st.integers(1, 30))
@settings(max_examples=60)
def test_by_cost_no_threshold_is_cheaper(case, false_positive):
    p, y, amount = case
    wanted = _decision(threshold="by_cost", cost={"false_positive": false_positive, "false_negative": "amount"})
    point = choose(wanted, y, _two(p), TWO, pl.DataFrame({"amount": amount}))
    others = [_cost(t, p, y, amount, false_positive) for t in (*np.unique(p), -1.0, 2.0)]
    assert _cost(point.threshold, p, y, amount, false_positive) <= min(others) + 1e-9


@given(rows(), st.sampled_from([{"threshold": "by_cost"}, {"threshold": "by_rate", "rate": 0.3}, {"top_k": 3}]))
@settings(max_examples=60)
def test_a_threshold_never_sits_on_a_score(case, wanted):
    p, y, _ = case
    point = choose(_decision(**wanted), y, _two(p), TWO)
    assert np.abs(p - point.threshold).min() > 1e-3
    assert point.positive == "yes"


@given(rows(), st.integers(0, 45))
@settings(max_examples=60)
def test_top_k_calls_as_near_to_k_rows_positive_as_equal_scores_allow(case, k):
    p, y, _ = case
    point = choose(_decision(top_k=k), y, _two(p), TWO)
    able = {int((p >= t).sum()) for t in (*np.unique(p), 2.0)}
    called = int(decide(point, _two(p)).sum())
    assert abs(called - k) == min(abs(n - k) for n in able)
    assert np.all(p[decide(point, _two(p)) == 1] >= p[decide(point, _two(p)) == 0].max(initial=-1.0))


def test_by_rate_calls_the_share_positive():
    p = np.linspace(0.01, 0.99, 200)
    point = choose(_decision(threshold="by_rate", rate="5%"), np.zeros(200, dtype=int), _two(p), TWO)
    assert point.rule == "by_rate"
    assert decide(point, _two(p)).sum() == 10


def test_scores_that_differ_by_less_than_the_order_of_additions_are_not_parted():
    p = np.array([0.2, 0.3, 0.3 + 1e-13, 0.9])
    for k in range(5):
        called = int(decide(choose(_decision(top_k=k), np.zeros(4, dtype=int), _two(p), TWO), _two(p)).sum())
        assert called in (0, 1, 3, 4)


def test_rules_without_a_choice():
    p, y = _two([0.2, 0.5, 0.7]), np.array([0, 1, 1])
    assert choose(_decision(), y, p, TWO) == OperatingPoint("argmax", None, "yes")
    assert choose(_decision(threshold=0.6), y, p, TWO) == OperatingPoint("fixed", 0.6, "yes")
    assert decide(OperatingPoint("fixed", 0.5, "yes"), p).tolist() == [0, 1, 1]
    assert decide(OperatingPoint("argmax", None, "yes"), p).tolist() == [0, 0, 1]
    assert choose(_decision(), np.zeros(3), np.zeros((3, 1)), ()) == OperatingPoint("value")
    assert choose(_decision(), y, np.eye(3), ("a", "b", "c")) == OperatingPoint("argmax")


def test_what_has_no_meaning_is_refused_with_the_fix():
    p, y = _two([0.2, 0.5, 0.7]), np.array([0, 1, 1])
    with pytest.raises(SpecError, match="not binary"):
        choose(_decision(top_k=2), y, np.eye(3), ("a", "b", "c"))
    with pytest.raises(SpecError, match="without a rate"):
        choose(_decision(threshold="by_rate"), y, p, TWO)
    by_amount = _decision(threshold="by_cost", cost={"false_negative": "amount"})
    with pytest.raises(DataError, match="'amount', which the rows do not have"):
        choose(by_amount, y, p, TWO, pl.DataFrame({"sum": [1, 2, 3]}))
    with pytest.raises(DataError, match="2 of 3 rows have no number"):
        choose(by_amount, y, p, TWO, pl.DataFrame({"amount": ["1", None, "x"]}))


def test_crossed_decisions_do_not_flatter_a_model_that_knows_nothing():
    """Worthless scores, equal costs, half positive: any way of deciding costs ½ a row; in-sample choice looks cheaper."""
    rng, inside, crossed = np.random.default_rng(0), [], []
    wanted = _decision(threshold="by_cost")
    for seed in range(200):
        y, p = rng.integers(0, 2, 60), _two(rng.random(60))
        inside.append((decide(choose(wanted, y, p, TWO), p) != y).mean())
        crossed.append((crossed_decisions(wanted, y, p, TWO, None, seed) != y).mean())
    assert np.mean(inside) < 0.45
    assert np.mean(crossed) > 0.49
