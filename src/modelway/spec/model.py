"""modelway.yaml as frozen values: every key but `model`, `task` and `data` has a sound default.

Each field's docstring is its manual: the reference page and the JSON Schema are made from them.
"""

from typing import Any, Literal

from pydantic import Field, model_validator

from modelway.spec.compose import Compose
from modelway.spec.contract import Check, ColumnType, Rule
from modelway.spec.part import Part
from modelway.spec.units import Count, Duration, Share, parse_duration

__all__ = ["ColumnType", "Part", "Rule"]


class Files(Part):
    files: tuple[str, ...]
    """Paths or globs of data files, relative to the workspace; their rows enter the event log under the model's name."""


class Labels(Part):
    source: str
    """Topic of the event log with one label an event: {key, label, at}."""
    matured_after: Duration = parse_duration("0d")
    """How long after the event a label is final; younger rows are neither trained on nor judged."""


class Data(Part):
    source: str | Files
    """A topic of the event log, or files."""
    target: str = ""
    """The column to predict; with `labels`, the name under which the label is known. Anomaly: what detectors are judged by, never
    what they learn from; it may be missing in some rows, or left out."""
    positive: str | None = None
    """Binary, anomaly: the class that counts as positive, as text; by default 1 of 0/1, yes of no/yes, or the rarer one."""
    key: str | None = None
    """The column that identifies a row; without one, a row is identified by its content."""
    event_time: str | None = None
    """When it happened; without one, rows have no order in time and the holdout is drawn at random."""
    entities: tuple[str, ...] = ()
    """Columns by which windows are formed and resampling is clustered, such as customer_id."""
    labels: Labels | None = None
    """Where labels come from when they arrive later than the row."""
    ignore: tuple[str, ...] = ()
    """Columns that do not enter the model."""
    protected: tuple[str, ...] = ()
    """Columns kept for the fairness audit only; never a feature."""
    doubles_within: Duration = parse_duration("30d")
    """How far back (by arrival) the same key and content is known as a double."""
    same_instant: Literal["counts", "does_not_count"] = "counts"
    """Whether windows see events at the very instant of the decision; does_not_count leaves out the decision's own row too."""
    lag: Duration = parse_duration("0d")
    """How far online values may lag: windows and joins see what had arrived this long before the decision, in training too."""


class Join(Part):
    """A table of things that change slowly, such as customers: another topic of the event log, one statement a row.

    A statement holds from its `valid_from` until the next one of the same key; with the same `valid_from` the later to arrive
    corrects the earlier. A decision sees what was valid and had arrived by then.
    """

    table: str
    """The topic, and the table of the lake, with the statements."""
    on: str
    """The row's column that names the thing, such as customer_id."""
    column: str
    """The statement's column that becomes the feature."""
    valid_from: str
    """The statement's column that says since when it holds."""
    key: str | None = None
    """The statement's column that names the thing; absent: the same as `on`."""
    type: Literal["float", "int", "bool", "string"] = "string"
    """What the column holds."""


