"""One record with a field that the table cannot hold is refused; the others enter, and the topic goes on."""

import json

import pytest

from modelway.events.log import NewEvent
from modelway.flow.feeding import ingest, quarantined
from modelway.ingest import fields
from modelway.spec.model import Spec
from modelway.workspace import create_workspace

SPEC = {
    "model": "pay",
    "task": "regression",
    "data": {"source": "payments", "key": "id", "target": "amount"},
    "contract": {"id": {"type": "string"}, "amount": {"type": "float"}},
}


@pytest.fixture
def workspace(tmp_path):
    opened = create_workspace(tmp_path / "w", "")
    yield opened
    opened.close()


def brought(workspace, *further: dict) -> list[str]:
    """The keys that are in the table after these records were sent together."""
    first = sum(workspace.log.ends("payments").values())
    rows = [{"id": f"p{first + n}", "amount": 1.5, **one} for n, one in enumerate(further)]
    workspace.log.append("payments", [NewEvent("k", json.dumps(row).encode()) for row in rows])
    spec = Spec.model_validate(SPEC)
    ingest(workspace, spec)
    return sorted(workspace.lake.read("payments", ["id"])["id"])


def reasons(workspace) -> dict[str, str]:
    return {line["key"]: line["reason"] for line in quarantined(workspace, Spec.model_validate(SPEC))}


@pytest.mark.parametrize("name", ["Amount", "AMOUNT", "ID", "a\0b"])
def test_a_name_that_no_further_column_can_have_costs_its_record_alone(workspace, name):
    assert brought(workspace, {}, {name: 1}, {"more": 2}) == ["p0", "p2"]
    assert repr(name) in reasons(workspace)["p1"]
    assert brought(workspace, {}) == ["p0", "p2", "p3"]


def test_names_that_differ_in_case_from_a_column_of_weeks_ago_or_of_the_same_batch(workspace):
    assert brought(workspace, {"é": 1}, {"É": 2}, {"weeks": 1}) == ["p0", "p2"]
    assert brought(workspace, {"Weeks": 1}, {"weeks": 3}) == ["p0", "p2", "p4"]
    assert "differs from 'weeks' in nothing but case" in reasons(workspace)["p3"]


def test_what_the_contract_does_not_name_is_text_of_whatever_type_it_comes(workspace):
    assert brought(workspace, {"more": 1}) == ["p0"]
    assert brought(workspace, {"more": "text"}, {"more": 2.5}, {}) == ["p0", "p1", "p2", "p3"]


def test_a_statement_of_another_type_than_its_column_is_refused(workspace):
    features = {
        "limit": {"join": {"table": "people", "on": "id", "valid_from": "since", "column": "limit", "type": "float"}}
    }
    spec = Spec.model_validate(SPEC | {"features": features})
    for limit in (1.5, "much", 2):
        row = {"id": "p0", "since": "2026-01-01T00:00:00Z", "limit": limit}
        workspace.log.append("people", [NewEvent("k", json.dumps(row).encode())])
        ingest(workspace, spec)
    assert sorted(workspace.lake.read("people")["limit"]) == [1.5, 2.0]
    (reason,) = workspace.lake.read("people_quarantine")["_reasons"]
    assert "Float64 in the table, and String here" in reason


def test_too_many_fields_make_no_columns(workspace, monkeypatch):
    monkeypatch.setattr(fields, "MOST", 20)
    assert brought(workspace, {f"f{n}": n for n in range(30)}, {"more": 1}) == ["p1"]
    assert "more fields than" in reasons(workspace)["p0"]
    assert [name for name in workspace.lake.read("payments").columns if not name.startswith("_")] == [
        "id",
        "amount",
        "more",
    ]


def test_names_that_look_odd_are_columns(workspace):
    odd = {'q"': 1, "a\nb": 2, "a\tb": 3, "a\\b": 4, "Annual Income": 5, "%20": 6}
    assert brought(workspace, odd, {}) == ["p0", "p1"]
    assert set(odd) <= set(workspace.lake.read("payments").columns)
