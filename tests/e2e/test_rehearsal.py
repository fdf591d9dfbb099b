"""A second version answers what clients were answered by the first, at the command line, before any of them hears it."""

from pathlib import Path

import polars as pl
import pytest

from tests.support.projects import bank, modelway, ok, records
from tests.support.running import until, up

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = bank(tmp_path)
    ok("run", "loans", cwd=root)
    ok("release", "loans", cwd=root)
    return root


def test_a_version_is_rehearsed_on_what_was_served(root):
    early = records(root, "rehearse", "loans@1")
    assert (early["outcome"], early["whole"]) == ("not_applicable", None)
    with up(root):
        ok("predict", "loans", "--data", "train.csv", "--out", "pred.csv", cwd=root)

        def ingested() -> bool:
            ok("ingest", "loans", cwd=root)
            return records(root, "rehearse", "loans@1")["whole"] is not None

        until(ingested, what="no answer reached the lake")
    assert pl.read_csv(root / "pred.csv")["reason"].null_count() == 600
    same = records(root, "rehearse", "loans", "--version", "1", "--days", "1")
    assert (same["whole"]["rows"], same["whole"]["changed"]["hits"], same["whole"]["invalid"]["hits"]) == (600, 0, 0)
    assert same["whole"]["quantiles"][-1] == 0
    project = root / "models/loans"
    spec = (project / "modelway.yaml").read_text()
    (project / "modelway.yaml").write_text(spec.replace("debt: {type: float, min: 0}", "debt: {type: float, min: 500}"))
    number = run_anyway(root)
    said = modelway("rehearse", "loans", "--version", str(number), "--by", "job", cwd=root)
    assert said.code == 1, said.out + said.err
    for words in ("why rows get no answer", "office", "shown to be more than 0.1 %", f"loans@{number}: fail"):
        assert words in said.out
    assert any(one["action"] == "rehearse" for one in records(root, "history", "loans")["entries"])
    assert modelway("rehearse", "loans", "--version", "99", cwd=root).code == 2


def run_anyway(root: Path) -> int:
    """The number of a version that may have been refused: it can be rehearsed all the same."""
    modelway("run", "loans", cwd=root)
    return int(records(root, "status")["models"]["loans"]["versions"])
