"""A composition, from its YAML to answers over HTTP: the log says who answered, the fallback steps in, members change."""

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest

from modelway.records import Composition, Manifest, loads
from modelway.registry import versions
from modelway.workspace import open_workspace
from tests.support.projects import MODEL, SPEC, applicants, bank, modelway, ok, records
from tests.support.running import address, until, up

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PICKY = MODEL.replace('"ignore"', '"error"')
"""It refuses jobs that it has not seen."""
ANY_JOB = SPEC.replace(", in: [office, trade, none, Self]", "")
ROUGH = MODEL.replace('["income", "debt"]', '["income"]')
PRICING = """\
model: pricing
compose:
  route:
    - {when: job == 'none', ask: scorecard}
    - {ask: loans}
  fallback: {ask: scorecard, after: 20s}
monitoring: {slo: {latency_p99_ms: 60000, longest_wait_ms: 60000}}
release: {shadow: 0 requests, canary: [100%], watch: 0s, promote_on: scores, guard: {scores: 1.0}}
"""
QUICKLY = "release: {shadow: 10 requests, canary: [100%], watch: 0s, promote_on: scores, guard: {scores: 1.0}}\n"
WARNS = """\
gates:
  - {metric: log_loss, against: baseline, warn_only: true}
  - {metric: log_loss, against: champion, warn_only: true}
"""
"""How good the models are, is no matter here."""


def logged(root: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Events of pricing's answers to clients by request and row; each is there once."""
    workspace = open_workspace(root)
    try:
        events = [json.loads(e.value) for e in workspace.log.read("pricing_predictions", {}, 100_000)]
    finally:
        workspace.close()
    found = [one for one in events if not one["shadow"]]
    made = {(one["request"], one["index"]): one for one in found}
    assert len(made) == len(found)
    return made


def workspace_of(place: Path) -> Path:
    root = bank(place, spec=ANY_JOB + WARNS, model=PICKY)
    for name, files in (
        (
            "scorecard",
            {"modelway.yaml": ANY_JOB.replace("model: loans", "model: scorecard") + WARNS, "model.py": ROUGH},
        ),
        ("pricing", {"modelway.yaml": PRICING + WARNS}),
    ):
        (root / "models" / name).mkdir()
        for file, text in files.items():
            (root / "models" / name / file).write_text(text)
    return root


def test_from_yaml_to_answers_over_http(tmp_path):
    root = workspace_of(tmp_path)
    assert "it asks scorecard, loans" in ok("check", "pricing", cwd=root)
    unready = modelway("run", "pricing", cwd=root)
    assert unready.code == 7
    assert "modelway run scorecard" in unready.err
    job = pl.Series([["nurse", None][n % 5 > 0] for n in range(60)])
    rest = applicants(60, seed=9).drop("BAD").with_columns(job=pl.coalesce(job, pl.col("job")))
    rest.write_csv(tmp_path / "score.csv")
    alone = {}
    for name in ("loans", "scorecard"):
        ok("run", name, cwd=root)
        ok("release", name, cwd=root)
        alone[name] = predicted(root, name)
    said = ok("run", "pricing", cwd=root)
    assert "a row alone is answered as it is among others" in said
    assert "pricing@1 is accepted" in said
    ok("release", "pricing", cwd=root)
    jobless = (rest["job"] == "none").to_numpy()
    refused = alone["loans"].is_null().to_numpy()
    assert 0 < jobless.sum() < 60
    assert (refused & ~jobless).any()
    want = np.where(jobless | refused, alone["scorecard"].to_numpy(), alone["loans"].to_numpy())
    np.testing.assert_array_equal(predicted(root, "pricing"), want)
    with up(root), httpx.Client(timeout=60) as client:
        np.testing.assert_array_equal(predicted(root, "pricing"), want)
        reply = client.post(f"{address(root)}/predict/pricing", json={"rows": rest.to_dicts(), "_id": "one"})
        assert reply.status_code == 200, reply.text
        assert reply.json()["id"] == "one"
        events = logged(root)
        for n in range(60):
            event = events["one", n]
            assert event["member"] == ("scorecard@1" if jobless[n] or refused[n] else "loans@1")
            assert event["fallback"].startswith("loans@1: job: 'nurse' is none of") == bool(
                refused[n] and not jobless[n]
            )
            assert (event["version"], event["scores"][1]) == (1, want[n])
            assert event["features"] == [float(jobless[n])]
        (root / "models/loans/model.py").write_text(PICKY.replace('get("C", 1.0)', 'get("C", 0.01)'))
        (root / "models/loans/modelway.yaml").write_text(ANY_JOB + QUICKLY + WARNS)
        assert "loans@2 is accepted" in ok("run", "loans", cwd=root)
        ok("release", "loans", cwd=root)

        def made_again() -> bool:
            """While clients ask loans, so that its new version is compared and promoted."""
            client.post(f"{address(root)}/predict/loans", json=rest.to_dicts()[::7])
            return asks_the_new_one(root)

        until(made_again, 200, "the composition was not made again when another version of a member served")
    assert records(root, "reproduce", "pricing@1")["worst"] == 0
    ok("ingest", "pricing", cwd=root)
    workspace = open_workspace(root)
    try:
        table = workspace.lake.version("pricing_predictions")
        assert table is not None
        kept = workspace.lake.read(table)
    finally:
        workspace.close()
    assert {"loans@1", "scorecard@1"} <= set(kept["member"].to_list())
    assert set(kept.filter(pl.col("fallback") != "")["member"].to_list()) == {"scorecard@1"}


def asks_the_new_one(root: Path) -> bool:
    """Whether there is a version that asks the new one of loans."""
    workspace = open_workspace(root)
    try:
        made = [
            one for one in versions.all_versions(workspace.database, "pricing") if one.run == "pricing-members-loans-2"
        ]
        if not made:
            return False
        manifest = loads(Manifest, workspace.artifacts.get(made[0].digest))
        asked = {str(one) for one in loads(Composition, workspace.artifacts.get(manifest.graph)).members}
        assert asked == {"loans@2", "scorecard@1"}
        return True
    finally:
        workspace.close()


def predicted(root: Path, model: str) -> pl.Series:
    """The probabilities of the rows in score.csv, null where a row is refused."""
    out = root.parent / f"{model}.csv"
    ok("predict", model, "--data", "../score.csv", "--out", f"../{model}.csv", cwd=root)
    return pl.read_csv(out, schema_overrides={"probability_1": pl.Float64})["probability_1"]
