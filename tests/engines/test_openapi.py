"""schemathesis, unchanged, on the OpenAPI document of a real server: no 5xx, and no answer that the document does not tell of.

It runs in the environment of the clients of others. Once with the document as it stands (which names no model: it is refused, and
each refusal must be one that is told of), once with one that knows the model's columns: then what fits it must be answered.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelway.serving.openapi import OPERATIONS, PATH
from tests.engines.engines import missing
from tests.unit.serving.made import make_workspace, put_version, route, running

pytestmark = [pytest.mark.engines, pytest.mark.timeout(1_200)]
LENIENT = "negative_data_rejection"
"""Not asked: the server reads more than the document promises, as null for what may be left out."""
FITS = "positive_data_acceptance"
"""Asked only where the document says what fits the model."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    made = make_workspace(tmp_path_factory.mktemp("openapi"))
    made.traffic.apply(route("loans", {1: put_version(made, bias=1.0)}))
    with running(made) as (found, _):
        yield found
        assert "Traceback" not in (made.places.logs / "server.log").read_text()
    made.close()


def judged(*more: str) -> str:
    """What schemathesis said; fails when it found anything."""
    place = os.environ.get("MODELWAY_TEST_CLIENTS")
    if not place:
        missing("the clients of others (tools/clients.sh DIR, MODELWAY_TEST_CLIENTS=DIR)")
    command = [
        str(Path(str(place)) / "bin" / "schemathesis"),
        "run",
        "--checks",
        "all",
        "--seed",
        "7",
        "--warnings",
        "off",
    ]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=1_000, env=clean)
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr
    return done.stdout


def answered(url: str) -> int:
    """Requests for inference that had an answer."""
    shown = httpx.get(f"{url}/metrics", timeout=20).text
    return sum(int(float(n)) for n in re.findall(r'requests_total\{[^}]*status="200"[^}]*\} (\S+)', shown))


def test_whatever_is_asked_is_answered_as_the_document_says(url: str) -> None:
    said = judged(
        f"{url}{PATH}", "--exclude-checks", f"{LENIENT},{FITS}", "--max-examples", "15", "--continue-on-failure"
    )
    assert f"Tested: {len(OPERATIONS) - 1}" in said  # all but the document itself


def test_what_fits_the_model_is_answered(url: str, tmp_path: Path) -> None:
    knowing, before = tmp_path / "knowing.json", answered(url)
    knowing.write_text(json.dumps(narrowed(httpx.get(f"{url}{PATH}", timeout=20).json())))
    judged(
        str(knowing), "--url", url, "--exclude-checks", LENIENT, "--mode", "positive", "--phases", "fuzzing", "-n", "30"
    )
    assert answered(url) - before > 100


def narrowed(document: dict[str, Any]) -> dict[str, Any]:
    """The document for those who know the model: its name, its version, its columns; no time-out, no packed or raw bodies."""
    for operations in document["paths"].values():
        for one in operations.values():
            known = {"model": "loans", "version": "1"}
            kept = [at for at in one.get("parameters", []) if at["in"] == "path"]
            one["parameters"] = [{**at, "schema": {"const": known[at["name"]]}} for at in kept]
            content = one.get("requestBody", {}).get("content", {})
            for kind in ("application/octet-stream", "text/csv"):
                content.pop(kind, None)
    del document["paths"]["/v2/repository/models/{model}/unload"]  # refused by its nature
    schemas = document["components"]["schemas"]
    income, name = {"type": "number", "minimum": 0, "maximum": 1e9}, {"type": "string"}
    tensors = [tensor("income", "FP64", income), tensor("id", "BYTES", name)]
    asked = schemas["InferRequest"]["properties"]
    asked["inputs"] = {"type": "array", "prefixItems": tensors, "minItems": 2, "maxItems": 2}
    del asked["parameters"]["properties"]["timeout"]
    asked["outputs"]["items"]["properties"]["name"] = {"enum": ["prediction", "reason", "probability_good"]}
    columns = {"income": income, "id": name}
    row = {"type": "object", "properties": columns, "required": list(columns), "additionalProperties": False}
    schemas["Row"] = row
    forms = {"dataframe_records": row, "instances": row}
    schemas["Invocation"]["oneOf"] = [
        {
            "type": "object",
            "properties": {form: {"type": "array", "items": of, "minItems": 1}},
            "required": [form],
            "additionalProperties": False,
        }
        for form, of in forms.items()
    ]
    return document


def tensor(name: str, datatype: str, value: dict[str, Any]) -> dict[str, Any]:
    properties = {
        "name": {"const": name},
        "datatype": {"const": datatype},
        "shape": {"const": [1]},
        "data": {"type": "array", "items": value, "minItems": 1, "maxItems": 1},
    }
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