class Feature(Part):
    """A derived column: an expression over the row's own columns, a Python function, a window over earlier events, or a join."""

    expr: str | None = None
    """For example `hour(at) <= 6` or `amount / income`; the language is on the page `expressions.md`."""
    python: str | None = None
    """FILE:FUNCTION beside modelway.yaml: called with the columns of `uses` in that order, row by row, missing ones None."""
    uses: tuple[str, ...] = ()
    """The columns that the function is given: those of the row, or other features."""
    gives: Literal["number", "word"] = "number"
    """What the function gives (None: missing)."""
    source: str = ""
    """The text of the function's file, filled in when modelway.yaml is read: it is kept with the model, and served from there."""
    join: Join | None = None
    """A column of a table that changes slowly, as of the decision."""
    of: str | None = None
    """The column that the window aggregates; `target` is allowed with a delay. Numbers beyond ±1e100 are missing there."""
    stat: Literal["count", "sum", "mean", "std", "min", "max", "distinct", "last", "ratio"] | None = None
    """What the window computes; ratio: the row's own value divided by the mean of the others in the window."""
    by: str | tuple[str, ...] | None = None
    """The entity column or columns; absent: all events of the source."""
    window: Duration | None = None
    """How far back the window reaches from the decision."""
    delay: Duration = parse_duration("0d")
    """How long before the decision the window ends, or the join looks."""
    default: float | None = None
    """The value where there is none, as for a new entity; absent: missing (0 for count and distinct)."""

    @model_validator(mode="after")
    def _one_kind(self) -> "Feature":
        kinds = [kind for kind in (self.expr, self.python, self.join, self.stat) if kind is not None]
        if len(kinds) != 1:
            raise ValueError(
                "a feature has either `expr`, or `stat` with `window` (and `of`, `by`), or `python` with `uses`, or `join`"
            )
        if self.python is not None and not self.uses:
            raise ValueError("`uses` is missing: name the columns that the function is given")
        if self.stat and self.window is None:
            raise ValueError(
                "`window` is missing: an unbounded window would grow for ever; write for example window: 30d"
            )
        if self.stat and self.stat != "count" and self.of is None:
            raise ValueError(f"`of` is missing: the {self.stat} of which column?")
        return self


class Search(Part):
    trials: Count = 30
    """Number of Optuna trials."""
    metric: str = "log_loss"
    """What the search improves, on folds of the training part only."""
    folds: int = 3
    """Folds: in time order where there is an event time."""
    timeout: Duration | None = None
    """Stop the search after this long; makes the number of trials depend on the machine."""


class Training(Part):
    holdout: Share = 0.2
    """Share of the rows, the latest where there is an event time, that training never sees."""
    split: Literal["auto", "time", "random"] = "auto"
    """auto: by time where there is an event time, else at random (stratified)."""
    gap: Duration = parse_duration("0d")
    """Rows this close before the holdout are left out: labels that overlap in time would leak."""
    window: Duration | None = None
    """Train on rows of the last so long only."""
    seed: int = 0
    """Seed of split, search and fit."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Handed to `build(params)`."""
    search: Search | None = None
    """Look for better parameters with Optuna."""
    refit: bool = False
    """Fit the shipped model again on all matured rows; it is then a version of its own, proved in shadow."""
    min_rows: int = 30
    """Fewer matured rows than this are refused."""


class Cost(Part):
    false_positive: float | str = 1.0
    """Cost of acting on a negative: a number, or the name of a column with the amount."""
    false_negative: float | str = 1.0
    """Cost of missing a positive."""


class Decision(Part):
    threshold: Literal["argmax", "by_cost", "by_rate"] | float = "argmax"
    """argmax (not for anomalies), a fixed probability or score, by_cost (with `cost`), or by_rate (with `rate`)."""
    cost: Cost = Cost()
    """What each kind of wrong decision costs."""
    rate: Share | None = None
    """Share of rows to be called positive: the alerts that people can look at."""
    top_k: Count | None = None
    """Number of positives among the holdout's rows."""


class Gate(Part):
    """A named check of a candidate: an absolute bound, or a comparison on the same rows."""

    metric: str
    """roc_auc, average_precision, log_loss, brier, accuracy, cost, mae, rmse, r2, alert_share, latency_p99_ms, four_fifths …"""
    min: float | None = None
    """The metric must be shown to be at least this."""
    max: float | None = None
    """The metric must be shown to be at most this."""
    against: Literal["champion", "baseline"] | None = None
    """champion: the version that serves; baseline: a model that knows only the target's distribution."""
    margin: float | None = None
    """How much worse than the champion still counts as not worse; absent: what the holdout has the power to show."""
    by: str | None = None
    """Protected column for group gates."""
    warn_only: bool = False
    """A failed verdict is recorded but does not refuse the candidate."""


