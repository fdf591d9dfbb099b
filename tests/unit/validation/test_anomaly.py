"""A detector of anomalies is judged by the order of its scores and by its alerts, on what labels there are, or on none."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from modelway.errors import DataError
from modelway.records import OperatingPoint
from modelway.spec.model import Decision
from modelway.validation.gates import named, validate
from modelway.validation.judged import taken
from modelway.validation.margins import margins
from modelway.validation.operating_point import choose, decide
from tests.unit.validation.cases import groups, judged, spec_of

FAST = {"p50_ms": 0.1, "p99_ms": 0.4}
CLASSES = ("normal", "anomaly")
RATE = Decision.model_validate({"threshold": "by_rate", "rate": 0.1})


def detectors(n=1_500, noise=(0.3,), known=1.0, seed=0, **more):
    """One detector for each noise, on the same rows: the true oddity with that much noise added; a share has labels."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    y = np.where(rng.random(n) < known, (z + 0.3 * rng.normal(size=n) > 1.3).astype(np.int64), -1)
    made = [(z + sd * rng.normal(size=n)) * 5 - 20 for sd in noise]  # no probabilities at all
    return [judged(y, score[:, None], classes=CLASSES, **more) for score in made]


def spec(**more):
    return spec_of("anomaly", decision={"threshold": "by_rate", "rate": 0.1}, **more)


def _judge(wanted, candidate, **more):
    point = choose(RATE, candidate.target, candidate.scores, CLASSES)
    return validate(wanted, candidate, **{"latency_ms": FAST, "operating_point": point, **more})


def _verdict(validation, gate):
    return next(v for v in validation.verdicts if v.gate == gate)


def test_it_is_judged_by_ranks_and_alerts_and_by_no_probability():
    [model] = detectors()
    made = _judge(spec(), model)
    assert [(v.gate, v.outcome) for v in made.verdicts] == [
        ("baseline", "pass"),
        ("champion", "not_applicable"),
        ("latency_p99_ms", "pass"),
    ]
    values = {m.name: m.value for m in made.metrics}
    assert set(values) == {"roc_auc", "average_precision", "precision", "recall", "alert_share"}
    assert values["roc_auc"] == pytest.approx(roc_auc_score(model.target, model.scores[:, 0]))
    assert values["average_precision"] == pytest.approx(average_precision_score(model.target, model.scores[:, 0]))
    assert values["alert_share"] == pytest.approx(0.1)


def test_rows_without_a_label_change_nothing_but_the_share_of_alerts():
    [model] = detectors(known=0.4)
    point = choose(RATE, model.target, model.scores, CLASSES)
    whole = _judge(spec(), model)
    part = validate(spec(), taken(model, model.target >= 0), latency_ms=FAST, operating_point=point)
    of_labels = [m for m in whole.metrics if m.name != "alert_share"]
    assert of_labels == [m for m in part.metrics if m.name != "alert_share"]
    assert {m.rows for m in of_labels} == {int((model.target >= 0).sum())}
    assert next(m.rows for m in whole.metrics if m.name == "alert_share") == len(model)


@pytest.mark.parametrize("labels", [-1, 0, 1])
def test_without_labels_of_both_kinds_it_is_accepted_by_what_can_be_judged(labels):
    [model] = detectors()
    model = replace(model, target=np.full(len(model), labels), train_target=np.zeros(2))
    made = _judge(spec(), model)
    assert made.accepted
    assert {v.gate: v.outcome for v in made.verdicts} == {
        "baseline": "not_applicable",
        "champion": "not_applicable",
        "latency_p99_ms": "pass",
    }
    assert "needs labels of both kinds" in _verdict(made, "baseline").reason
    assert [m.name for m in made.metrics] == ["alert_share"]


def test_what_the_spec_asks_and_labels_cannot_tell_refuses():
    [model] = detectors()
    model = replace(model, target=np.full(len(model), -1))
    asked = spec(gates=[{"metric": "roc_auc", "min": 0.6}, {"metric": "alert_share", "max": 0.2}])
    made = _judge(asked, model, champion=model)
    assert {v.gate: v.outcome for v in made.verdicts} == {
        "roc_auc": "undecided",
        "alert_share": "pass",
        "baseline": "not_applicable",
        "champion": "not_applicable",
        "latency_p99_ms": "pass",
    }
    assert not made.accepted


