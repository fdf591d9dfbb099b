"""Training rows made where the tables are, for data that outgrow this machine: pinned versions in, a folder of Parquet out."""

from pathlib import Path

from modelway.errors import NotFoundError, UsageError
from modelway.features.plan import plan_of
from modelway.features.tables import Pinned, TableWork
from modelway.flow import frames
from modelway.flow.sources import labels_topic
from modelway.records import Sources, TableVersion
from modelway.spec.model import Files, Spec
from modelway.workspace import Workspace


def features_table(workspace: Workspace, spec: Spec, out: Path) -> Path:
    """The matured rows of a model with their features, as of now, in `out`; the newest versions of its tables are read.

    Raises UsageError when `out` is there already, NotFoundError without rows or without an engine for it.
    """
    if out.exists():
        raise UsageError(f"{out} is there already", "name a folder that does not exist")
    engine = workspace.table_features
    sources = Sources(workspace.clock.now(), frames.tables_of(workspace, spec), "")
    pinned = {table.table: _pinned(workspace, table) for table in sources.tables}
    if spec.topic not in pinned:
        raise NotFoundError(f"the lake has no rows of {spec.topic} yet", f"modelway ingest {spec.model}")
    plan, labels = plan_of(spec), spec.data.labels
    out.parent.mkdir(parents=True, exist_ok=True)
    work = TableWork(
        plan,
        pinned[spec.topic],
        sources.as_of,
        out,
        pinned.get(labels_topic(spec)),
        "" if labels else spec.data.target,
        labels.matured_after if labels else None,
        {table: pinned[table] for table in plan.tables if table in pinned},
        isinstance(spec.data.source, Files),
    )
    return engine.compute(work)


def _pinned(workspace: Workspace, table: TableVersion) -> Pinned:
    return Pinned(workspace.table_address(table.table), table.version)
