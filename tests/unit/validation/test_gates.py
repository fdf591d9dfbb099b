import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.errors import DataError
from modelway.records import OperatingPoint, Validation, dumps, loads
from modelway.validation.gates import known_gates, named, validate
from modelway.validation.operating_point import choose
from tests.unit.validation.cases import binary, groups, judged, spec_of

FAST = {"p50_ms": 0.1, "p99_ms": 0.4}
ARGMAX = OperatingPoint("argmax", None, "yes")


def _judge(spec, candidate, **more) -> Validation:
    return validate(spec, candidate, **{"latency_ms": FAST, "operating_point": ARGMAX, **more})


def _verdict(validation, gate):
    return next(v for v in validation.verdicts if v.gate == gate)


def test_a_first_version_is_judged_without_a_champion_and_accepted():
    [model] = binary()
    made = _judge(spec_of(), model)
    assert [(v.gate, v.outcome) for v in made.verdicts] == [
        ("baseline", "pass"),
        ("champion", "not_applicable"),
        ("latency_p99_ms", "pass"),
    ]
    assert made.accepted
    assert {m.name for m in made.metrics} >= {"roc_auc", "average_precision", "log_loss", "brier", "accuracy"}


def test_the_champion_itself_and_a_better_challenger_are_accepted_a_worse_one_refused():
    good, same, bad = binary(noise=(0.2, 0.2, 2.0))
    assert _verdict(_judge(spec_of(), good, champion=good), "champion").outcome == "pass"
    assert _verdict(_judge(spec_of(), same, champion=good), "champion").outcome == "pass"
    better = _verdict(_judge(spec_of(), good, champion=bad), "champion")
    assert (better.outcome, better.finding.answer) == ("pass", "better")
    worse = _verdict(_judge(spec_of(), bad, champion=good), "champion")
    assert (worse.outcome, worse.finding.answer) == ("fail", "worse")
    assert "shown to be worse" in worse.reason
    assert "1,500 rows new to both" in worse.reason


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "log_loss", "brier", "accuracy", "f1"])
def test_every_metric_can_be_compared_and_tells_a_much_worse_model(metric):
    good, bad = binary(noise=(0.0, 3.0), n=2_500)
    spec = spec_of(gates=[{"metric": metric, "against": "champion"}])
    name = f"{metric} against champion"
    assert _verdict(_judge(spec, bad, champion=good), name).outcome == "fail"
    assert _verdict(_judge(spec, good, champion=bad), name).finding.answer == "better"


def test_a_margin_of_the_spec_is_used_as_it_is():
    good, bad = binary(noise=(0.3, 1.0), n=3_000)
    wide = spec_of(gates=[{"metric": "roc_auc", "against": "champion", "margin": 0.4}])
    narrow = spec_of(gates=[{"metric": "roc_auc", "against": "champion", "margin": 0.001}])
    found = [_verdict(_judge(s, bad, champion=good), "roc_auc against champion") for s in (wide, narrow)]
    assert [v.outcome for v in found] == ["pass", "fail"]
    assert [v.evidence["margin"] for v in found] == [0.4, 0.001]
    assert found[0].finding.method == "DeLong, paired"


def test_a_margin_is_never_more_than_half_of_the_champions_gain():
    """On a few noisy rows the power alone would let a worthless model through."""
    good, bad = binary(n=60, noise=(0.5, 2.5), seed=3)
    verdict = _verdict(_judge(spec_of(), bad, champion=good), "champion")
    assert verdict.evidence["margin_from"] == "half of the champion's gain"
    assert verdict.evidence["margin"] < verdict.evidence["margin_of_power"]
    assert verdict.outcome != "pass"


def test_with_too_few_rows_that_are_new_to_both_it_is_undecided_and_says_how_many_are_missing():
    good, same = binary(noise=(0.2, 0.2))
    new = np.zeros(len(good), dtype=bool)
    new[:12] = True
    verdict = _verdict(_judge(spec_of(), same, champion=good, comparable=new), "champion")
    assert verdict.outcome == "undecided"
    assert verdict.finding.needed == 18
    assert "only 12 rows are new to both models: about 18 more are needed" in verdict.reason
    none = _verdict(_judge(spec_of(), same, champion=good, comparable=new & False), "champion")
    assert none.outcome == "undecided"


