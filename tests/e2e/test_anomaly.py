"""A detector of anomalies with the installed command: trained without labels, judged by those there are, served and watched."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest

from tests.support.projects import ok, records
from tests.support.running import address, until, up

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SPEC = """\
model: payments
task: anomaly
data:
  source: {files: [payments.csv]}
  key: id
  event_time: at
  target: fraud
contract:
  id: {type: string, nulls: 0}
  at: {type: datetime, nulls: 0}
  amount: {type: float, min: 0, nulls: 0}
  hour: {type: float, nulls: 0}
  channel: {type: string, in: [web, shop, app]}
decision: {threshold: by_rate, rate: 5%}
gates:
  - {metric: average_precision, min: 0.3}
  - {metric: alert_share, max: 0.1}
release: {shadow: 40 requests, canary: [100%], promote_on: scores, guard: {scores: 0.1}, watch: 0s}
monitoring: {every: 1s, drift: {window: 150, min_rows: 100}, slo: {latency_p99_ms: 5000, longest_wait_ms: 5000}, alerts: [file]}
retraining: {on: []}
"""
MODEL = """\
from sklearn.compose import make_column_transformer
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder


def build(params):
    words = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    numbers = make_column_transformer((words, ["channel"]), remainder="passthrough")
    return make_pipeline(numbers, IsolationForest(n_estimators=params.get("trees", 40)))
"""
START = datetime(2026, 1, 1, tzinfo=UTC)


def payments(rows: int, seed: int, odd: float = 0.05) -> pl.DataFrame:
    """Payments of which a share is odd: far too much, or at night; a third of the labels is not known."""
    rng = np.random.default_rng(seed)
    strange = rng.random(rows) < odd
    amount = np.exp(rng.normal(3, 0.5, rows)) * np.where(strange, rng.uniform(2, 10, rows), 1)
    hour = np.where(strange & (rng.random(rows) < 0.8), rng.uniform(0, 5, rows), rng.normal(14, 3, rows).clip(0, 24))
    at = [(START + n * timedelta(minutes=5)).isoformat() for n in range(rows)]
    known = pl.Series(rng.random(rows) < 0.67)
    frame = pl.DataFrame({"id": [f"p{seed}-{n}" for n in range(rows)], "at": at, "amount": amount, "hour": hour})
    frame = frame.with_columns(
        channel=pl.Series(rng.choice(["web", "shop", "app"], rows)), fraud=pl.Series(strange.astype(int))
    )
    return frame.with_columns(fraud=pl.when(known).then(pl.col("fraud")))


def workspace(place: Path) -> Path:
    root = place / "bank"
    ok("init", str(root), cwd=place)
    (root / "stack.yaml").write_text("serving: {port: 0}\ntick_seconds: 0.2\n")
    payments(2_000, seed=0).write_csv(root / "payments.csv")
    project = root / "models/payments"
    project.mkdir(parents=True)
    (project / "modelway.yaml").write_text(SPEC)
    (project / "model.py").write_text(MODEL)
    return root


def status(root: Path) -> dict:
    return dict(records(root, "status")["models"]["payments"])


def test_from_rows_without_labels_to_alerts_and_to_an_alarm_when_scores_drift(tmp_path):
    root = workspace(tmp_path)
    said = ok("run", "payments", cwd=root)
    assert "the graph equals the Python model" in said
    code = root / "models/payments/model.py"
    code.write_text(code.read_text().replace('"trees", 40', '"trees", 60'))
    report = records(root, "run", "payments")["version"]
    assert report["accepted"]
    figures = {one["name"]: one for one in report["validation"]["metrics"]}
    assert set(figures) == {"roc_auc", "average_precision", "precision", "recall", "alert_share"}
    assert figures["alert_share"]["value"] == pytest.approx(0.05, abs=0.005)
    assert figures["alert_share"]["rows"] == 400 > figures["roc_auc"]["rows"]
    ok("release", "payments", "--version", "1", cwd=root)
    coming = payments(400, seed=1).drop("fraud")
    coming.write_csv(tmp_path / "coming.csv")
    ok("predict", "payments", "--data", "../coming.csv", "--out", "../local.csv", cwd=root)
    local = pl.read_csv(tmp_path / "local.csv")
    assert set(local["prediction"]) == {"normal", "anomaly"}
    assert local["score"].is_between(0, 1).all()
    alerts = local.filter(pl.col("prediction") == "anomaly")["score"]
    assert alerts.min() > local.filter(pl.col("prediction") == "normal")["score"].max()
    with up(root):
        until(lambda: status(root)["champion"] == 1, what="it does not serve")
        ok("predict", "payments", "--data", "../coming.csv", "--out", "../served.csv", cwd=root)
        assert pl.read_csv(tmp_path / "served.csv").equals(local)
        row = {"id": "odd", "amount": 900.0, "hour": 3.0, "channel": "web"}
        told = httpx.post(f"{address(root)}/predict/payments", json=row, timeout=30).json()
        assert (told["prediction"], told["score"] > 0.6, "probabilities" in told) == ("anomaly", True, False)
        # another version takes over by its scores alone: few requests, and labels that nobody waits for
        ok("release", "payments", cwd=root)
        until(lambda: status(root)["release"]["state"] == "shadow", what="the second one is not in shadow")
        for n in range(100):
            ask = {**coming.drop("at").row(n, named=True), "id": f"once more {n}"}
            httpx.post(f"{address(root)}/predict/payments", json=ask, timeout=30).raise_for_status()
        until(lambda: status(root)["champion"] == 2, seconds=120, what=lambda: str(status(root)))
        payments(300, seed=2, odd=0.6).drop("fraud").write_csv(tmp_path / "strange.csv")
        ok("predict", "payments", "--data", "../strange.csv", "--out", "../strange-out.csv", cwd=root)
        until(
            lambda: any("_prediction (ks" in one["text"] for one in status(root)["alerts"]),
            seconds=120,
            what=lambda: str(status(root)["alerts"]),
        )
    assert records(root, "reproduce", "payments@1")["worst"] == 0
