"""stack.yaml: which engine stands behind each port. Absent means embedded everything."""

import re
from datetime import timedelta
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from modelway.records import LIMITS
from modelway.spec.part import Part
from modelway.spec.units import Duration, parse_duration

_SECRET = re.compile(
    r"secret|token|password|account_key|access_key$|sas|credential|private_key|service_account_key", re.I
)


MOST_WORKERS = 64
"""Serving processes of one installation."""


class FolderEvents(Part):
    segment_bytes: int = 64 * 1024 * 1024
    """A segment file is closed at this size."""
    fsync_ms: int = 50
    """Predictions are fsynced in groups this often: what a power cut may cost at most (a process crash costs nothing)."""


class Registry(Part):
    url: str
    """Address of the schema registry; a password comes from MODELWAY_REGISTRY_PASSWORD."""
    username: str = ""
    """Name for basic authentication."""
    ca: str = ""
    """File with the certificates of who may sign the registry's."""


class KafkaEvents(Part):
    bootstrap: str
    """Brokers to ask first: host:port, separated by commas."""
    options: dict[str, str | float | bool] = Field(default_factory=dict)
    """Any settings of librdkafka by its names, such as `security.protocol` and `sasl.username`. Passwords stand in
    MODELWAY_KAFKA_PASSWORD (of the user) and MODELWAY_KAFKA_KEY_PASSWORD (of a client's key), or in a file whose name stands in
    MODELWAY_KAFKA_PASSWORD_FILE."""
    prefix: str = ""
    """What the names of all topics begin with on the brokers."""
    partitions: int = Field(default=0, ge=0)
    """Of topics that Modelway makes; 0: as many as the brokers' default."""
    replication: int = Field(default=0, ge=0)
    """Copies of topics that Modelway makes; 0: the brokers' default."""
    retention: Duration | Literal["forever"] = "forever"
    """How long the brokers keep what is in topics that Modelway makes, by the time that a record bears: with 7d, a replay of last
    year would be deleted before it is read. What the lake has is kept there in any case."""
    patience: Duration = parse_duration("30s")
    """How long one call waits for the brokers before it fails and is tried again."""
    spool_megabytes: int = Field(default=4_096, ge=1)
    """Predictions wait on the server's disk until the brokers take them. When so many megabytes wait, requests are refused."""
    tombstones: bool = False
    """Whether `modelway erase` sends tombstones to compacted topics, for record keys under which an erased person alone has events.
    Every other reader of the topic sees them."""
    registry: Registry | None = None
    """The schema registry of Avro and Protobuf values."""

    @model_validator(mode="after")
    def _no_secret(self) -> "KafkaEvents":
        for name, secret in KAFKA_SECRETS.items():
            if name in self.options:
                raise ValueError(
                    f"{name} is a secret and must not stand in a file: set MODELWAY_{secret.upper()} instead"
                )
        return self


KAFKA_SECRETS = {
    "sasl.password": "kafka_password",
    "ssl.key.password": "kafka_key_password",
    "ssl.keystore.password": "kafka_key_password",
    "sasl.oauthbearer.client.secret": "kafka_client_secret",
}
"""Settings of librdkafka that hold a secret, and the secret's name."""


class Events(Part):
    folder: FolderEvents = FolderEvents()
    """The event log in the workspace, unless another one is named."""
    kafka: KafkaEvents | None = None
    """The event log on Apache Kafka (extra `kafka`)."""


class Ingestion(Part):
    processes: int = Field(default=0, ge=0, le=64)
    """Processes that do nothing but ingest, and share out the partitions; 0: the control loops ingest at each tick."""
    every: Duration = parse_duration("1s")
    """An ingesting process commits at least this often what has come: the delay until a row can be read."""
    rows: int = Field(default=50_000, ge=1)
    """It commits earlier when so many events have come."""
    doubles_memory: int = Field(default=256, ge=1)
    """Megabytes for knowing doubles at once (16 bytes a row within `data.doubles_within`); beyond that the table is asked."""


class ServingTls(Part):
    certificate: str = Field(min_length=1)
    """PEM file with the server's certificate, behind it those that lead to who signed it. A relative name counts from the
    workspace."""
    key: str = Field(min_length=1)
    """PEM file with its key. The password of an encrypted key comes from MODELWAY_SERVING_KEY_PASSWORD."""


class Grpc(Part):
    port: int = 8001
    """0 takes a free port."""


class Serving(Part):
    host: str = "127.0.0.1"
    """The address that the server listens on; 0.0.0.0 for all."""
    port: int = 8080
    """0 takes a free port."""
    workers: int = Field(default=1, ge=1, le=MOST_WORKERS)
    """Processes that answer behind one address: as many as there are cores to spare."""
    memory: int | None = Field(default=None, ge=256)
    """Megabytes that a serving process may hold: models are then loaded when somebody asks for them, and those that were used least
    recently make room. Absent: all that is released is loaded at the start."""
    challengers: Literal["apart", "inside"] = "apart"
    """apart: the graph of a version that is not the champion, in shadow or in a canary, answers in a process of its own, so that
    nothing which it does can hurt the champion; about 25 MB for each release and serving process. inside: it answers in the server,
    as a champion's does."""
    tls: ServingTls | None = None
    """Answer over TLS (1.2 or newer), and nothing in plain text."""
    access_log: bool = False
    """Whether every request that is answered is written to the server's log; what failed always is. It costs about a fifth of a
    small request's processor time: for looking into something, not for ever."""
    grpc: Grpc | None = None
    """The Open Inference Protocol over gRPC too, on a port of its own; absent: HTTP alone."""
    access: Literal["open", "tokens"] = "open"
    """`tokens`: who asks needs a bearer token, as `modelway token new` makes them, over HTTP and over gRPC. `open`: nobody does."""


