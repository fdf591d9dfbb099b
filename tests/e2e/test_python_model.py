"""A model that no graph can stand for: refused with the way out, then run, released, asked and watched like any other."""

import os
import signal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.support.projects import SPEC, applicants, bank, modelway, ok, records
from tests.support.running import until, up

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MODEL = """\
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class Neighbours(ClassifierMixin, BaseEstimator):
    \"\"\"Share of defaults among the nearest in income and debt, for each job: no converter knows it.\"\"\"

    def fit(self, rows, target):
        self.classes_ = np.unique(target)
        self.seen_, self.target_ = self.places(rows), np.asarray(target)
        return self

    def places(self, rows):
        numbers = np.log1p(rows[["income", "debt"]].fillna(500.0).clip(0, 1e9).to_numpy())
        return np.column_stack([numbers, 5.0 * (rows["job"] == "none")])

    def predict_proba(self, rows):
        apart = ((self.places(rows)[:, None, :] - self.seen_[None, :, :]) ** 2).sum(axis=2)
        weights = np.exp(-10 * apart) + 1e-9
        positive = weights @ self.target_ / weights.sum(axis=1)
        return np.column_stack([1 - positive, positive])


def build(params):
    return Neighbours()
"""


ALLOWED = """\
serving: {python: {memory: 1024, timeout: 10s}}
monitoring: {slo: {latency_p99_ms: 5000}}
"""
"""How quick it is, is no matter here: the machine may be busy."""


def estimators(root: Path) -> list[int]:
    """The processes of Python models that were started in this workspace."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            ours = b"isolation/child.py" in (place / "cmdline").read_bytes()
            if ours and (place / "cwd").readlink().is_relative_to(root):
                found.append(int(place.name))
        except OSError:
            continue
    return found


def test_from_a_refusal_to_answers_and_back_from_a_kill(tmp_path):
    root = bank(tmp_path, model=MODEL)
    refused = modelway("run", "loans", cwd=root)
    assert refused.code == 6
    assert "Neighbours" in refused.err
    assert "serving: {python: {}}" in refused.err
    (root / "models/loans/modelway.yaml").write_text(SPEC + ALLOWED)
    said = ok("run", "loans", cwd=root)
    assert "a Python process of its own equals the Python model" in said
    report = records(root, "run", "loans")
    assert report["version"]["accepted"]
    ok("release", "loans", cwd=root)
    rest = applicants(50, seed=9).drop("BAD")
    rest.write_csv(tmp_path / "score.csv")
    assert "by loans@" in ok("predict", "loans", "--data", "../score.csv", "--out", "../local.csv", cwd=root)
    assert not estimators(root)
    local = pl.read_csv(tmp_path / "local.csv")
    assert local["probability_1"].is_between(0, 1).all()
    with up(root):
        ok("predict", "loans", "--data", "../score.csv", "--out", "../served.csv", cwd=root)
        served = pl.read_csv(tmp_path / "served.csv")
        np.testing.assert_array_equal(served["probability_1"], local["probability_1"])
        (pid,) = estimators(root)
        os.kill(pid, signal.SIGKILL)
        until(lambda: estimators(root) not in ([], [pid]), what="no process came after the one that was killed")
        until(
            lambda: modelway("predict", "loans", "--data", "../score.csv", "--out", "../again.csv", cwd=root).code == 0
        )
        assert pl.read_csv(tmp_path / "again.csv").equals(served)
    until(lambda: not estimators(root), what="the process outlived its server")
    assert records(root, "reproduce", "loans@1")["worst"] == 0
