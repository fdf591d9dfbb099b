"""What a detector of anomalies may ask for, and what it must say."""

import pytest

from modelway.spec.load import load_spec
from tests.unit.spec.conftest import SOUND

ALERTS = "decision: {threshold: by_rate, rate: 1%}\n"
ANOMALY = SOUND.replace("task: binary", "task: anomaly") + ALERTS
BLIND = ANOMALY.replace("  target: bad\n", "")


@pytest.mark.parametrize("text", [ANOMALY, BLIND, BLIND.replace(ALERTS, "decision: {top_k: 20}\n")])
def test_labels_may_be_named_or_not(written, text):
    spec = load_spec(written(text + "gates: [{metric: alert_share, max: 0.02}, {metric: four_fifths, by: sex}]\n"))
    assert spec.task == "anomaly"
    assert spec.data.target in ("bad", "")


def test_a_threshold_may_be_any_number(written):
    assert load_spec(written(ANOMALY.replace("by_rate, rate: 1%", "-7.5"))).decision.threshold == -7.5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ANOMALY.replace(ALERTS, ""), "decision: how odd a row must be for an alert is not said"),
        (SOUND.replace("  target: bad\n", ""), "data.target: is missing: the column to predict"),
        (BLIND.replace("by_rate, rate: 1%", "by_cost"), "decision.threshold: needs labels"),
        (BLIND + "gates: [{metric: roc_auc, min: 0.7}]\n", "gates[0].metric: needs labels"),
        (BLIND + "training: {search: {trials: 3, metric: roc_auc}}\n", "training.search: needs labels"),
        (BLIND.replace("  key: id\n", "  key: id\n  positive: '1'\n"), "data.positive: needs labels"),
        (BLIND.replace("  key: id\n", "  key: id\n  labels: {source: outcomes}\n"), "data.labels: needs labels"),
        (
            ANOMALY + "gates: [{metric: log_loss, max: 0.7}]\n",
            "gates[0].metric: 'log_loss' is no metric of an anomaly task",
        ),
        (ANOMALY + "gates: [{metric: brier, max: 0.7}]\n", "gates[0].metric: 'brier' is no metric"),
        (ANOMALY + "gates: [{metric: alert_share, against: champion}]\n", "alert_share is neither better nor worse"),
        (ANOMALY + "gates: [{metric: alert_share}]\n", "gates[0]: has no bound"),
        (ANOMALY + "training: {search: {metric: brier}}\n", "'brier' is not searched for in an anomaly task"),
        (ANOMALY + "release: {promote_on: losses}\n", "release.promote_on: asks for losses"),
        (ANOMALY + "release: {guard: {loss_margin: 0.1}}\n", "release.guard: asks for losses"),
        (
            BLIND + "features: {seen: {of: target, stat: mean, window: 7d, delay: 1d}}\n",
            "features.seen.of: there is no column 'target'",
        ),
    ],
)
def test_what_it_cannot_ask_for(lines_of, text, says):
    found = lines_of(text)
    assert len(found) == 1
    assert says in found[0]