def test_only_comparable_rows_are_compared_and_all_rows_are_measured():
    good, same = binary(noise=(0.2, 0.2))
    broken = replace(good, scores=np.where(np.arange(1500)[:, None] < 900, good.scores[:, ::-1], good.scores))
    new = np.arange(1500) >= 900
    made = _judge(spec_of(), same, champion=broken, comparable=new)
    assert _verdict(made, "champion").evidence["rows"] == 600
    assert abs(_verdict(made, "champion").finding.effect) < 0.02
    assert all(m.rows == 1500 for m in made.metrics)


def test_the_champion_may_come_in_another_order_but_not_without_a_row():
    good, other = binary(noise=(0.2, 0.5))
    turned = np.arange(len(good))[::-1]
    shuffled = replace(
        good, keys=[good.keys[i] for i in turned], scores=good.scores[turned], target=good.target[turned]
    )
    assert _judge(spec_of(), other, champion=shuffled) == _judge(spec_of(), other, champion=good)
    with pytest.raises(DataError, match="no score for 1 of 1500 rows"):
        _judge(spec_of(), other, champion=replace(good, keys=["else", *good.keys[1:]]))


def test_a_class_that_the_champion_does_not_know_gets_nothing_from_it():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 600)
    raw = np.exp(2 * np.eye(3)[y] + rng.normal(size=(600, 3)))
    full = raw / raw.sum(axis=1, keepdims=True)
    part = raw[:, [2, 0]] / raw[:, [2, 0]].sum(axis=1, keepdims=True)
    old = judged(y, part, ("c", "a"))
    spec = spec_of("multiclass", gates=[{"metric": "accuracy", "against": "champion"}])
    verdict = _verdict(_judge(spec, judged(y, full, ("a", "b", "c")), champion=old), "accuracy against champion")
    assert verdict.finding.answer == "better"
    assert verdict.evidence["champion"] == pytest.approx((np.where(part[:, 1] > part[:, 0], 0, 2) == y).mean())


def test_a_model_that_knows_nothing_is_not_better_than_the_baseline():
    [model] = binary(n=600)
    flat = replace(model, scores=np.tile([0.8, 0.2], (600, 1)))
    noise = replace(model, scores=np.random.default_rng(1).dirichlet([4, 1], 600))
    assert _verdict(_judge(spec_of(), flat), "baseline").outcome == "undecided"
    assert _verdict(_judge(spec_of(), noise), "baseline").outcome == "fail"
    assert not _judge(spec_of(), flat).accepted


def test_a_model_that_ranks_well_with_wrong_probabilities_is_told_what_to_do():
    [model] = binary(n=2_000)
    loud = model.scores**0.02
    wrong = replace(model, scores=np.column_stack([1 - (0.9 + 0.1 * loud[:, 1]), 0.9 + 0.1 * loud[:, 1]]))
    verdict = _verdict(_judge(spec_of(), wrong), "baseline")
    assert verdict.outcome == "fail"
    assert "calibrate" in verdict.reason
    other = spec_of(gates=[{"metric": "roc_auc", "against": "baseline"}])
    assert _verdict(_judge(other, wrong), "roc_auc against baseline").outcome == "pass"
    assert "baseline" not in {v.gate for v in _judge(other, wrong).verdicts}


def test_bounds_pass_when_shown_fail_when_missed_and_are_undecided_between():
    [model] = binary(n=600)
    area = next(m for m in _judge(spec_of(), model).metrics if m.name == "roc_auc")
    outcome = {}
    for bound in (area.low - 0.001, area.value - 0.001, area.value + 0.001, area.high + 0.001):
        [verdict, *_] = _judge(spec_of(gates=[{"metric": "roc_auc", "min": bound}]), model).verdicts
        outcome[bound] = verdict.outcome
        assert verdict.evidence["value"] == area.value
        assert "600 holdout rows" in verdict.reason
    assert list(outcome.values()) == ["pass", "undecided", "undecided", "fail"]
    [verdict, *_] = _judge(spec_of(gates=[{"metric": "log_loss", "max": 0.9, "min": 0.5}]), model).verdicts
    assert verdict.outcome == "fail"