class PythonProcess(Part):
    """A process of its own in which the fitted estimator itself answers, where it has no exact graph. A call costs hundreds of
    microseconds where a graph costs ten; see the page `python-model.md`."""

    when: Literal["no_graph", "always"] = "no_graph"
    """no_graph: what cannot be exported, or whose graph fails its parity gate; always: a graph is not even tried."""
    timeout: Duration = parse_duration("1s")
    """What one call may take, and may wait for those before it; a process that takes longer is stopped, and started anew."""
    memory: int = Field(default=2048, ge=256)
    """Megabytes that the process may take, with Python and all libraries; enforced on Linux."""
    interpreter: str = ""
    """Path of the Python of another environment, from the workspace or absolute; empty: the one that Modelway runs in."""


class ModelServing(Part):
    python: PythonProcess | None = None
    """Allows a model without an exact graph, as a Python process; absent: such a run fails, and says why."""
    unlogged: Literal["refuse", "serve"] = "refuse"
    """What becomes of a request whose prediction cannot be logged, on a full disk or with a full spool: it is refused, or
    answered and counted in `modelway_unlogged_rows_total`. What was not logged is no evidence, and is missing from the lake."""


class Guard(Part):
    errors: Share = 0.001
    """Largest additional share of errors and invalid outputs in a canary, absolute."""
    latency: Share | None = None
    """Largest relative growth of latency, at any of its quantiles; absent: not guarded."""
    latency_p99: Share | None = None
    """Largest relative growth of the 99th percentile of latency alone; absent: not guarded."""
    scores: float | None = None
    """How far the mean score may move on the same requests, up or down, in units of the score; absent: not guarded."""
    loss_margin: float | None = None
    """How much worse the paired loss may be and still count as not worse; absent: from the power calculation."""


class Rehearsal(Part):
    window: Duration = parse_duration("7d")
    """How far back the answers lie that a candidate is asked for again, before any client hears it."""
    decisions_change: Share = 0.1
    """Largest share of the decisions that may change."""
    invalid: Share = 0.001
    """Largest share of the rows that were answered and that the candidate refuses or fails on."""
    scores_change: float | None = None
    """Largest mean of the scores' absolute differences, in units of the score; absent: told, and not judged."""
    by: tuple[str, ...] = ()
    """Columns of the requests by whose values the figures are told too; absent: those of the gates, and data.protected."""
    before_shadow: bool = False
    """Whether each release begins with a rehearsal; one that fails is rolled back before it answers in shadow."""


class Rollout(Part):
    shadow: Count = 200
    """Requests that a challenger answers in shadow, beside the champion, before it may answer any client."""
    canary: tuple[Share, ...] = (0.05, 0.25, 1.0)
    """Shares of the requests, step by step; the last is all. [100%] alone is blue/green: shadow, then all at once; [] is shadow
    alone: it ends when the requests were seen, after at_least, and the champion stays."""
    at_least: Duration = parse_duration("0d")
    """How long each share is kept at the least: canary: [50%, 100%] with at_least: 14d is an experiment with a stated end."""
    watch: Duration = parse_duration("1h")
    """How long the former champion stays as shadow after the last step; until then the guards may still roll back."""
    sticky: str | None = None
    """Column by which a caller stays with one version; absent: the first of data.entities. Its values are counted, not requests."""
    rehearsal: Rehearsal = Rehearsal()
    """What `modelway rehearse` allows: the candidate on the last days of the prediction log, off line."""
    guard: Guard = Guard()
    """What stops a release."""
    alpha: Share = 0.05
    """Error rate of the whole release, spent over all guards and looks."""
    promote_on: Literal["auto", "errors", "losses", "scores"] = "auto"
    """errors: bound the canary's own error rate; losses (none of anomalies), scores: paired in shadow, for low traffic; auto: what
    traffic allows."""
    at_most: Duration = parse_duration("90d")
    """A release that is still undecided after this long is rolled back."""
    approval: Literal["none", "one_person", "two_people"] = "none"
    """How many people other than the trainer must approve before a version may answer clients."""


