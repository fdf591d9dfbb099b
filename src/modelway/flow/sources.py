"""The three roads into the lake that a model has: its source rows, its labels, its predictions."""

from modelway.contracts.contract import Contract, contract_of
from modelway.contracts.row import compile_row
from modelway.contracts.table import check_table
from modelway.ingest.batch import Source
from modelway.ingest.labels import labels_source
from modelway.ingest.predictions import predictions_source
from modelway.spec.model import Rule, Spec


def source_of(spec: Spec) -> Source:
    """Source rows, checked by the contract."""
    contract = contract_of(spec)
    return Source(
        topic=spec.topic,
        check=lambda rows: check_table(rows, contract, spec.data.key),
        key=spec.data.key,
        event_time=spec.data.event_time,
        doubles_within=spec.data.doubles_within,
    )


def labels_of(spec: Spec) -> Source:
    """Labels, by the contract's rule for the target if it has one; a number is what a regression is told."""
    rule = spec.contract.get(spec.data.target) or (Rule(type="float") if spec.task == "regression" else None)
    if rule is None:
        return labels_source(labels_topic(spec))
    check = compile_row(Contract({spec.data.target: rule}))
    return labels_source(labels_topic(spec), lambda label: "; ".join(check({spec.data.target: label})[1]))


def predictions_of(spec: Spec) -> Source:
    return predictions_source(predictions_topic(spec))


def labels_topic(spec: Spec) -> str:
    return spec.data.labels.source if spec.data.labels else f"{spec.model}_labels"


def predictions_topic(spec: Spec) -> str:
    return f"{spec.model}_predictions"
