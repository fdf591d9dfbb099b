"""A table of rows: over the server, or in this process with the same answers; and what is said before there is a version."""

from datetime import UTC, datetime

import polars as pl
import pytest
import yaml

from modelway.errors import DataError, StateError
from modelway.files.read import read_table
from modelway.flow import releasing
from modelway.flow.predicting import predict_rows
from modelway.records import OperatingPoint, Trigger, Validation
from modelway.registry import versions
from modelway.state import runs
from tests.unit.serving.made import LOANS, make_workspace, predictions, put_version, running

T0 = datetime(2026, 1, 5, tzinfo=UTC)
FRAME = pl.DataFrame(
    {"id": ["a", "b", "c", "d"], "income": [3.0, -1.0, None, 0.5], "note": ["x", "y", "z", "w"], "day": [T0.date()] * 4}
)


def silent(what: str, share: float | None = None) -> None: ...


@pytest.fixture
def workspace(tmp_path):
    made = make_workspace(tmp_path)
    made.places.project("loans").mkdir()
    made.places.spec("loans").write_text(yaml.safe_dump(LOANS))
    yield made
    made.close()


def version(workspace, bias=1.0):
    runs.open_run(workspace.database, "r1", "loans", Trigger("manual", "x"), T0)
    digest = put_version(workspace, LOANS, bias)
    return versions.register(workspace.database, "loans", "r1", digest, Validation((), (), OperatingPoint()), T0)


def test_the_next_command_is_named_until_there_is_a_version(workspace):
    with pytest.raises(StateError, match="modelway run loans"):
        predict_rows(workspace, "loans", FRAME, silent)
    version(workspace)
    with pytest.raises(StateError, match="modelway release loans"):
        predict_rows(workspace, "loans", FRAME, silent)
    releasing.release(workspace, "loans", None, "ann", "x")
    assert predict_rows(workspace, "loans", FRAME, silent).local


def test_the_server_and_this_process_give_the_same_rows(workspace):
    version(workspace)
    releasing.release(workspace, "loans", None, "ann", "x")
    local = predict_rows(workspace, "loans", FRAME, silent)
    assert predictions(workspace) == []
    releasing.roll_out(workspace, workspace.spec("loans"))
    told = []
    with running(workspace):
        asked = predict_rows(workspace, "loans", FRAME, lambda what, share: told.append(share))
    assert (local.local, asked.local) == (True, False)
    assert asked.rows.equals(local.rows)
    assert asked.rows.columns == ["id", "prediction", "probability_bad", "probability_good", "reason", "version"]
    assert asked.rows["id"].to_list() == ["a", "b", "c", "d"]
    assert asked.rows["prediction"].to_list() == ["good", None, None, "bad"]
    assert asked.rows["reason"][0] is None
    assert "income" in asked.rows["reason"][1]
    assert asked.summary() == {"rows": 4, "refused": 2, "version": 1, "versions": [1], "local": False}
    assert told == [1.0]
    assert len(predictions(workspace)) == 4


def test_a_key_of_doubles_is_told_without_a_fraction(workspace):
    version(workspace)
    releasing.release(workspace, "loans", None, "ann", "x")
    for dtype in (pl.Float32, pl.Float64):
        keyed = FRAME.with_columns(id=pl.Series([6001, 6002.0, None, 16777216], dtype=dtype))
        made = predict_rows(workspace, "loans", keyed, silent)
        assert made.rows["id"].to_list() == ["6001", "6002", None, "16777216"]
    assert made.rows.write_csv().splitlines()[1].startswith("6001,good,")


def test_numbers_that_no_double_holds_get_a_reason_and_no_prediction(workspace, tmp_path):
    version(workspace)
    releasing.release(workspace, "loans", None, "ann", "x")
    path = tmp_path / "score.csv"
    path.write_text("id,income,note,day\na,1e400,x,2026-01-05\nb,3.0,y,2026-01-05\n")
    made = predict_rows(workspace, "loans", read_table(path), silent)
    texts = predict_rows(workspace, "loans", read_table(path).with_columns(income=pl.Series(["1e400", "3.0"])), silent)
    for rows in (made.rows, texts.rows):
        assert rows["prediction"].to_list() == [None, "good"]
        assert rows["reason"][0].startswith("income: ")
        assert rows["reason"][0].endswith(" is no number")


def test_a_missing_column_is_named_and_no_rows_are_no_rows(workspace):
    version(workspace)
    releasing.release(workspace, "loans", None, "ann", "x")
    with pytest.raises(DataError, match="'income' is missing"):
        predict_rows(workspace, "loans", FRAME.drop("income"), silent)
    none = predict_rows(workspace, "loans", FRAME.clear(), silent)
    assert (none.rows.height, none.version, none.refused) == (0, 1, 0)


def test_what_waits_for_an_approval_is_said(workspace):
    workspace.places.spec("loans").write_text(yaml.safe_dump({**LOANS, "release": {"approval": "two_people"}}))
    version(workspace)
    releasing.release(workspace, "loans", None, "ann", "x")
    with pytest.raises(StateError, match="modelway approve loans"):
        predict_rows(workspace, "loans", FRAME, silent)
    releasing.roll_out(workspace, workspace.spec("loans"))
    releasing.approve(workspace, "loans", "bob")
    releasing.roll_out(workspace, workspace.spec("loans"))
    assert predict_rows(workspace, "loans", FRAME, silent).version == 1
