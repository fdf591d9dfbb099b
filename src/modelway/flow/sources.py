"""The roads into the lake that a model has: its source rows, its labels, its predictions, and the tables that it joins."""

import polars as pl

from modelway.contracts.contract import Contract, contract_of
from modelway.contracts.row import compile_row
from modelway.contracts.table import Lookup, check_table
from modelway.errors import ContractError
from modelway.ingest.decode import decoder
from modelway.ingest.labels import labels_source
from modelway.ingest.predictions import AllRows, predictions_source
from modelway.ingest.source import Source
from modelway.lake.tables import Lake
from modelway.records import TableVersion
from modelway.schemas.port import Schemas
from modelway.spec.model import Rule, Spec
from modelway.workspace import Workspace


def source_of(spec: Spec, lake: Lake | None = None, schemas: Schemas | None = None) -> Source:
    """Source rows, checked by the contract.

    Rules about other tables are asked where the lake is at hand, values of a schema registry read where `schemas` are.
    """
    contract, again = contract_of(spec), contract_of(spec).row_by_row()
    lookup = values_in(lake) if lake is not None else None
    return Source(
        topic=spec.topic,
        check=lambda rows: check_table(rows, contract, spec.data.key, lookup),
        recheck=lambda rows: check_table(rows, again, spec.data.key, lookup),
        key=spec.data.key,
        event_time=spec.data.event_time,
        doubles_within=spec.data.doubles_within,
        decode=decoder({name: rule.type for name, rule in contract.rules.items()}, schemas),
        named=frozenset(contract.rules),
    )


def owner_of(workspace: Workspace, spec: Spec) -> Spec:
    """Whose contract judges the source rows: of a composition that reads a member's rows, that member's."""
    return spec if spec.rows_of == spec.model else workspace.spec(spec.rows_of)


def values_in(lake: Lake) -> Lookup:
    """TABLE.COLUMN → its values in the newest version of the table; read once for each version."""
    kept: dict[str, tuple[TableVersion, pl.Series]] = {}

    def lookup(reference: str) -> pl.Series:
        name, _, column = reference.rpartition(".")
        table = lake.version(name)
        if table is None:
            known = ", ".join(lake.tables()) or "none yet"
            fix = f"ingest that table first, or name one of the lake: {known}"
            raise ContractError(f"the contract refers to {reference}, and the lake has no table {name!r}", fix)
        if reference not in kept or kept[reference][0] != table:
            rows = lake.scan(table)
            if column not in (names := rows.collect_schema().names()):
                fix = f"name one of its columns: {', '.join(names)}"
                raise ContractError(f"the contract refers to {reference}, and {name} has no column {column!r}", fix)
            kept[reference] = (table, rows.select(pl.col(column).unique()).collect().to_series())
        return kept[reference][1]

    return lookup


def labels_of(spec: Spec) -> Source:
    """Labels, by the contract's rule for the target if it has one; a number is what a regression is told."""
    rule = spec.contract.get(spec.data.target) or (Rule(type="float") if spec.task == "regression" else None)
    if rule is None:
        return labels_source(labels_topic(spec))
    check = compile_row(Contract({spec.data.target: rule}))
    return labels_source(labels_topic(spec), lambda label: "; ".join(check({spec.data.target: label})[1]))


def predictions_of(spec: Spec) -> Source:
    return predictions_source(predictions_topic(spec))


def joined_of(spec: Spec) -> list[Source]:
    """The joined tables: one statement a row, taken as it comes; one without its thing or `valid_from` is refused."""
    joins = {f.join.table: (f.join.key or f.join.on, f.join.valid_from) for f in spec.features.values() if f.join}
    return [
        Source(table, lambda rows: AllRows(rows, rows.clear()), key=key, event_time=valid_from, named=())
        for table, (key, valid_from) in joins.items()
    ]


def joined_tables(spec: Spec) -> list[str]:
    return list(dict.fromkeys(feature.join.table for feature in spec.features.values() if feature.join))


def labels_topic(spec: Spec) -> str:
    return spec.data.labels.source if spec.data.labels else f"{spec.rows_of}_labels"


def predictions_topic(spec: Spec) -> str:
    return f"{spec.model}_predictions"


def sharing_topic(workspace: Workspace, spec: Spec) -> list[Spec]:
    """Specs of all models whose source rows come from the same topic, this one's too."""
    return [found for name in workspace.models() if (found := workspace.spec(name)).topic == spec.topic]
