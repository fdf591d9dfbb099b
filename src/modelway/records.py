"""Frozen values that one stage hands to the next; each round-trips through JSON.

A record holds names, numbers, times and digests (sha256 of an artefact), never frames, handles or local paths:
any orchestrator can carry it. A missing number is `None` here, since JSON has no NaN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec

from modelway.errors import UsageError

T = TypeVar("T")

Task = Literal["binary", "multiclass", "regression", "anomaly"]
POSITIVE: tuple[Task, ...] = ("binary", "anomaly")
"""Tasks with a positive class, which an operating point decides about."""
Outcome = Literal["pass", "fail", "undecided", "not_applicable"]
Answer = Literal["better", "not_worse", "worse", "undecided"]
Exactness = Literal["double", "single"]
Kind = Literal["number", "word"]
Form = Literal["graph", "python", "composed"]
"""What answers: an ONNX graph in the server's process, the fitted estimator in a process of its own, or other versions together."""


def width_of(task: Task, classes: Sequence[str]) -> int:
    """How many scores a row has: one a class, or one number, the value of a regression or how odd the row is.

    Where there is a positive class, its score is the last.
    """
    return 1 if task == "anomaly" else max(1, len(classes))


def dumps(record: Any) -> bytes:
    """JSON with keys in a fixed order, so that equal records have equal bytes and digests."""
    return msgspec.json.encode(record, order="deterministic")


def loads(kind: type[T], data: bytes | str) -> T:
    """The record back; raises `msgspec.ValidationError` when the JSON is not of that kind."""
    return msgspec.json.decode(data, type=kind)


def plain(record: Any) -> Any:
    """The record as dicts, lists, strings and numbers, for `--json` and for a JSON column."""
    return msgspec.to_builtins(record)


@dataclass(frozen=True, slots=True)
class TableVersion:
    """One version of one lake table, written `table@version`."""

    table: str
    version: int

    def __str__(self) -> str:
        return f"{self.table}@{self.version}"

    @classmethod
    def parse(cls, text: str) -> "TableVersion":
        """`table@version`; raises UsageError for anything else."""
        table, _, version = text.rpartition("@")
        if not table or not version.isdigit():
            raise UsageError(f"{text!r} names no version of a table", "write TABLE@VERSION, for example loans@12")
        return cls(table, int(version))


@dataclass(frozen=True, slots=True)
class Column:
    """A column that enters the graph: numbers as doubles (missing NaN), words as strings (missing "")."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Breach:
    """One value that breaks one rule; `row` counts from 0 in the checked batch, None: no single row is to blame."""

    row: int | None
    key: str
    column: str
    rule: str
    value: str
    action: Literal["quarantine", "reject_batch", "warn"]
    reason: str


@dataclass(frozen=True, slots=True)
class Ingested:
    """What one ingestion pass did with one topic; counts are rows."""

    topic: str
    table: TableVersion
    read: int = 0
    accepted: int = 0
    doubles: int = 0
    corrections: int = 0
    quarantined: int = 0
    warnings: Mapping[str, int] = field(default_factory=dict)
    events: int = 0
    """Events of the log that were read."""
    tombstones: int = 0
    """Of them those without a value: a key was deleted; the table keeps what it knew."""
    breaches: Mapping[str, int] = field(default_factory=dict)
    """`column: rule` → values that broke it, warnings too; of a rule of whole batches, how many batches."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """Why a run exists: a person's command or a policy's decision."""

    kind: Literal["manual", "drift", "performance", "schedule", "new_labels", "members", "refit"]
    reason: str
    who: str = "modelway"


@dataclass(frozen=True, slots=True)
class Pinned:
    """A version that a composition asks, by its manifest's digest."""

    model: str
    version: int
    digest: str

    def __str__(self) -> str:
        return f"{self.model}@{self.version}"


