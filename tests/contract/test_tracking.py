"""The tracking port's checks over MLflow on SQLite, and what is MLflow's own."""

import inspect
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from modelway.errors import DiskFullError, TrackingError
from modelway.testing.tracking import AT, TrackingChecks
from modelway.training.mlflow import MlflowTracking, mapped


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow needs a second or two to make its tables: once a module, then copied."""
    place = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowTracking(f"sqlite:///{place}").ping()
    return place


@pytest.fixture
def tracking(tmp_path: Path, empty_database: Path) -> MlflowTracking:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return MlflowTracking(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts")


class TestMlflow(TrackingChecks): ...


def test_a_run_can_be_read_with_mlflows_own_client(tracking, tmp_path):
    tracked = tracking.start("loans", "run-1", AT, {"modelway.trigger": "drift"})
    tracking.log(tracked, params={"C": 0.5}, metrics={"holdout.roc_auc": 0.8})
    tracking.log(tracked, params={"C": 0.7})
    tracking.file(tracked, "plots/roc.svg", b"<svg/>")
    tracking.finish(tracked, AT)
    run = tracking._client.get_run(tracked)
    assert run.data.params == {"C": "0.5"}
    assert run.data.metrics == {"holdout.roc_auc": 0.8}
    assert (run.data.tags["modelway.run"], run.data.tags["modelway.trigger"]) == ("run-1", "drift")
    assert (run.info.start_time, run.info.status) == (int(AT.timestamp() * 1000), "FINISHED")
    assert [f.read_bytes() for f in (tmp_path / "artifacts" / "loans").rglob("roc.svg")] == [b"<svg/>"]


def test_a_second_process_finds_the_same_run(tracking, tmp_path):
    tracked = tracking.start("loans", "run-1", AT)
    assert MlflowTracking(tracking.uri, tmp_path / "artifacts").start("loans", "run-1", AT) == tracked


def test_files_of_a_copied_workspace_lie_in_the_copy(tmp_path, empty_database):
    first = tmp_path / "first one"
    first.mkdir()
    shutil.copy(empty_database, first / "mlflow.db")
    tracked = MlflowTracking(f"sqlite:///{first / 'mlflow.db'}", first / "artifacts").start("loans", "run-1", AT)
    copy = Path(shutil.copytree(first, tmp_path / "copy"))
    tracking = MlflowTracking(f"sqlite:///{copy / 'mlflow.db'}", copy / "artifacts")
    assert tracking.start("loans", "run-1", AT) == tracked
    tracking.file(tracked, "plots/roc.svg", b"1")
    tracking.file(tracking.start("loans", "run-2", AT), "plots/roc.svg", b"2")
    assert sorted(f.read_bytes() for f in copy.rglob("*.svg")) == [b"1", b"2"]
    assert list(first.rglob("*.svg")) == []


def test_what_another_hand_moved_or_deleted_is_put_back_and_told(tracking):
    for number in (1, 2):
        tracking.register("loans", number, tracking.start("loans", f"run-{number}", AT))
    tracking.mirror("loans", {"champion": 2})
    client = tracking._client
    client.set_registered_model_alias("loans", "champion", "1")
    assert tracking.mirror("loans", {"champion": 2}) == ("champion: loans@1 → loans@2",)
    client.delete_registered_model("loans")
    assert tracking.mirror("loans", {"champion": 2}) == ("champion: nothing → loans@2",)
    again = client.get_model_version_by_alias("loans", "champion")
    assert again.tags["modelway.version"] == "2"
    assert again.run_id == tracking.start("loans", "run-2", AT)


def test_an_experiment_deleted_in_mlflow_is_restored(tracking, tmp_path):
    tracked = tracking.start("loans", "run-1", AT)
    tracking._client.delete_experiment(tracking._client.get_run(tracked).info.experiment_id)
    assert MlflowTracking(tracking.uri, tmp_path / "artifacts").start("loans", "run-2", AT)


def test_a_database_that_cannot_be_opened_is_a_tracking_error(tmp_path):
    (tmp_path / "mlflow.db").mkdir()
    with pytest.raises(TrackingError, match=r"stack\.yaml"):
        MlflowTracking(f"sqlite:///{tmp_path / 'mlflow.db'}").ping()


def test_a_server_that_is_not_there_is_transient_and_its_password_is_not_shown(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TrackingError) as caught:
        MlflowTracking("http://user:hunter2@127.0.0.1:9/").ping()
    assert caught.value.transient
    assert "hunter2" not in str(caught.value)


def test_every_exception_class_of_mlflow_is_mapped():
    import mlflow.exceptions

    classes = [
        c for _, c in inspect.getmembers(mlflow.exceptions, inspect.isclass) if c.__module__ == "mlflow.exceptions"
    ]
    assert classes
    for kind in classes:
        with pytest.raises(TrackingError), mapped("http://mlflow"):
            raise kind.__new__(kind)


def test_nothing_is_printed_and_mlflow_is_not_imported_before_use(tmp_path, capfd):
    MlflowTracking(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts").start("loans", "run-1", AT)
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def no_page_more() -> Iterator[None]:
    """SQLite files that are opened from now on cannot grow, as on a full disk."""

    def limit(connection: Any, record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")

    sa.event.listen(sa.engine.Engine, "connect", limit)
    yield
    sa.event.remove(sa.engine.Engine, "connect", limit)


def test_a_full_disk_is_said_in_one_line_and_nothing_else_is_printed(tracking, no_page_more, capfd):
    with pytest.raises(DiskFullError) as caught:
        [tracking.start("loans", f"run-{number}", AT, {"note": "x" * 4000}) for number in range(100)]
    assert "the disk is full" in caught.value.problem
    assert "SQL" not in caught.value.problem
    assert "\n" not in caught.value.problem
    assert caught.value.transient
    assert capfd.readouterr() == ("", "")