class Candidates(Part):
    """A graph off line, in a run's proofs and gates and in a rehearsal, answers in a process of its own, so that one which hangs,
    crashes or grows fails there, and the control loop goes on."""

    timeout: Duration = timedelta(seconds=LIMITS.seconds)
    """What it may take for a block of at most 2,000 rows; one that takes longer is stopped, and has failed."""
    memory: int = Field(default=LIMITS.megabytes, ge=256)
    """Megabytes that the process may take, and eight times the graph's size beside; enforced on Linux."""


class DeltaTables(Part):
    uri: str = ""
    """Where the tables lie: s3://bucket/prefix, az://container/prefix, abfss://…, gs://bucket/prefix, or an absolute path;
    empty: a folder of the workspace."""
    options: dict[str, str] = Field(default_factory=dict)
    """What the object store's client needs, by its own names: endpoint, region, account_name, … Secrets have a key of their own."""
    secrets: dict[str, str] = Field(default_factory=dict)
    """Options whose values are secret → the name of the secret. {secret_access_key: lake_key} reads MODELWAY_LAKE_KEY."""

    @field_validator("options")
    @classmethod
    def _no_secrets(cls, options: dict[str, str]) -> dict[str, str]:
        if told := next((name for name in options if _SECRET.search(name)), None):
            raise ValueError(f"{told} is a secret: write secrets: {{{told}: NAME}}, and set MODELWAY_NAME")
        return options


class LakeTables(Part):
    delta: DeltaTables = DeltaTables()
    """Delta tables, in a folder or in object storage."""


class SparkFeatures(Part):
    """Spark, for tables that outgrow one machine: `modelway features table` makes the training rows there."""

    master: str
    """As Spark names it: `local[4]`, `local-cluster[2,1,1024]`, `spark://HOST:7077`, `yarn` …"""
    python: str
    """The Python of an environment with Spark (`tools/spark.sh DIR` makes one: DIR/bin/python)."""
    settings: dict[str, str] = Field(default_factory=dict)
    """Spark's own settings, such as spark.executor.memory."""


class Features(Part):
    """Where features are computed: in this process, and, where it is named, on Spark."""

    spark: SparkFeatures | None = None
    """A Spark, for the command `modelway features table`."""


class ValkeyOnline(Part):
    """Online values in Valkey or Redis, for servers on several machines; it must not evict keys."""

    url: str
    """`redis://HOST:PORT/0`, `rediss://…` with TLS, or `unix:///PATH`; without a password in it."""
    password: str = ""
    """The name of the secret with the password; empty: none."""
    ttl: Duration | None = None
    """What was not written for so long expires; no shorter than the widest window and `online.late` together."""


class Online(Part):
    """Online values: the events that windows see while decisions are made. By default they are in SQLite, in the workspace."""

    valkey: ValkeyOnline | None = None
    """Keep them in Valkey instead."""
    late: Duration | None = None
    """How late, by event time, a row may be asked for: events beyond that and the widest window are forgotten. Absent: none are."""


class Traces(Part):
    """Traces of requests, for a collector that takes OTLP over HTTP: OpenTelemetry's, Jaeger, Tempo (extra `tracing`)."""

    endpoint: str
    """Its address, without a password, such as http://collector:4318; /v1/traces is added. What the header Authorization must say
    comes from MODELWAY_TRACING_AUTHORIZATION."""
    sample: float = Field(default=0.01, ge=0, le=1)
    """Which share of the requests that begin a trace is traced. One whose caller sends `traceparent` is traced if its caller is."""
    service: str = Field(default="modelway", min_length=1)
    """Under which name the traces are found."""

    @field_validator("endpoint")
    @classmethod
    def _an_address(cls, endpoint: str) -> str:
        address = urlsplit(endpoint)
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise ValueError("write the collector's address, such as http://collector:4318")
        if address.password or address.username:
            raise ValueError("it holds a secret: set MODELWAY_TRACING_AUTHORIZATION instead")
        return endpoint


class Stack(Part):
    """One installation."""

    events: Events = Events()
    """The event log."""
    ingestion: Ingestion = Ingestion()
    """How events are brought into the lake."""
    lake: LakeTables = LakeTables()
    """The tables."""
    state: str = ""
    """SQLAlchemy URL of the control database; empty: SQLite in the workspace. A password comes from MODELWAY_STATE_PASSWORD."""
    tracking: str = ""
    """MLflow tracking URI; empty: SQLite in the workspace."""
    serving: Serving = Serving()
    """Where the server listens."""
    candidates: Candidates = Candidates()
    """What a version's graph may take before anybody hears it."""
    tracing: Traces | None = None
    """Where traces of requests go; absent: none are made."""
    features: Features = Features()
    """What computes features at scale."""
    online: Online = Online()
    """Where online values are kept, and how long."""
    tick_seconds: float = Field(default=1.0, gt=0)
    """How often the control loop looks."""
    control_loops: int = Field(default=2, ge=1, le=16)
    """How many control loops `modelway up` runs: while one of them trains a model, the others tend the other models."""
    lease_seconds: float = Field(default=30.0, gt=0)
    """How long a control loop's lease on a step lasts without renewal."""
