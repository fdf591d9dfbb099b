"""The composition root: a folder and its stack.yaml become ports with an engine behind each, opened on first use.

Nothing heavy is imported before it is needed: the server opens the event log and the artefacts, and never the lake or MLflow.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
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
    from modelway.events.spool import Spool
    from modelway.features.engine import FeatureEngine
    from modelway.features.online import Group, OnlineValues
    from modelway.features.tables import TableFeatures
    from modelway.ingest.known import Known
    from modelway.lake.delta import DeltaLake
    from modelway.lake.tables import Lake
    from modelway.lake.upkeep import Upkeep
    from modelway.metrics.port import Metrics
    from modelway.monitoring.alerts import AlertSink
    from modelway.rollout.traffic import Traffic
    from modelway.schemas.port import Schemas
    from modelway.secrets.port import Secrets
    from modelway.spec.model import Spec
    from modelway.spec.stack import KafkaEvents, Stack
    from modelway.state.database import Database
    from modelway.tracing.port import Tracing
    from modelway.training.tracking import Tracking

INNER = ".modelway"
_REQUEST_PATIENCE = timedelta(seconds=2)
"""How long a request waits for brokers."""


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

    def worker(self, number: int) -> Path:
        """Where one of several serving processes does; the first is `server`."""
        return self.server if number == 0 else self.inner / f"server-{number}.json"

    @property
    def figures(self) -> Path:
        """Where serving processes show one another what they have counted."""
        return self.inner / "figures"

    @property
    def heartbeat(self) -> Path:
        """Touched by the control loop at every tick."""
        return self.inner / "heartbeat"

    @property
    def spool(self) -> Path:
        return self.inner / "spool"

    @property
    def routes(self) -> Path:
        return self.inner / "routes.json"

    @property
    def renewed(self) -> Path:
        """What came of the last renewal of the serving processes."""
        return self.inner / "renewed"

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
        told = self.stack.events.kafka
        return self.folder_log("events") if told is None else self._kafka(told, told.patience)

    def _kafka(self, told: "KafkaEvents", patience: "timedelta") -> EventLog:
        from modelway.events.kafka import KafkaEventLog
        from modelway.events.kafka_settings import settings_of

        return KafkaEventLog(
            settings_of(told.bootstrap, told.options, self.secrets),
            self.clock,
            prefix=told.prefix,
            partitions=told.partitions,
            replication=told.replication,
            retention=None if told.retention == "forever" else told.retention,
            patience=patience.total_seconds(),
        )

    @cached_property
    def spool(self) -> "Spool | None":
        """Where this machine's events wait for the brokers; None where the event log is in the workspace itself."""
        from modelway.events.spool import Spool

        told = self.stack.events.kafka
        if told is None:
            return None
        return Spool(self.places.spool, self.clock, told.spool_megabytes * 1_000_000)

    @cached_property
    def request_log(self) -> EventLog:
        """The event log for who must answer at once: with brokers, appends end in the spool, and a read is given up soon."""
        from modelway.events.spool import SpoolingEventLog

        told = self.stack.events.kafka
        if self.spool is None or told is None:
            return self.log
        return SpoolingEventLog(self.spool, self._kafka(told, min(told.patience, _REQUEST_PATIENCE)))

    def folder_log(self, name: str) -> EventLog:
        """A log in the workspace's inner folder, whatever the stack says."""
        from modelway.events.folder import FolderEventLog

        return FolderEventLog(
            self.places.inner / name, self.clock, segment_bytes=self.stack.events.folder.segment_bytes
        )

    @cached_property
    def schemas(self) -> "Schemas | None":
        """The schema registry, if the stack names one."""
        asked = self.stack.events.kafka.registry if self.stack.events.kafka else None
        if asked is None:
            return None
        from modelway.schemas.registry import RegistrySchemas

        password = self.secrets.get("registry_password") if asked.username else ""
        return RegistrySchemas(asked.url, asked.username, password, asked.ca)

    @cached_property
    def artifacts(self) -> ArtifactStore:
        from modelway.artifacts.folder import FolderArtifactStore

        return FolderArtifactStore(self.places.artifacts)

    @cached_property
    def lake(self) -> "Lake":
        return self._delta

    @cached_property
    def upkeep(self) -> "Upkeep":
        """For the tables of `lake`, through the same handles."""
        from modelway.lake.delta import DeltaUpkeep

        return DeltaUpkeep(self._delta)

    @cached_property
    def _delta(self) -> "DeltaLake":
        from modelway.lake.delta import DeltaLake

        return DeltaLake(self.stack.lake.delta.uri or self.places.inner / "lake", self._storage)

    @property
    def _storage(self) -> dict[str, str]:
        """The options of the lake's object store, secrets included; {} for a folder."""
        told = self.stack.lake.delta
        return {**told.options, **{option: self.secrets.get(name) for option, name in told.secrets.items()}}

    def table_address(self, table: str) -> str:
        """Where another engine reads a table of the lake: an absolute folder, or an address in object storage."""
        return self._delta.address(table)

    def known(self, table: str, within: timedelta) -> "Known":
        """What this process knows of a table's rows; of many tables the least recently used are forgotten first."""
        from modelway.ingest.known import Known

        room = self.stack.ingestion.doubles_memory * 1_000_000
        held = self._known.pop((table, within), None) or Known(table, within, room)
        self._known[table, within] = held
        while sum(one.size for one in self._known.values()) > room and len(self._known) > 1:
            self._known.pop(next(iter(self._known)))
        return held

    @cached_property
    def _known(self) -> "dict[tuple[str, timedelta], Known]":
        return {}

    def online(self, name: str, groups: "Sequence[Group]") -> "OnlineValues":
        """Online values by name (see `flow.serving.values_name`), for these groups: opened for the caller, who keeps them."""
        from modelway.features.sqlite import SqliteOnlineValues

        if (valkey := self.stack.online.valkey) is not None:
            from modelway.features.valkey import ValkeyOnlineValues

            password = self.secrets.get(valkey.password) if valkey.password else None
            ttl = None if valkey.ttl is None else int(valkey.ttl.total_seconds())
            return ValkeyOnlineValues(valkey.url, name, groups, password=password, ttl_seconds=ttl)
        return SqliteOnlineValues(self.places.inner / "online" / f"{name}.db", groups)

    def has_online(self, name: str) -> bool:
        """Whether online values of this name may be there: a folder knows, of a server it is asked when they are opened."""
        return self.stack.online.valkey is not None or self.kept(name)

    def kept(self, name: str) -> bool:
        """Whether online values of this name lie in the workspace's folder."""
        return (self.places.inner / "online" / f"{name}.db").exists()

    @cached_property
    def metrics(self) -> "Metrics":
        """Each process has its own: a scraper asks the server for what it counted."""
        from modelway.metrics.memory import MemoryMetrics

        return MemoryMetrics()

    @cached_property
    def tracing(self) -> "Tracing | None":
        """Where traces go, if the stack names it; raises MissingExtraError."""
        asked = self.stack.tracing
        if asked is None:
            return None
        from modelway.tracing.opentelemetry import OtlpTracing

        authorization = ""
        with suppress(NotFoundError):  # a collector that asks for none
            authorization = self.secrets.get("tracing_authorization")
        return OtlpTracing(asked.endpoint, asked.service, self.metrics, authorization=authorization)

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
        from modelway.features.arrays import ArrayEngine

        return ArrayEngine()

    @cached_property
    def table_features(self) -> "TableFeatures":
        """Features from tables to tables; raises NotFoundError when stack.yaml names no engine for them."""
        from modelway.features.spark import SparkFeatures

        spark = self.stack.features.spark
        if spark is None:
            raise NotFoundError(
                "stack.yaml names no engine for features at scale",
                "write features: {spark: {master: 'local[2]', python: DIR/bin/python}}; bash tools/spark.sh DIR makes DIR",
            )
        return SparkFeatures(spark.master, Path(spark.python), spark.settings, storage=self._storage)

    def sinks(self, spec: "Spec") -> list["AlertSink"]:
        """The alert sinks that the spec names."""
        from modelway.monitoring.sinks import open_sinks

        return open_sinks(spec.monitoring.alerts, self.places.inner / "alerts.ndjson", self.secrets)

    def spec(self, model: str) -> "Spec":
        """The model's spec; raises NotFoundError with the models that exist."""
        from modelway.spec.load import load_spec

        path = self.places.spec(model)
        self.demand_model(model)
        read = self._specs.get(model)
        if read is not None and read[0] == self._stamp(model, composed=read[1].compose is not None):
            return read[1]  # the control loop asks at every tick
        stamps = [self._stamp(model, composed=composed) for composed in (False, True)]  # before it is read
        spec = load_spec(path)
        self._specs[model] = (stamps[spec.compose is not None], spec)
        return spec

    def _stamp(self, model: str, *, composed: bool) -> tuple[tuple[int, int], ...]:
        """Of all files that a spec is read from: features may be functions in Python files beside it, and a composition has much
        from the models that it asks."""
        folders = sorted(self.places.models.glob("*/")) if composed else [self.places.project(model)]
        files = (file for folder in folders for file in (folder / "modelway.yaml", *sorted(folder.glob("*.py"))))
        return tuple((told.st_mtime_ns, told.st_size) for told in (file.stat() for file in files if file.exists()))

    @cached_property
    def _specs(self) -> "dict[str, tuple[tuple[tuple[int, int], ...], Spec]]":
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
        if self.stack.events.kafka:
            yield "spool", lambda: self.spool.ping() if self.spool else None
        if self.stack.events.kafka and self.stack.events.kafka.registry:
            yield "schema registry", lambda: self.schemas.ping() if self.schemas else None
        yield "lake", lambda: self.lake.ping()
        yield "artefacts", lambda: self.artifacts.ping()
        yield "features", lambda: self.features.ping()
        if self.stack.online.valkey:
            yield "online values", self._ping_online
        yield "traffic", lambda: self.traffic.ping()
        yield "tracking", lambda: self.tracking.ping()
        yield "secrets", lambda: self.secrets.ping()
        yield "metrics", lambda: self.metrics.ping()
        if self.stack.tracing:
            yield "traces", lambda: self.tracing.ping() if self.tracing else None

    def _ping_online(self) -> None:
        with closing(self.online("ping", ())) as values:
            values.ping()

    def close(self) -> None:
        """Close what was opened."""
        for name in ("tracing", "compute", "log", "request_log", "spool", "schemas", "database"):
            if self.__dict__.get(name) is not None:
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
