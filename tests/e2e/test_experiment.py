"""An experiment at the command line: two versions beside the champion for a while, one of them refused by its guards, a report."""

import json
import threading
from collections import Counter
from pathlib import Path

import httpx
import polars as pl
import pytest

from tests.support.projects import MODEL, applicants, bank, modelway, ok, records
from tests.support.running import address, until, up

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
ROWS = 20_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Version 1 is to be the champion; 2 is nearly the same; 3 refuses loans of people with debts of less than 300."""
    root = bank(tmp_path)
    project = root / "models/loans"
    ok("run", "loans", cwd=root)
    ok("release", "loans", cwd=root)
    (project / "model.py").write_text(MODEL.replace("1.0))", "0.5))"))
    ok("run", "loans", cwd=root)
    spec = (project / "modelway.yaml").read_text()
    (project / "modelway.yaml").write_text(spec.replace("debt: {type: float, min: 0}", "debt: {type: float, min: 300}"))
    ok("run", "loans", cwd=root)
    (project / "modelway.yaml").write_text(spec)
    return root


class Clients:
    """They ask for one loan after the other, each by a request of its own."""

    def __init__(self, url: str) -> None:
        self.url, self.failed, self.asked = url, Counter[str](), 0
        self._loans = applicants(ROWS, seed=1).with_columns(loan_id=pl.format("X{}", pl.int_range(pl.len())))
        self._stop, self._thread = threading.Event(), threading.Thread(target=self._ask)

    def _ask(self) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as client:
            for row in self._loans.drop("BAD").iter_rows(named=True):
                if self._stop.is_set():
                    return
                reply = client.post("/predict/loans", json=row)
                self.failed[str(reply.status_code)] += reply.status_code not in (200, 422)
                self.asked += 1

    def labels(self) -> pl.DataFrame:
        known = self._loans.head(self.asked)
        return known.select("loan_id", label=pl.col("BAD"), at=pl.lit("2026-01-05T00:00:00Z"))

    def __enter__(self) -> "Clients":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()


def experiment(root: Path) -> dict:
    return records(root, "experiment", "status", "loans")


def test_two_arms_beside_the_champion_until_the_stated_end(root):
    said = modelway("experiment", "start", "loans", "--arm", "2=25%", "--arm", "3=25%", "--for", "20s", cwd=root)
    assert (said.code, "no champion to compare with" in said.err) == (7, True)
    with up(root):
        until(lambda: records(root, "status")["models"]["loans"]["champion"] == 1, what="nothing was released")
        with Clients(address(root) or "") as clients:
            said = ok("experiment", "start", "loans", "--arm", "2=25%", "--arm", "3=25%", "--for", "60s", cwd=root)
            assert "@2 0.25, @3 0.25, the champion @1 the rest" in said
            refused = modelway("release", "loans", "--version", "2", cwd=root)
            assert refused.code == 7
            assert "modelway experiment stop loans" in refused.err
            until(lambda: "3" in experiment(root)["stopped"], what=lambda: str(experiment(root)))
            until(lambda: clients.asked > 1_500, what=lambda: f"{clients.asked} requests")
            clients.labels().write_csv(root / "labels.csv")
            ok("labels", "loans", "--data", "labels.csv", cwd=root)
            assert list((root / ".modelway/logs").glob("challenger-loans@2*.log"))  # a process of its own
            assert "loans: experiment running" in ok("status", "loans", cwd=root)
            until(lambda: experiment(root)["state"] == "ended", seconds=90, what=lambda: str(experiment(root)))
            routes = json.loads((root / ".modelway/routes.json").read_text())
            until(lambda: set(routes["loans"]["shares"]) == {"1"})
        lines = ok("experiment", "status", "loans", "--follow", "--json", cwd=root).splitlines()
        shown = ok("experiment", "status", "loans", cwd=root)
        after = ok("release", "loans", "--version", "2", cwd=root)
    assert not sum(clients.failed.values()), clients.failed
    report = json.loads(lines[-1])["evidence"]["report"]
    assert report["arms"][2]["failed"] > 10
    assert report["basis"] == "loss"
    compared = {d["measure"]: d for d in report["differences"] if (d["one"], d["other"]) == (1, 2)}
    assert compared["loss"]["units"][1] > 30
    assert compared["loss"]["low"] < compared["loss"]["value"] < compared["loss"]["high"]
    assert report["conclusion"] in shown
    assert "@3 was stopped: more of its outputs cannot be used" in shown
    assert "loans@2: waiting" in after
    told = [e for e in records(root, "history", "loans")["entries"] if e["action"] == "experiment"]
    assert [one["data"]["state"] for one in told] == ["waiting", "starting", "running", "running", "ended", "ended"]
    assert told[-1]["data"]["report"]["conclusion"] == report["conclusion"]