class Drift(Part):
    reference: Literal["training"] = "training"
    """What requests are compared with: the rows that the version was trained on."""
    alpha: Share = 0.05
    """False discovery rate over all columns of one look."""
    min_distance: float = 0.1
    """Smallest normed distance that matters."""
    window: Count = 500
    """Requests looked at, the latest."""
    min_rows: Count = 100
    """Fewer requests than this are not judged."""


class Slo(Part):
    availability: Share = 0.999
    """Share of the requests that must be answered."""
    latency_p99_ms: float = 50.0
    """The 99th percentile of latency that is promised, in milliseconds."""
    longest_wait_ms: float = Field(default=250.0, gt=0)
    """A request that would wait longer for its turn is refused at once, with 429 and Retry-After."""


class Monitoring(Part):
    drift: Drift = Drift()
    """Whether requests are still like the training rows."""
    parity: Count = 100
    """How many of the latest answers have their features computed again from the lake; one that differs is an alert."""
    performance: bool = True
    """Judge matured predictions against the holdout; of anomalies the share of false alerts."""
    every: Duration = parse_duration("1d")
    """How often drift and performance are judged."""
    horizon: Duration = parse_duration("0d")
    """How long one label overlaps the next ones (a target about the coming days): resampling uses blocks no shorter."""
    slo: Slo = Slo()
    """What is promised to clients."""
    alerts: tuple[str, ...] = ("terminal", "file")
    """terminal, file, or webhook:NAME with the address in the environment variable MODELWAY_WEBHOOK_NAME."""


class Retraining(Part):
    on: tuple[str, ...] = ("drift", "performance")
    """drift, performance, `every 7d`, `new_labels 1000`; of a composition `members` alone: other versions of them serve."""
    cooldown: Duration = parse_duration("1d")
    """Shortest time between two automatic runs."""
    at_most: str = "3 per 7d"
    """Budget of automatic runs, as `COUNT per DURATION`."""
    release: bool = True
    """Release an accepted candidate by itself."""


class Spec(Part):
    """One model: what must hold."""

    model: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")
    """Name: lower-case letters, digits, - and _."""
    owner: str = ""
    """Who answers for the model: a team or a person."""
    tier: Literal["high", "medium", "low"] = "medium"
    """Materiality; sets which approvals and dossier chapters are due."""
    task: Literal["binary", "multiclass", "regression", "anomaly"]
    """What is predicted: one of two classes, one of several, a number, or how odd a row is, learned without the target."""
    data: Data
    """Where rows come from, and what their columns are for."""
    compose: Compose | None = None
    """Other models that answer together, in place of a model.py; task, data, contract and features are then theirs by default."""
    contract: dict[str, Rule] = Field(default_factory=dict)
    """By column: its type and what it may hold; columns not named here do not enter the model."""
    checks: tuple[Check, ...] = ()
    """What rows and batches must hold beyond single columns: across columns, across rows, freshness, volume."""
    features: dict[str, Feature] = Field(default_factory=dict)
    """By name: columns derived from those of the row, or from earlier events."""
    training: Training = Training()
    """How rows are split, and what `build` is given."""
    decision: Decision = Decision()
    """The operating point: how a score becomes a decision (binary tasks; an anomaly task needs it)."""
    gates: tuple[Gate, ...] = ()
    """Beside these, `baseline`, `champion` and latency are always judged, with defaults."""
    serving: ModelServing = ModelServing()
    """What answers requests."""
    release: Rollout = Rollout()
    """How a new version takes over from the champion."""
    monitoring: Monitoring = Monitoring()
    """What is watched while the model serves."""
    retraining: Retraining = Retraining()
    """When the model is trained again without being asked."""

    @property
    def sticky(self) -> str | None:
        """The column by which a caller stays with one version while a release is under way; None: each request is by itself."""
        return self.release.sticky or next(iter(self.data.entities), None)

    @property
    def topic(self) -> str:
        """The topic of the event log that holds the source rows."""
        return self.data.source if isinstance(self.data.source, str) else self.rows_of

    @property
    def rows_of(self) -> str:
        """The model that the source rows and their labels are named after: of a composition it may be one that it asks."""
        return (self.compose.rows_of if self.compose else "") or self.model
