"""The composition root: a folder and its stack.yaml become ports with an engine behind each, opened on first use.

Nothing heavy is imported before it is needed: the server opens the event log and the artefacts, and never the lake or MLflow.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from modelway.artifacts.store import ArtifactStore
from modelway.clock import Clock, WallClock
from modelway.errors import ModelwayError, NotFoundError
from modelway.events.log import EventLog

if TYPE_CHECKING:
    from modelway.compute.port import Compute
    from modelway.features.engine import FeatureEngine
    from modelway.features.online import OnlineValues
    from modelway.lake.tables import Lake
    from modelway.metrics.port import Metrics
    from modelway.monitoring.alerts import AlertSink
    from modelway.rollout.traffic import Traffic
    from modelway.secrets.port import Secrets
    from modelway.spec.model import Spec
    from modelway.spec.stack import Stack
    from modelway.state.database import Database
    from modelway.training.tracking import Tracking

INNER = ".modelway"


@dataclass(frozen=True)
class Places:
    """Where things lie in a workspace; everything but models/ and stack.yaml is in one inner folder."""

    root: Path

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def stack(self) -> Path:
        return self.root / "stack.yaml"

    @property
    def inner(self) -> Path:
        return self.root / INNER

    @property
    def artifacts(self) -> Path:
        """The folder of the artefact store: worker processes open it themselves."""
        return self.inner / "artifacts"

    @property
    def logs(self) -> Path:
        return self.inner / "logs"

    @property
    def server(self) -> Path:
        """Where a running server writes its address."""
        return self.inner / "server.json"

    @property
    def heartbeat(self) -> Path:
        """Touched by the control loop at every tick."""
        return self.inner / "heartbeat"

    @property
    def routes(self) -> Path:
        return self.inner / "routes.json"

    @property
    def up_lock(self) -> Path:
        return self.inner / "up.lock"

    def project(self, model: str) -> Path:
        return self.models / model

    def spec(self, model: str) -> Path:
        return self.project(model) / "modelway.yaml"


@dataclass(frozen=True)
class Workspace:
    """One installation. Ports that are not handed in are opened, on first use, as stack.yaml says."""

    places: Places
    given_clock: Clock | None = field(default=None, repr=False)

    @cached_property
    def stack(self) -> "Stack":
        from modelway.spec.load import load_stack

        return load_stack(self.places.stack)

    @cached_property
    def secrets(self) -> "Secrets":
        from modelway.secrets.environment import EnvironmentSecrets

        return EnvironmentSecrets()

    @cached_property
    def database(self) -> "Database":
        from modelway.state.database import Database

        return Database(self.stack.state or f"sqlite:///{self.places.inner / 'control.db'}", self.secrets)

    @cached_property
    def clock(self) -> Clock:
        from modelway.state.replay_clock import ReplayClock, replay_time

        if self.given_clock:
            return self.given_clock
        return ReplayClock(self.database) if replay_time(self.database) else WallClock()

    @cached_property
    def log(self) -> EventLog:
        from modelway.events.folder import FolderEventLog

        return FolderEventLog(self.places.inner / "events", self.clock, segment_bytes=self.stack.events.segment_bytes)

    @cached_property
    def artifacts(self) -> ArtifactStore:
        from modelway.artifacts.folder import FolderArtifactStore

        return FolderArtifactStore(self.places.artifacts)

    @cached_property
    def lake(self) -> "Lake":
        from modelway.lake.delta import DeltaLake

        return DeltaLake(self.places.inner / "lake")

    def online(self, name: str) -> "OnlineValues":
        """Online values by name (see `flow.serving.values_name`): opened for the caller, who keeps them."""
        from modelway.features.sqlite import SqliteOnlineValues

        return SqliteOnlineValues(self.places.inner / "online" / f"{name}.db")

    @cached_property
    def metrics(self) -> "Metrics":
        """Each process has its own: a scraper asks the server for what it counted."""
        from modelway.metrics.memory import MemoryMetrics

        return MemoryMetrics()

    @cached_property
    def traffic(self) -> "Traffic":
        from modelway.rollout.embedded import EmbeddedTraffic

        return EmbeddedTraffic(self.places.routes)

    @cached_property
    def tracking(self) -> "Tracking":
        from modelway.training.mlflow import MlflowTracking

        place = self.places.inner / "mlflow"
        return MlflowTracking(self.stack.tracking or f"sqlite:///{place / 'mlflow.db'}", artifacts=place / "artifacts")

    @cached_property
    def compute(self) -> "Compute":
        from modelway.compute.local import LocalCompute

        return LocalCompute()

    @cached_property
    def features(self) -> "FeatureEngine":
        from modelway.features.ibis import IbisEngine

        return IbisEngine()

    def sinks(self, spec: "Spec") -> list["AlertSink"]:
        """The alert sinks that the spec names."""
        from modelway.monitoring.sinks import open_sinks

        return open_sinks(spec.monitoring.alerts, self.places.inner / "alerts.ndjson", self.secrets)

    def spec(self, model: str) -> "Spec":
        """The model's spec; raises NotFoundError with the models that exist."""
        from modelway.spec.load import load_spec

        path = self.places.spec(model)
        self.demand_model(model)
        told = path.stat()
        stamp = (told.st_mtime_ns, told.st_size)
        if (read := self._specs.get(model)) is not None and read[0] == stamp:
            return read[1]  # the control loop asks at every tick
        spec = load_spec(path)
        self._specs[model] = (stamp, spec)
        return spec

    @cached_property
    def _specs(self) -> "dict[str, tuple[tuple[int, int], Spec]]":
        """The specs as last read, by the stamps of their files."""
        return {}

    def demand_model(self, model: str) -> None:
        """Raise NotFoundError, naming the nearest, unless the model exists ("*": all models)."""
        if model != "*" and model not in self.models():
            near = get_close_matches(model, self.models(), 1)
            known = ", ".join(self.models()) or "none yet"
            raise NotFoundError(
                f"no model {model!r} in {self.places.models} (there: {known})",
                f"did you mean {near[0]}?" if near else f"modelway new {model} --data FILE --target COLUMN",
            )

    def models(self) -> list[str]:
        """Names of the model projects, sorted."""
        return sorted(path.parent.name for path in self.places.models.glob("*/modelway.yaml"))

    def pings(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Every engine with its ping, opened only then: one that cannot be opened does not hide the others."""
        yield "control database", lambda: self.database.ping()
        yield "event log", lambda: self.log.ping()
        yield "lake", lambda: self.lake.ping()
        yield "artefacts", lambda: self.artifacts.ping()
        yield "features", lambda: self.features.ping()
        yield "traffic", lambda: self.traffic.ping()
        yield "tracking", lambda: self.tracking.ping()
        yield "secrets", lambda: self.secrets.ping()
        yield "metrics", lambda: self.metrics.ping()

    def close(self) -> None:
        """Close what was opened."""
        for name in ("compute", "log", "database"):
            if name in self.__dict__:
                self.__dict__[name].close()


def find_workspace(start: Path) -> Places:
    """The workspace that holds this folder; raises NotFoundError naming the command that makes one."""
    for folder in (start, *start.parents):
        if (folder / INNER).is_dir():
            return Places(folder)
    raise NotFoundError(f"{start} is not in a workspace", "modelway init bank && cd bank")


def open_workspace(root: Path, *, clock: Clock | None = None) -> Workspace:
    """Open the workspace that holds `root`; its control database must have the newest schema."""
    workspace = Workspace(find_workspace(root.resolve()), clock)
    workspace.database.ping()
    return workspace


def create_workspace(root: Path, stack: str) -> Workspace:
    """Make a workspace, or complete one that a crash left half made; an existing one keeps all that it has."""
    places = Places(root.resolve())
    try:
        for folder in (places.models, places.inner, places.logs, places.inner / "mlflow"):
            folder.mkdir(parents=True, exist_ok=True)
        if not places.stack.exists():
            places.stack.write_text(stack)
    except OSError as error:
        raise ModelwayError(
            f"cannot make a workspace in {root}: {error.strerror}", "choose a folder that you can write to"
        ) from error
    workspace = Workspace(places)
    workspace.database.migrate()
    return workspace
