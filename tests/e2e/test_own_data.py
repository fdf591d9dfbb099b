"""The seven commands on one's own files, nothing edited: credit risk, a regression, several classes."""

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn import datasets

from tests.support.projects import ok, records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
CREDIT = Path(__file__).parents[2] / "examples/credit_risk/uci_credit_card_default.csv.gz"


def made(place: Path, frame: pl.DataFrame, target: str, score: int) -> tuple[Path, pl.DataFrame]:
    """A workspace in which the model `mine` was made, run and released from most rows; the others are to be predicted."""
    rest = frame.tail(score).drop(target)
    frame.head(frame.height - score).write_csv(place / "train.csv")
    rest.write_csv(place / "score.csv")
    ok("init", "bank", cwd=place)
    root = place / "bank"
    ok("new", "mine", "--data", "../train.csv", "--target", target, cwd=root)
    return root, rest


def predicted(root: Path, rest: pl.DataFrame) -> pl.DataFrame:
    ok("release", "mine", cwd=root)
    said = ok("predict", "mine", "--data", "../score.csv", "--out", "../pred.csv", cwd=root)
    assert "by mine@1" in said
    rows = pl.read_csv(root.parent / "pred.csv")
    assert rows.height == rest.height
    assert rows["reason"].null_count() == rest.height
    assert rows["version"].unique().to_list() == [1]
    return rows


def test_credit_risk_is_as_good_as_untuned_lightgbm_on_the_same_split(tmp_path):
    import lightgbm
    from sklearn.metrics import roc_auc_score

    from modelway.flow.runs import record
    from modelway.training.frames import codes, read_training_set, to_pandas
    from modelway.workspace import open_workspace

    with gzip.open(CREDIT) as text:
        frame = pl.read_csv(text.read(), infer_schema_length=None).head(7000)
    root, rest = made(tmp_path, frame, "class", 1000)
    done = records(root, "run", "mine")
    assert done["version"]["accepted"]
    workspace = open_workspace(root)
    prepared = record(workspace, "mine-0001", "prepare")
    learned, held = (read_training_set(prepared, workspace.artifacts, part) for part in ("train", "holdout"))
    workspace.close()
    rival = lightgbm.LGBMClassifier(verbose=-1, random_state=0)
    rival.fit(to_pandas(learned, prepared.columns), codes(learned["_target"], prepared.classes))
    theirs = rival.predict_proba(to_pandas(held, prepared.columns))[:, 1]
    ours = next(m["value"] for m in done["version"]["validation"]["metrics"] if m["name"] == "roc_auc")
    assert ours >= roc_auc_score(codes(held["_target"], prepared.classes), theirs) - 0.005
    rows = predicted(root, rest)
    assert rows.columns == ["ID", "prediction", "probability_0", "probability_1", "reason", "version"]
    assert rows["ID"].to_list() == rest["ID"].to_list()
    np.testing.assert_allclose(rows["probability_0"] + rows["probability_1"], 1, atol=1e-12)


def test_a_regression(tmp_path):
    data = datasets.load_diabetes(as_frame=True).frame
    root, rest = made(tmp_path, pl.from_pandas(data), "target", 60)
    done = records(root, "run", "mine")
    assert done["version"]["accepted"], done["version"]["validation"]["verdicts"]
    names = [m["name"] for m in done["version"]["validation"]["metrics"]]
    assert {"rmse", "mae", "r2"} <= set(names)
    rows = predicted(root, rest)
    assert rows.columns == ["prediction", "reason", "version"]
    truth = data["target"].to_numpy()[-60:]
    assert np.corrcoef(rows["prediction"], truth)[0, 1] > 0.5


def test_several_classes(tmp_path):
    data = datasets.load_wine(as_frame=True).frame.sample(frac=1, random_state=0)
    named = pl.from_pandas(data).with_columns(pl.col("target").replace_strict({0: "red", 1: "rosé", 2: "white"}))
    root, rest = made(tmp_path, named, "target", 30)
    done = records(root, "run", "mine")
    assert done["version"]["accepted"], done["version"]["validation"]["verdicts"]
    rows = predicted(root, rest)
    assert rows.columns == [
        "prediction",
        "probability_red",
        "probability_rosé",
        "probability_white",
        "reason",
        "version",
    ]
    assert np.mean(rows["prediction"].to_numpy() == named.tail(30)["target"].to_numpy()) > 0.8


def test_a_version_is_made_again_from_what_it_was_made_from(tmp_path):
    data = datasets.load_wine(as_frame=True).frame
    root, _ = made(tmp_path, pl.from_pandas(data), "target", 30)
    ok("run", "mine", cwd=root)
    said = records(root, "reproduce", "mine@1")
    assert said["worst"] <= 1e-12
    assert said["training_set"][0] == said["training_set"][1]


def test_a_row_that_breaks_the_contract_gets_a_reason_and_does_not_fail_the_others(tmp_path):
    from tests.support.projects import applicants, bank

    root = bank(tmp_path)
    ok("run", "loans", cwd=root)
    ok("release", "loans", cwd=root)
    rows = applicants(5, seed=3).drop("BAD").with_columns(income=pl.Series(["100.5", "-3", "abc", "", "2000"]))
    rows.write_csv(root / "score.csv")
    ok("predict", "loans", "--data", "score.csv", "--out", "pred.csv", cwd=root)
    out = pl.read_csv(root / "pred.csv")
    assert out["loan_id"].to_list() == rows["loan_id"].to_list()
    assert [r is None for r in out["reason"]] == [True, False, False, False, True]
    assert [p is None for p in out["prediction"]] == [False, True, True, True, False]
    assert out["reason"].to_list()[1:4] == ["income: -3 is below 0", "income: 'abc' is no number", "income: missing"]


def test_quarantined_rows_are_listed_explained_and_replayed_after_the_contract_was_mended(tmp_path):
    from tests.support.projects import applicants, bank

    root = bank(tmp_path)
    rows = applicants(600).with_columns(
        job=pl.when(pl.col("loan_id") == "L00007").then(pl.lit("pilot")).otherwise("job")
    )
    rows.write_csv(root / "train.csv")
    ok("ingest", "loans", cwd=root)
    (line,) = records(root, "quarantine", "list", "loans")
    assert line["key"] == "L00007"
    assert "job: 'pilot' is none of 'office', 'trade'" in line["reason"]
    assert "1" in ok("quarantine", "replay", "loans", cwd=root)
    spec = root / "models/loans/modelway.yaml"
    spec.write_text(spec.read_text().replace("none, Self]", "none, Self, pilot]"))
    done = records(root, "quarantine", "replay", "loans")
    assert done["accepted"] == 1
    assert records(root, "quarantine", "list", "loans") == []