def test_without_a_target_that_is_said():
    [model] = detectors()
    model = replace(model, target=np.full(len(model), -1))
    wanted = spec(data={"source": "rows"})
    assert "data.target names no column" in _verdict(_judge(wanted, model), "baseline").reason
    assert margins(wanted, 600) == []


def test_a_worse_detector_is_refused_against_the_champion_and_a_blind_one_against_the_baseline():
    good, bad, blind = detectors(noise=(0.2, 3.0, 1e6), known=0.7)
    worse = _verdict(_judge(spec(), bad, champion=good), "champion")
    assert (worse.outcome, worse.finding.answer) == ("fail", "worse")
    assert _verdict(_judge(spec(), good, champion=bad), "champion").finding.answer == "better"
    assert _verdict(_judge(spec(), blind), "baseline").outcome != "pass"


@pytest.mark.parametrize("metric", ["average_precision", "precision", "recall"])
def test_other_ranks_and_decisions_can_be_compared(metric):
    good, bad = detectors(noise=(0.0, 3.0), n=2_500, known=0.8)
    asked = spec(gates=[{"metric": metric, "against": "champion"}])
    champion = replace(good, operating_point=choose(RATE, good.target, good.scores, CLASSES))
    assert _verdict(_judge(asked, bad, champion=champion), f"{metric} against champion").outcome == "fail"


def test_groups_are_compared_by_all_alerts_labelled_or_not():
    [model] = detectors(known=0.1)
    audit = groups(len(model))
    model = replace(model, audit=audit)
    asked = spec(
        gates=[{"metric": "four_fifths", "by": "sex"}], data={"source": "r", "target": "y", "protected": ["sex"]}
    )
    found = _verdict(_judge(asked, model), "four_fifths by sex").evidence["groups"]
    assert sum(group["rows"] for group in found.values()) == len(model)
    assert sum(group["positive"] for group in found.values()) == 150


def test_a_threshold_by_cost_looks_at_labelled_rows_alone():
    [model] = detectors(known=0.5)
    by_cost = Decision.model_validate(
        {"threshold": "by_cost", "cost": {"false_positive": 1, "false_negative": "amount"}}
    )
    audit = groups(len(model))
    known = model.target >= 0
    found = choose(by_cost, model.target, model.scores, CLASSES, audit)
    assert found == choose(by_cost, model.target[known], model.scores[known], CLASSES, audit.filter(pl.Series(known)))
    wanted = spec_of("anomaly", decision=by_cost.model_dump(mode="json"))
    held = replace(model, audit=audit)
    made = validate(wanted, held, latency_ms=FAST, operating_point=found)
    assert "cost" in {m.name for m in made.metrics}
    with pytest.raises(DataError, match="no row of the holdout has a label"):
        choose(by_cost, np.full(len(model), -1), model.scores, CLASSES, audit)


@given(
    st.lists(st.integers(-1_000, 1_000), min_size=1, max_size=200, unique=True),
    st.floats(0, 1),
    st.floats(1e-3, 1e3),
    st.floats(-1e3, 1e3),
)
def test_the_share_of_alerts_is_the_rate_to_a_row_on_any_scale_and_takes_the_oddest(scores, rate, scale, shift):
    odd = np.array(scores)[:, None] * scale + shift
    point = choose(Decision(threshold="by_rate", rate=rate), np.full(len(odd), -1), odd, CLASSES)
    alerts = decide(point, odd) == 1
    assert alerts.sum() == round(rate * len(odd))
    assert not alerts.any() or alerts.all() or odd[alerts].min() > odd[~alerts].max()


def test_the_default_gates_are_by_rank():
    gates = named(spec())
    assert [(name, gate.metric) for name, gate in gates[:2]] == [("baseline", "roc_auc"), ("champion", "roc_auc")]


def test_a_fixed_threshold_may_be_any_number():
    fixed = choose(Decision(threshold=-7.5), np.array([-1]), np.array([[-7.0]]), CLASSES)
    assert fixed == OperatingPoint("fixed", -7.5, "anomaly")
    assert decide(fixed, np.array([[-7.0], [-8.0]])).tolist() == [1, 0]
