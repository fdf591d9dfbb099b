"""The OpenAPI document and the server say the same: paths, methods, statuses."""

import re
from collections.abc import Iterator

import httpx
import pytest
from starlette.routing import Route

from modelway.flow.serving import server_of
from modelway.serving.app import make_app
from modelway.serving.openapi import OPERATIONS, PATH, REFUSED, document
from modelway.serving.status import _STATUSES
from tests.support.serving import serving
from tests.unit.serving.made import make_workspace, put_version, request, route


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    workspace = make_workspace(tmp_path_factory.mktemp("openapi"))
    workspace.traffic.apply(route("loans", {1: put_version(workspace)}))
    made = server_of(workspace)
    made.models.look()
    yield made
    workspace.close()


@pytest.fixture(scope="module")
def client(server) -> Iterator[httpx.Client]:
    with serving(server) as url, httpx.Client(base_url=url, timeout=20) as opened:
        yield opened


def test_each_path_of_the_server_is_in_it_and_no_other(server):
    routes = [one for one in make_app(server).routes if isinstance(one, Route)]
    assert {one.path for one in routes} == {one.path for one in OPERATIONS}


def test_each_status_of_an_error_is_told():
    assert {status for _, status in _STATUSES} <= set(REFUSED)


def test_what_it_refers_to_is_there():
    made = document("1")
    for place in set(re.findall(r"#/components/(\w+)/(\w+)", str(made))):
        assert place[1] in made["components"][place[0]], place


def test_each_operation_answers_with_a_status_of_the_document(client):
    bodies = {"infer": request([{"id": "a", "income": 1.0}]), "predict": {"id": "a", "income": 1.0}}
    bodies |= {"invocations": {"instances": [{"id": "a", "income": 1.0}]}, "index": {}}
    told = client.get(PATH).json()
    for one in OPERATIONS:
        path = one.path.replace("{model}", "loans").replace("{version}", "1")
        body = next((body for name, body in bodies.items() if one.name.startswith(name)), None)
        reply = client.request(one.method, path, json=body)
        known = told["paths"][one.path][one.method]["responses"][str(reply.status_code)]
        assert reply.status_code == (405 if one.name == "unload" else 200), one.name
        if "content" in known:
            assert reply.headers["content-type"].partition(";")[0] in known["content"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v2/models/loans/infer", "POST"),
        ("DELETE", "/invocations", "POST"),
        ("POST", "/v2/models/loans/unload", None),
        ("POST", "/v2/repository/models/loans/unload", ""),
        ("PUT", "/v2", "GET, HEAD"),
    ],
)
def test_another_method_is_refused_with_those_that_are_answered(client, method, path, allowed):
    reply = client.request(method, path)
    assert reply.status_code == (404 if allowed is None else 405)
    assert ", ".join(sorted(reply.headers.get("allow", "").split(", "))) == (allowed or "")
