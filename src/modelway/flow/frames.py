"""The rows that a model is trained and judged on: as they were known at one moment, with the labels known by then."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from modelway.contracts.contract import contract_of
from modelway.contracts.table import check_table
from modelway.features.cells import TOGETHER
from modelway.features.plan import Plan
from modelway.flow import label_versions
from modelway.flow.sources import joined_tables, labels_topic, predictions_topic
from modelway.records import Sources, TableVersion
from modelway.spec.model import Files, Spec
from modelway.workspace import Workspace

LABELS = {"_key": pl.String(), "_label": pl.String(), "_label_arrived": pl.Datetime("us", "UTC")}
ORDER = ("_arrived", "_partition", "_offset", "_index")


@dataclass(frozen=True)
class Known:
    """What was known at one moment: `decisions`, one row a key, `events`, every row and correction, and the joined `tables`."""

    decisions: pl.DataFrame
    events: pl.DataFrame
    too_young: int
    tables: Mapping[str, pl.LazyFrame] = field(default_factory=dict)


def tables_of(workspace: Workspace, spec: Spec) -> tuple[TableVersion, ...]:
    """The newest versions of the tables that a run of this model reads."""
    names = (spec.topic, labels_topic(spec), predictions_topic(spec), *joined_tables(spec))
    return tuple(found for name in names if (found := workspace.lake.version(name)) is not None)


def known(workspace: Workspace, spec: Spec, sources: Sources) -> Known:
    """Rows and labels as of `sources`, matured ones as decisions: each row as it first came, with the newest label.

    What came later, a correction of the row itself too, was not known when the decision was taken. A file that is sent again
    says better what it said before: of a row that came in a file the newest content counts, as of when it first arrived.
    """
    rows, told = _rows(workspace, spec, sources), _told(workspace, _named(sources, labels_topic(spec)), sources.as_of)
    events, last = _versions(rows, told, spec), newest(_with_labels(rows, _last(told), spec))
    first = rows.sort(*ORDER).unique("_key", keep="first", maintain_order=True)
    if isinstance(spec.data.source, Files):
        decisions = last.drop("_arrived").join(
            first.select("_key", "_arrived"), on="_key", how="left", maintain_order="left"
        )
    else:
        outcomes = last.select("_key", "_target", "_label_arrived")
        decisions = first.join(outcomes, on="_key", how="left", maintain_order="left")
    born = pl.coalesce(pl.col("_at"), pl.col("_arrived"))
    wait = spec.data.labels.matured_after if spec.data.labels else None
    tables = joined_as_of(workspace, spec, sources)
    if wait is None:
        return Known(decisions, events, 0, tables)
    final = born + wait <= sources.as_of
    if spec.task == "anomaly":  # learned from without its label
        return Known(decisions.with_columns(pl.when(final).then("_target")), events, 0, tables)
    matured = decisions.filter(final)
    return Known(matured, events, decisions.height - matured.height, tables)


def joined_as_of(workspace: Workspace, spec: Spec, sources: Sources) -> dict[str, pl.LazyFrame]:
    """The statements of the joined tables that had arrived by then, by table: read where they are joined."""
    found = {name: table for name in joined_tables(spec) if (table := _named(sources, name)) is not None}
    arrived = pl.col("_arrived") <= sources.as_of
    return {name: workspace.lake.scan(table).filter(arrived) for name, table in found.items()}


def with_features(workspace: Workspace, spec: Spec, plan: Plan, found: Known) -> pl.DataFrame:
    """The decisions with the columns that enter the graph, each window as of its decision, and `_target`."""
    made = workspace.features.compute(found.decisions, found.events, plan, spec.data.same_instant, found.tables)
    return made.drop(TOGETHER, strict=False)


def newest(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a key: the one that arrived last."""
    return rows.sort(*ORDER).unique("_key", keep="last", maintain_order=True)


def served_rows(predictions: pl.DataFrame, spec: Spec) -> pl.DataFrame:
    """Rows that the server was asked for, in the form of source rows: known since they were asked."""
    asked = predictions.filter(~pl.col("shadow") & (pl.col("status") == "ok") & pl.col("key").is_not_null())
    if asked.height == 0:
        return pl.DataFrame()
    from modelway.ingest.frames import rows_frame

    inner = rows_frame([json.loads(text) for text in asked["row"].to_list()])
    place = asked.select("_partition", "_offset", "_index", pl.col("served").alias("_arrived"))
    raw = place.hstack(inner.get_columns())
    named = raw.with_columns(asked["key"].alias("_key"), asked["at"].alias("_at"))
    return check_table(named, contract_of(spec).by_row(), None).accepted


