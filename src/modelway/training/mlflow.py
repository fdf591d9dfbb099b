"""Tracking by MLflow's client: on its SQLite file when embedded, or on a server by its address. No telemetry."""

import errno
import fcntl
import logging
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from modelway import faults
from modelway.errors import DiskFullError, TrackingError, of_system
from modelway.training.tracking import Tracking

RUN, VERSION = "modelway.run", "modelway.version"
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
_PARAM_LENGTH = 6000
_BATCH = 100


class MlflowTracking(Tracking):
    """An experiment a model, a run a run (found again by the tag `modelway.run`), a registered model a model.

    `uri` is `sqlite:///path/mlflow.db` or a server's address; `artifacts` is the folder for files beside a local database
    (a server keeps files where it is told to). MLflow is imported, and its tables are made, on first use.
    """

    def __init__(self, uri: str, artifacts: Path | None = None) -> None:
        self.uri = uri
        self._artifacts = artifacts if uri.startswith("sqlite:") else None
        self._experiments: dict[str, str] = {}

    @cached_property
    def _client(self) -> Any:
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)
        from mlflow.tracking import MlflowClient

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        logging.getLogger("mlflow.store.db.utils").setLevel(
            logging.CRITICAL
        )  # its traceback of an error that it raises, too
        if self.uri.startswith("sqlite:///"):
            place = Path(self.uri.removeprefix("sqlite:///"))
            _demand_usable(place)
            _make_whole(place)
            if self._artifacts:
                _follow(place, self._artifacts)
        return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def start(self, model: str, run: str, at: datetime, tags: Mapping[str, str] | None = None) -> str:
        with mapped(self.uri):
            experiment = self._experiment(model)
            if found := self._find(experiment, RUN, run):
                return found
            made = self._client.create_run(
                experiment, start_time=_millis(at), tags={**(tags or {}), RUN: run}, run_name=run
            )
            return str(made.info.run_id)

    def log(
        self,
        tracked: str,
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float | None] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        with mapped(self.uri):
            from mlflow.entities import Metric, Param, RunTag

            run = self._client.get_run(tracked)
            at = run.info.start_time
            new = {
                _name(k): str(v)[:_PARAM_LENGTH] for k, v in (params or {}).items() if _name(k) not in run.data.params
            }
            figures = {_name(k): float(v) for k, v in (metrics or {}).items() if v is not None and v == v}
            lines = [
                *(("params", Param(k, v)) for k, v in new.items()),
                *(("metrics", Metric(k, v, at, 0)) for k, v in figures.items()),
                *(("tags", RunTag(_name(k), v)) for k, v in (tags or {}).items()),
            ]
            for first in range(0, len(lines), _BATCH):
                batch = lines[first : first + _BATCH]
                self._client.log_batch(
                    tracked,
                    **{kind: [line for k, line in batch if k == kind] for kind in ("params", "metrics", "tags")},
                )

    def file(self, tracked: str, name: str, data: bytes) -> None:
        folder, _, last = name.rpartition("/")
        with mapped(self.uri), tempfile.TemporaryDirectory(prefix="modelway-") as place:
            path = Path(place) / last
            path.write_bytes(data)
            self._client.log_artifact(tracked, str(path), folder or None)

    def finish(self, tracked: str, at: datetime, *, failed: bool = False) -> None:
        with mapped(self.uri):
            self._client.set_terminated(tracked, status="FAILED" if failed else "FINISHED", end_time=_millis(at))

    def register(self, model: str, version: int, tracked: str, tags: Mapping[str, str] | None = None) -> None:
        with mapped(self.uri):
            self._client.set_tag(tracked, VERSION, str(version))
            self._registered(model, version, tags)

    def mirror(self, model: str, aliases: Mapping[str, int | None]) -> tuple[str, ...]:
        repaired: list[str] = []
        with mapped(self.uri):
            known = self._aliases(model)
            for alias, version in aliases.items():
                wanted = None if version is None else self._registered(model, version)
                there = known.get(alias)
                if there == wanted:
                    continue
                if wanted is None:
                    self._client.delete_registered_model_alias(model, alias)
                else:
                    self._client.set_registered_model_alias(model, alias, wanted)
                repaired.append(
                    f"{alias}: {self._told(model, there)} → {'nothing' if version is None else f'{model}@{version}'}"
                )
        return tuple(repaired)

    def link(self, tracked: str) -> str:
        with mapped(self.uri):
            run = self._client.get_run(tracked)
            page = f"#/experiments/{run.info.experiment_id}/runs/{tracked}"
            if not self._artifacts:
                return f"{self.uri.rstrip('/')}/{page}"
            return f"run {tracked} ({page} in the page that `modelway mlflow` opens)"

    def ping(self) -> None:
        with mapped(self.uri):
            self._client.search_experiments(max_results=1)

    def _experiment(self, model: str) -> str:
        """The id of the model's experiment; one that was deleted in MLflow is restored, since its name stays taken."""
        if model not in self._experiments:
            found = self._client.get_experiment_by_name(model)
            if found is None:
                place = (self._artifacts / model).resolve().as_uri() if self._artifacts else None
                self._experiments[model] = str(self._client.create_experiment(model, artifact_location=place))
            else:
                if found.lifecycle_stage == "deleted":
                    self._client.restore_experiment(found.experiment_id)
                self._experiments[model] = str(found.experiment_id)
        return self._experiments[model]

    def _find(self, experiment: str, tag: str, value: str) -> str:
        found = self._client.search_runs(
            [experiment], f"tags.`{tag}` = '{value}'", max_results=1, order_by=["attributes.start_time ASC"]
        )
        return str(found[0].info.run_id) if found else ""

    def _registered(self, model: str, version: int, tags: Mapping[str, str] | None = None) -> str:
        """MLflow's number of our version, which is made when it is not there."""
        if found := self._client.search_model_versions(f"name = '{model}' and tags.`{VERSION}` = '{version}'"):
            return str(min(int(v.version) for v in found))
        if not self._client.search_registered_models(f"name = '{model}'"):
            self._client.create_registered_model(model)
        run = self._find(self._experiment(model), VERSION, str(version))
        made = self._client.create_model_version(
            model,
            source=f"runs:/{run}/model" if run else f"modelway:/{model}@{version}",
            run_id=run or None,
            tags={**(tags or {}), VERSION: str(version)},
            await_creation_for=None,
        )
        return str(made.version)

    def _aliases(self, model: str) -> dict[str, str]:
        found = self._client.search_registered_models(f"name = '{model}'")
        return {alias: str(version) for alias, version in found[0].aliases.items()} if found else {}

    def _told(self, model: str, version: str | None) -> str:
        if version is None:
            return "nothing"
        ours = self._client.get_model_version(model, version).tags.get(VERSION)
        return f"{model}@{ours}" if ours else f"MLflow's version {version}"