@dataclass(frozen=True, slots=True)
class Sources:
    """What a run is made from, pinned at its start: the moment, the table versions, and the spec as an artefact."""

    as_of: datetime
    tables: tuple[TableVersion, ...]
    spec: str
    members: tuple[Pinned, ...] = ()
    """Of a composition: the versions that served then."""


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Rows as of one moment, frozen as a Parquet artefact, and how they are split.

    The artefact holds `_key`, `_at`, `_part` ("train" | "holdout"), the target as `_target` (of an anomaly null where there is no
    label), and the columns.
    """

    data: str
    tables: tuple[TableVersion, ...]
    columns: tuple[Column, ...]
    task: Task
    classes: tuple[str, ...]
    rows: int
    train_rows: int
    holdout_rows: int
    too_young: int
    as_of: datetime
    cutoff: datetime | None = None
    audit: str = ""
    """Parquet artefact with `_key`, the protected columns and the amounts that costs refer to; "" if none."""
    empty: tuple[str, ...] = ()
    """Columns that are missing in every row of the training part: a model can learn nothing of them."""

    @property
    def width(self) -> int:
        """Scores a row."""
        return width_of(self.task, self.classes)


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted estimator (an artefact of this workspace) with what made it."""

    estimator: str
    params: Mapping[str, Any]
    trials: int
    seconds: float
    code: str
    environment: str
    tracking_run: str = ""
    refitted: bool = False


@dataclass(frozen=True, slots=True)
class Parity:
    """Graph against estimator on `rows` rows, adversarial ones included; `worst` is |difference| / max(1, |ŷ|)."""

    rows: int
    worst: float
    tolerance: float
    cases: Mapping[str, int]
    decisions_differ: int = 0


@dataclass(frozen=True, slots=True)
class Graph:
    """The exported ONNX artefact: inputs `numbers` double[N, n] and `words` string[N, m], output `scores` double[N, k].

    `scores` are the class probabilities in the order of the training set's classes, one predicted value, or how odd a row is.
    """

    graph: str
    columns: tuple[Column, ...]
    exactness: Exactness
    parity: Parity
    refuses: Mapping[str, Any] = field(default_factory=dict)
    """Rows at which the Python model raises, told apart by their values: `missing`, `infinite`, `beyond`, `below`, `unseen`."""
    form: Form = "graph"
    """`python`, `composed`: `graph` is the digest of a `PythonModel`, a `Composition`, whose scores are as a graph would give."""


@dataclass(frozen=True, slots=True)
class PythonModel:
    """What a process of its own needs to answer with a fitted estimator; stands as an artefact where a graph would."""

    estimator: str
    """Digest of the pickled estimator, which a run of this workspace fitted."""
    columns: tuple[Column, ...]
    task: Task
    classes: int
    """Columns of the scores: the classes of the training set, 1 for a number; 0 for a graph that nobody has asked yet."""
    seconds: float
    """What one call may take."""
    megabytes: int
    """What the process may hold in memory."""
    interpreter: str = ""
    """Path of another environment's Python, from the workspace; "": the one that Modelway runs in."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """`python` and the libraries of the estimator, as they were when the parity gate was passed: served with no others."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a candidate's graph may take off line: `seconds` for each block of rows, `megabytes` beside what its size asks for."""

    seconds: float = 60.0
    megabytes: int = 2048


LIMITS = Limits()
"""Where nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Composition:
    """Versions that answer together; stands as an artefact where a graph would."""

    columns: tuple[Column, ...]
    task: Task
    classes: int
    """Columns of the scores: the classes of the training set, 1 for a number."""
    compose: Mapping[str, Any]
    """As modelway.yaml says it (`spec.compose.Compose`)."""
    members: tuple[Pinned, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """An answer of the decision engine: effect (B − A, positive is better), its interval, what is still needed."""

    answer: Answer
    effect: float | None
    low: float | None
    high: float | None
    alpha: float
    needed: int | None = None
    method: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure on `rows` rows with its 95 % interval."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    rows: int
    part: str = "holdout"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one gate, with its evidence and a reason in words."""

    gate: str
    outcome: Outcome
    reason: str
    finding: Finding | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    warn_only: bool = False


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """How a score becomes a decision: `threshold` on the positive class's score, a probability or how odd a row is."""

    rule: str = "argmax"
    threshold: float | None = None
    positive: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proved graph with its operating point, and the profile of its training rows (an artefact) to judge drift against."""

    graph: Graph
    operating_point: OperatingPoint
    reference: str


@dataclass(frozen=True, slots=True)
class Validation:
    metrics: tuple[Metric, ...]
    verdicts: tuple[Verdict, ...]
    operating_point: OperatingPoint

    @property
    def accepted(self) -> bool:
        """A gate that failed or could not be computed refuses; warnings and comparisons without a champion do not."""
        return all(v.warn_only or v.outcome in ("pass", "not_applicable") for v in self.verdicts)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is served, released and rolled back as one; its digest is the version's content hash.

    Holds nothing that differs between two equal trainings: no times, no run ids.
    """

    model: str
    task: Task
    graph: str
    columns: tuple[Column, ...]
    classes: tuple[str, ...]
    exactness: Exactness
    contract: Mapping[str, Any]
    features: Mapping[str, Any]
    operating_point: OperatingPoint
    key: str
    event_time: str
    entities: tuple[str, ...]
    spec: str
    """Digest of the spec artefact."""
    reference: str = ""
    """Digest of the reference profile artefact, against which drift is judged."""
    refuses: Mapping[str, Any] = field(default_factory=dict)
    """See `Graph.refuses`."""
    form: Form = "graph"
    """See `Graph.form`; manifests of before this field are of graphs."""

    @property
    def width(self) -> int:
        """Scores a row."""
        return width_of(self.task, self.classes)