def predictions(
    workspace: Workspace, spec: Spec, *, since: datetime | None = None, at: TableVersion | None = None
) -> pl.DataFrame:
    """The predictions table, shadow answers too; an empty frame when there is none."""
    table = at or workspace.lake.version(predictions_topic(spec))
    if table is None:
        return pl.DataFrame()
    return workspace.lake.read(table, since=since)


def labels(
    workspace: Workspace, spec: Spec, *, at: TableVersion | None = None, until: datetime | None = None
) -> pl.DataFrame:
    """`_key`, `_label`, `_label_arrived`: the newest label of each key that arrived before or at `until`."""
    return _last(_told(workspace, at or workspace.lake.version(labels_topic(spec)), until))


def _rows(workspace: Workspace, spec: Spec, sources: Sources) -> pl.DataFrame:
    table = _named(sources, spec.topic)
    of_files = isinstance(spec.data.source, Files)
    rows = pl.DataFrame()
    if table:
        rows = workspace.lake.read(table).filter(pl.col("_arrived") <= sources.as_of)
        rows = rows.with_columns(pl.lit(of_files).alias(TOGETHER))
    asked = _named(sources, predictions_topic(spec))
    if not of_files or asked is None or _named(sources, labels_topic(spec)) is None:
        return rows
    served = served_rows(predictions(workspace, spec, at=asked).filter(pl.col("_arrived") <= sources.as_of), spec)
    if served.height == 0:
        return rows
    new = served.join(rows, on="_key", how="anti") if rows.height else served
    return pl.concat([rows, new], how="diagonal_relaxed")


def past_rows(workspace: Workspace, spec: Spec, sources: Sources) -> pl.DataFrame:
    """The source's rows and corrections with their labels, without those that the server alone saw: so are online values."""
    table = _named(sources, spec.topic)
    if table is None:
        return pl.DataFrame()
    rows = workspace.lake.read(table).filter(pl.col("_arrived") <= sources.as_of)
    return _versions(rows, _told(workspace, _named(sources, labels_topic(spec)), sources.as_of), spec)


def _told(workspace: Workspace, table: TableVersion | None, until: datetime | None) -> pl.DataFrame:
    """`_key`, `_label`, `_label_arrived` of every label that was sent, oldest first; corrections too."""
    if table is None:
        return pl.DataFrame(schema=LABELS)
    rows = workspace.lake.read(table)
    if until is not None:
        rows = rows.filter(pl.col("_arrived") <= until)
    named = {"_label": "label", "_label_arrived": "_arrived"}
    return rows.sort(*ORDER).select("_key", **{name: pl.col(of) for name, of in named.items()})


def _last(told: pl.DataFrame) -> pl.DataFrame:
    return told.unique("_key", keep="last", maintain_order=True)


def _versions(rows: pl.DataFrame, told: pl.DataFrame, spec: Spec) -> pl.DataFrame:
    """The rows as events: with labels that were sent, each label counts as of its arrival."""
    if told.height == 0:
        return _with_labels(rows, told, spec)
    if not spec.data.labels and spec.data.target in rows.columns:
        told = pl.concat([label_versions.own_labels(rows.sort(*ORDER), spec.data.target), told])
    events = label_versions.versions(rows.sort(*ORDER), told)
    return events.rename({"_label": "_target"}).with_columns(pl.coalesce("_label_arrived", "_arrived"))


def _with_labels(rows: pl.DataFrame, known_labels: pl.DataFrame, spec: Spec) -> pl.DataFrame:
    """`_target` and `_label_arrived`: a label that was sent, else the row's own target, known since the row arrived."""
    joined = rows.join(known_labels, on="_key", how="left", maintain_order="left")
    own = pl.lit(None, pl.String)
    if not spec.data.labels and spec.data.target in rows.columns:
        own = pl.col(spec.data.target)
    if known_labels.height == 0:
        target = own.alias("_target")
    else:
        from modelway.training.classes import target_text

        text = (
            target_text(rows.select(own).to_series())
            if spec.data.target in rows.columns and not spec.data.labels
            else None
        )
        own_text = pl.lit(None, pl.String) if text is None else pl.lit(text)
        target = pl.coalesce(pl.col("_label"), own_text).alias("_target")
    return joined.with_columns(
        target, pl.coalesce(pl.col("_label_arrived"), pl.col("_arrived")).alias("_label_arrived")
    ).drop("_label")


def _named(sources: Sources, name: str) -> TableVersion | None:
    return next((table for table in sources.tables if table.table == name), None)