@contextmanager
def mapped(uri: str) -> Iterator[None]:
    """MLflow's, SQLAlchemy's and the network's errors become TrackingError, without the address's password."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import OperationalError, SQLAlchemyError

    place = re.sub(r"//[^@/]*@", "//***@", uri)
    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)[:500].replace(uri, place)
        if "disk is full" in str(error) or "disk I/O error" in str(error):
            raise DiskFullError(
                f"MLflow at {place}: the disk is full", "free space on that disk", transient=True
            ) from error
        if isinstance(error, OSError) and (known := of_system(error, kind=TrackingError)):
            raise known from error
        transient = isinstance(error, OSError | OperationalError | sqlite3.OperationalError) or getattr(
            error, "error_code", ""
        ) in (
            "TEMPORARILY_UNAVAILABLE",
            "INTERNAL_ERROR",
            "REQUEST_LIMIT_EXCEEDED",
        )
        raise TrackingError(
            f"MLflow at {place}: {first}",
            "check the address under tracking: in stack.yaml, and modelway doctor",
            transient=transient,
        ) from error


def _demand_usable(path: Path) -> None:
    """SQLite can open the file: MLflow itself would try again for 100 seconds before it says that it cannot."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=5)) as database:
            database.execute("PRAGMA schema_version")
    except (OSError, sqlite3.Error) as error:
        if "full" in str(error) or (isinstance(error, OSError) and error.errno == errno.ENOSPC):
            raise DiskFullError(
                f"the tracking database {path} cannot grow: the disk is full", "free space on that disk"
            ) from error
        raise TrackingError(
            f"the tracking database {path} cannot be opened: {error}",
            "see that its folder can be written, or mend tracking: in stack.yaml",
        ) from error


def _make_whole(path: Path) -> None:
    """Make the database beside its place and move it there: MLflow cannot go on with tables that a crash left half made."""
    from mlflow.tracking import MlflowClient

    with path.with_name(f"{path.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists() and path.stat().st_size:
            return
        beside = path.with_name(f"{path.name}.part")
        for left in path.parent.glob(f"{beside.name}*"):
            left.unlink()
        there = f"sqlite:///{beside}"
        MlflowClient(tracking_uri=there, registry_uri=there).search_experiments(max_results=1)
        faults.point("tracking.before-made")
        beside.replace(path)


def _follow(path: Path, artifacts: Path) -> None:
    """Files lie beside the database: MLflow keeps absolute places, and in a copied workspace would write into the first one."""
    here = artifacts.resolve().as_uri()
    with closing(sqlite3.connect(path, timeout=5)) as database, database:
        found = database.execute("SELECT experiment_id, name, artifact_location FROM experiments").fetchall()
        for experiment, name, location in found:
            before = str(location).removesuffix(f"/{quote(name)}")
            if before in (location, here) or not before.startswith("file://"):
                continue
            database.execute(
                "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?",
                (f"{here}/{quote(name)}", experiment),
            )
            database.execute(
                "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?)"
                " WHERE experiment_id = ? AND substr(artifact_uri, 1, ?) = ?",
                (here, len(before) + 1, experiment, len(before), before),
            )


def _millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _name(text: str) -> str:
    """A name that MLflow takes: letters, digits, `_ - . / :` and blanks."""
    return re.sub(r"[^\w\-./: ]", "_", text, flags=re.ASCII)[:250]
