"""A team's own graph: new → run → release → predict, with the numbers that the team gets."""

import warnings

import numpy as np
import polars as pl
import pytest

from tests.support.graphs import by_column
from tests.support.projects import applicants, modelway, ok, records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def theirs(rows: pl.DataFrame):
    """What a team has trained elsewhere, and exported with skl2onnx's defaults."""
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    parts = ColumnTransformer(
        [("n", StandardScaler(), ["income", "debt"]), ("w", OneHotEncoder(handle_unknown="ignore"), ["job"])]
    )
    frame = rows.to_pandas()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make_pipeline(parts, LogisticRegression()).fit(frame[["income", "debt", "job"]], frame["BAD"])
        return model, by_column(model, frame[["income", "debt", "job"]])


def test_a_graph_that_is_brought_answers_as_it_did_at_home(tmp_path):
    model, graph = theirs(applicants(600, seed=1).drop_nulls())
    (tmp_path / "theirs.onnx").write_bytes(graph)
    applicants(600, seed=2).drop_nulls().write_csv(tmp_path / "train.csv")
    rest = applicants(50, seed=3).drop_nulls().drop("BAD")
    rest.write_csv(tmp_path / "score.csv")
    ok("init", "bank", cwd=tmp_path)
    root = tmp_path / "bank"
    said = ok("new", "loans", "--onnx", "../theirs.onnx", "--data", "../train.csv", "--target", "BAD", cwd=root)
    assert "nothing is learned" in said
    ok("check", "loans", cwd=root)
    said = ok("run", "loans", cwd=root)
    assert "loans@1 is accepted" in said, said
    ok("release", "loans", cwd=root)
    ok("predict", "loans", "--data", "../score.csv", "--out", "../pred.csv", cwd=root)
    found = pl.read_csv(tmp_path / "pred.csv")
    np.testing.assert_allclose(found["probability_1"], model.predict_proba(rest.to_pandas())[:, 1], atol=1e-5)
    assert records(root, "reproduce", "loans@1")["worst"] == 0
    refused = modelway("new", "other", "--onnx", "../train.csv", "--target", "BAD", cwd=root)
    assert refused.code == 4
    assert "is no ONNX file" in refused.err
    nothing = modelway("new", "other", "--target", "BAD", cwd=root)
    assert nothing.code == 2
    assert "--onnx FILE" in nothing.err