@dataclass(frozen=True, slots=True)
class Version:
    """A registered candidate; `number` counts from 1 by model, `digest` is the manifest's."""

    model: str
    number: int
    digest: str
    run: str
    created: datetime
    accepted: bool
    validation: Validation

    def __str__(self) -> str:
        return f"{self.model}@{self.number}"


ReleaseState = Literal["waiting", "shadow", "canary", "full", "ended", "rolled_back", "superseded"]


@dataclass(frozen=True, slots=True)
class Release:
    """The rollout of one version; `step` counts the canary steps from 0, `weight` is its share of requests (0–1)."""

    id: int
    model: str
    version: int
    champion: int | None
    state: ReleaseState
    step: int
    weight: float
    started: datetime
    moved: datetime
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


ExperimentState = Literal["waiting", "starting", "running", "ended", "stopped"]


@dataclass(frozen=True, slots=True)
class Experiment:
    """Several versions beside the champion, each with a fixed share of the requests, until a stated end."""

    id: int
    model: str
    champion: int
    shares: Mapping[str, float]
    """Version number (as text) → the share of the requests that was asked for; the champion has the rest."""
    stopped: Mapping[str, str]
    """Of these the arms that were shown to be worse, and how: their share is the champion's."""
    state: ExperimentState
    lasts: float
    """Seconds."""
    requests: int | None
    """It ends sooner, when it has seen so many."""
    started: datetime
    """When it was asked for."""
    moved: datetime
    """When its state or its shares changed last."""
    ends: datetime | None
    """The stated end; None while it waits."""
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """Where a model's requests go: shares by version that add up to 1, and the version that answers in shadow."""

    model: str
    shares: Mapping[str, float]
    """Version number (as text: JSON keys are strings) → share."""
    manifests: Mapping[str, str]
    """Version number → manifest digest."""
    shadow: int | None = None
    generation: int = 0
    names: Mapping[str, int] = field(default_factory=dict)
    """Version by what it is now: "champion", "challenger", or "former", the champion that is watched beside its successor."""
    slices: tuple[tuple[int, float], ...] = ()
    """In an experiment, how the callers are cut up: version and share, in order; a version may have several slices. So whoever
    is with an arm stays with it when another one is stopped. Empty: as the shares are."""
    salt: str = ""
    """By which the callers are shuffled before; empty: by the newest version."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger; `digest` covers all the others and the previous entry's digest."""

    number: int
    at: datetime
    who: str
    action: str
    model: str
    subject: str
    reason: str
    data: Mapping[str, Any]
    previous: str
    digest: str


@dataclass(frozen=True, slots=True)
class Alert:
    """One cause, one alert; `closed` is set when the cause is over."""

    model: str
    cause: str
    severity: Literal["note", "ticket", "page"]
    text: str
    opened: datetime
    closed: datetime | None = None


@dataclass(frozen=True, slots=True)
class DriftFinding:
    """One column between reference and current rows: size (a distance) and evidence (a p-value), both must speak."""

    column: str
    statistic: str
    distance: float
    threshold: float
    p_value: float
    drifted: bool
    rows: int