def test_a_model_exactly_at_the_bound_passes_in_at_most_one_of_forty_cases():
    truth = np.mean(
        [(m.target == (m.scores[:, 1] > 0.5)).mean() for s in range(40) for m in binary(n=5_000, seed=1000 + s)]
    )
    spec = spec_of(gates=[{"metric": "accuracy", "min": float(truth)}])
    passed = sum(_judge(spec, *binary(n=300, seed=s)).verdicts[0].outcome == "pass" for s in range(150))
    assert passed / 150 < 0.025 + 3 * math.sqrt(0.025 * 0.975 / 150)


def test_latency_is_compared_as_measured_and_an_unmeasured_one_never_passes():
    [model] = binary(n=100)
    slow = _verdict(_judge(spec_of(), model, latency_ms={"p50_ms": 1.0, "p99_ms": 51.0}), "latency_p99_ms")
    assert (slow.outcome, slow.evidence["max"]) == ("fail", 50.0)
    assert _verdict(_judge(spec_of(), model, latency_ms=None), "latency_p99_ms").outcome == "undecided"
    tight = spec_of(gates=[{"metric": "latency_p99_ms", "max": 0.3}])
    assert [v.outcome for v in _judge(tight, model).verdicts if v.gate == "latency_p99_ms"] == ["fail"]


@pytest.mark.parametrize(
    ("gate", "told"),
    [
        ({"metric": "roc_oc", "min": 0.5}, "write one of roc_auc"),
        ({"metric": "roc_auc"}, "no bound"),
        ({"metric": "rmse", "max": 1}, "no metric 'rmse'"),
        ({"metric": "four_fifths"}, "needs `by"),
        ({"metric": "four_fifths", "by": "sex"}, "needs the column 'sex'"),
        ({"metric": "precision", "min": 0.1}, "has no value"),
    ],
)
def test_a_gate_that_cannot_be_computed_never_passes(gate, told):
    [model] = binary(n=200)
    made = _judge(spec_of(gates=[gate]), model, operating_point=OperatingPoint("fixed", 1.5, "yes"))
    assert made.verdicts[0].outcome in ("fail", "undecided")
    assert told in made.verdicts[0].reason
    assert not made.accepted


def test_scores_that_are_not_numbers_pass_no_gate():
    [model] = binary(n=200)
    scores = model.scores.copy()
    scores[7] = np.nan
    spec = spec_of(gates=[{"metric": "roc_auc", "min": 0.1}, {"metric": "log_loss", "max": 9}])
    made = _judge(spec, replace(model, scores=scores), champion=model)
    assert {v.gate: v.outcome for v in made.verdicts if v.gate != "latency_p99_ms"} == {
        "roc_auc": "undecided",
        "log_loss": "undecided",
        "baseline": "undecided",
        "champion": "undecided",
    }


def test_decisions_chosen_by_cost_are_judged_crossed_over_and_at_the_champions_own_point():
    good, same = binary(n=2_000, noise=(0.2, 0.2), audit=groups(2_000))
    spec = spec_of(
        decision={"threshold": "by_cost", "cost": {"false_positive": 1, "false_negative": "amount"}},
        gates=[{"metric": "cost", "max": 1.0}, {"metric": "cost", "against": "champion"}],
    )
    point = choose(spec.decision, same.target, same.scores, same.classes, same.audit)
    champion = replace(good, operating_point=replace(point, threshold=0.9))
    made = _judge(spec, same, champion=champion, operating_point=point)
    assert made.operating_point == point
    verdict = _verdict(made, "cost against champion")
    assert verdict.finding.answer == "better"
    assert verdict.evidence["candidate"] == pytest.approx(next(m.value for m in made.metrics if m.name == "cost"))


