"""explain, the JSON Schema and the reference page."""

import re
from pathlib import Path

import pytest

from modelway.spec.explain import explain
from modelway.spec.fields import keys, meaning, parts_in
from modelway.spec.load import load_spec
from modelway.spec.model import Spec
from modelway.spec.schema import reference, spec_schema, stack_schema
from modelway.spec.stack import Stack
from tests.unit.spec.conftest import SOUND

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "spec.md"
MORE = "gates: [{metric: roc_auc, min: 0.7}]\ntraining:\n  holdout: 25%\n  gap: 36h\n"


def test_each_setting_has_value_origin_and_meaning(written):
    path = written(SOUND + MORE)
    rows = {row.key: row for row in explain(load_spec(path), path)}
    found = {key: (rows[key].value, rows[key].origin) for key in (
        "model", "data.source.files", "contract.amount", "gates[0]", "training.holdout", "training.gap", "training.seed",
        "training.search", "release.canary", "retraining.at_most")}  # fmt: skip
    assert found == {
        "model": ("loans", "modelway.yaml:1"),
        "data.source.files": ("[data.csv]", "modelway.yaml:4"),
        "contract.amount": ("{type: float, min: 0}", "modelway.yaml:16"),
        "gates[0]": ("{metric: roc_auc, min: 0.7}", "modelway.yaml:17"),
        "training.holdout": ("0.25", "modelway.yaml:19"),
        "training.gap": ("36h", "modelway.yaml:20"),
        "training.seed": ("0", "default"),
        "training.search": ("-", "default"),
        "release.canary": ("[0.05, 0.25, 1]", "default"),
        "retraining.at_most": ("3 per 7d", "default"),
    }
    assert all(row.meaning.endswith(".") or "…" in row.meaning for row in rows.values())


def test_without_the_file_the_origin_has_no_line(written):
    path = written(SOUND)
    assert {row.origin for row in explain(load_spec(path))} == {"modelway.yaml", "default"}
    assert [r.key for r in explain(load_spec(path))] == [r.key for r in explain(load_spec(path), path)]


@pytest.mark.parametrize("root", [Spec, Stack])
def test_every_key_has_a_meaning(root):
    for part in (root, *(p for f in root.model_fields.values() for p in parts_in(f.annotation))):
        assert [name for name in part.model_fields if not meaning(part, name)] == []


def test_the_schema_knows_every_key_and_how_units_are_written():
    for part, schema in ((Spec, spec_schema()), (Stack, stack_schema())):
        assert set(schema["properties"]) == set(keys(part))
        assert schema["additionalProperties"] is False
        for inner in (p for f in part.model_fields.values() for p in parts_in(f.annotation)):
            assert set(schema["$defs"][inner.__name__]["properties"]) == set(keys(inner))
    training = spec_schema()["$defs"]["Training"]["properties"]
    assert training["gap"]["type"] == "string"
    assert training["holdout"]["type"] == ["number", "string"]
    assert training["gap"]["description"].startswith("Rows this close")
    assert re.search(training["gap"]["pattern"], "7d")
    assert not re.search(training["gap"]["pattern"], "soon")
    assert spec_schema()["required"] == ["model"]
    assert spec_schema()["anyOf"] == [{"required": ["task", "data"]}, {"required": ["compose"]}]


def test_the_reference_page_is_up_to_date():
    """To renew it: write `modelway.spec.schema.reference()` to docs/reference/spec.md."""
    assert PAGE.read_text(encoding="utf-8") == reference()


def test_the_reference_names_every_key():
    page = reference()
    for part in (Spec, *(p for f in Spec.model_fields.values() for p in parts_in(f.annotation))):
        assert all(f"| `{key}` |" in page for key in keys(part))