def test_series_with_overlapping_labels_are_resampled_in_blocks_and_entities_whole():
    good, same = binary(n=600, noise=(0.2, 0.4), days=True)
    spec = spec_of(monitoring={"horizon": "10d"})
    verdict = _verdict(_judge(spec, same, champion=good), "champion")
    assert verdict.evidence["block"] >= 10
    assert "blocks" in verdict.finding.method
    customers = np.random.default_rng(0).integers(0, 60, 600)
    clustered = _verdict(_judge(spec_of(), replace(same, clusters=customers), champion=good), "champion")
    assert clustered.evidence["units"] == 60
    assert "clusters" in clustered.finding.method
    two = _verdict(_judge(spec_of(), replace(same, clusters=customers % 2), champion=good), "champion")
    assert "rows" in two.finding.method, "two entities are no sample of entities"


def test_the_order_of_rows_does_not_matter_where_they_have_times():
    good, same = binary(n=300, noise=(0.2, 0.4), days=True)
    spec = spec_of(monitoring={"horizon": "5d"})
    turned = np.random.default_rng(0).permutation(300)
    shuffled = replace(
        same,
        keys=[same.keys[i] for i in turned],
        at=[same.at[i] for i in turned],
        target=same.target[turned],
        scores=same.scores[turned],
    )
    new = np.arange(300) >= 100
    assert _judge(spec, shuffled, champion=good, comparable=new[turned]) == _judge(
        spec, same, champion=good, comparable=new
    )


@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_other_tasks_are_judged_alike(task):
    rng = np.random.default_rng(0)
    if task == "regression":
        y = rng.normal(50, 5, 800)
        models = [
            judged(y, (y + rng.normal(0, sd, 800))[:, None], (), train_target=np.array([50.0]))
            for sd in (1.0, 0.9, 3.0)
        ]
        point = OperatingPoint("value")
    else:
        y = rng.integers(0, 3, 800)
        models = []
        for strength in (3.0, 3.3, 1.0):
            raw = np.exp(strength * np.eye(3)[y] + rng.normal(size=(800, 3)))
            models.append(judged(y, raw / raw.sum(axis=1, keepdims=True), ("a", "b", "c"), train_target=np.ones(3)))
        point = OperatingPoint("argmax")
    good, better, bad = models
    assert _judge(spec_of(task), better, champion=good, operating_point=point).accepted
    refused = _judge(spec_of(task), bad, champion=good, operating_point=point)
    assert [v.gate for v in refused.verdicts if v.outcome == "fail"] == ["champion"]
    assert not refused.accepted


GATES = st.lists(
    st.builds(
        lambda metric, bound, side, warn: {"metric": metric, side: bound, "warn_only": warn},
        st.sampled_from(["roc_auc", "log_loss", "accuracy", "recall", "nonsense", "latency_p99_ms"]),
        st.floats(0.0, 1.0),
        st.sampled_from(["min", "max"]),
        st.booleans(),
    ),
    max_size=4,
)


@given(GATES, st.booleans(), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_accepted_means_that_every_gate_that_does_not_only_warn_passed(gates, rival, seed):
    champion, model = binary(n=120, noise=(0.3, 0.3), seed=seed)
    made = _judge(spec_of(gates=gates), model, champion=champion if rival else None)
    refusing = [v for v in made.verdicts if not v.warn_only and v.outcome in ("fail", "undecided")]
    assert made.accepted == (not refusing)
    assert loads(Validation, dumps(made)) == made
    assert all(len(v.reason) > 10 and "nan" not in v.reason for v in made.verdicts)


def test_equal_arguments_give_equal_bytes():
    good, same = binary(n=300, noise=(0.2, 0.4))
    assert dumps(_judge(spec_of(), same, champion=good, seed=4)) == dumps(
        _judge(spec_of(), same, champion=good, seed=4)
    )


def test_gates_have_names_of_their_own_that_a_tracking_server_takes():
    spec = spec_of(
        gates=[
            {"metric": "roc_auc", "min": 0.5},
            {"metric": "roc_auc", "max": 1},
            {"metric": "four_fifths", "by": "sex"},
        ]
    )
    found = [name for name, _ in named(spec)]
    assert found == ["roc_auc", "roc_auc 2", "four_fifths by sex", "baseline", "champion", "latency_p99_ms"]
    assert "four_fifths" not in known_gates(spec_of("regression"))
