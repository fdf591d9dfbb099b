"""Who may ask for what: pure, and at the doors of both protocols, for every path and every call."""

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Mount

from modelway.flow.serving import server_of
from modelway.metrics.memory import MemoryMetrics
from modelway.secrets.tokens import digest_of, make_token
from modelway.serving.access import Access, Role
from modelway.serving.app import make_app
from modelway.serving.front import Front
from modelway.serving.grpc import guarded as calls
from modelway.serving.grpc.listener import _calls
from modelway.serving.guarded import ROLES, needed_for
from modelway.serving.measured import WIRE_REFUSALS
from modelway.serving.status import ForbiddenError, UnauthenticatedError
from modelway.testing.metrics import parse_exposition, sample
from tests.support import http2
from tests.support.serving import serving_both
from tests.unit.serving.made import becomes, make_workspace, put_version, request, route
from tests.unit.serving.test_grpc import ONE, infer_request

TOKENS = {role: make_token() for role in (Role.INFER, Role.OPERATE)}
ROUTES = make_app(None).routes  # type: ignore[arg-type]  # no path is asked for
ROW = request([{"id": "a", "income": 1.0}])
CASES = [(route.path, method) for route in ROUTES for method in sorted(route.methods)]  # type: ignore[attr-defined]
WRONG = {
    "none": None,
    "empty": "",
    "no scheme": TOKENS[Role.OPERATE],
    "another scheme": f"Basic {TOKENS[Role.OPERATE]}",
    "no token": "Bearer",
    "an equal prefix": f"Bearer {TOKENS[Role.OPERATE][:-1]}",
    "one letter more": f"Bearer {TOKENS[Role.OPERATE]}A",
    "the last letter": f"Bearer {TOKENS[Role.OPERATE][:-1]}{'A' if TOKENS[Role.OPERATE][-1] != 'A' else 'B'}",
    "another": f"Bearer {make_token()}",
    "its digest": f"Bearer {digest_of(TOKENS[Role.OPERATE].encode()).hex()}",
    "two": f"Bearer {TOKENS[Role.OPERATE]}, Bearer {TOKENS[Role.OPERATE]}",
}


def access(**more: Any) -> Access:
    made = Access(**more)
    made.know({digest_of(token.encode()): role for role, token in TOKENS.items()})
    return made


def bearer(role: Role) -> dict[str, str]:
    return {} if role is Role.OPEN else {"authorization": f"Bearer {TOKENS[role]}"}


# -- pure ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
def test_a_token_has_its_role(scheme):
    for role, token in TOKENS.items():
        assert access().role_of(f"{scheme}{token}".encode()) is role
        assert access().role_of(f"{scheme}{token} ".encode()) is role


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_token_of_these_has_none(what):
    given = WRONG[what]
    assert access().role_of(None if given is None else given.encode()) is None


@given(st.binary(max_size=60))
def test_nothing_else_has_a_role(text):
    for header in (text, b"Bearer " + text):
        assert access().role_of(header) is None


def test_each_role_may_what_those_before_it_may():
    for needed in Role:
        for held in Role:
            header = bearer(held).get("authorization")
            error = access().refusal(needed, header.encode() if header else None, "http")
            assert (error is None) == (held >= needed)
            if error is not None:
                wanted = UnauthenticatedError if held is Role.OPEN else ForbiddenError
                assert isinstance(error, wanted)
                assert error.fix


def test_what_is_known_is_replaced_as_a_whole():
    made, header = access(), f"Bearer {TOKENS[Role.INFER]}".encode()
    made.know({})
    assert made.role_of(header) is None
    made.know({digest_of(TOKENS[Role.INFER].encode()): Role.OPERATE})
    assert made.role_of(header) is Role.OPERATE


# -- HTTP ------------------------------------------------------------------------------------------------------------------


def test_every_path_has_a_role_and_no_role_is_of_none():
    assert {path for path, _ in CASES} == set(ROLES)


def test_what_is_on_no_list_needs_the_highest_role(monkeypatch):
    assert needed_for(ROUTES, b"/metrics?x=1") is Role.OPERATE
    monkeypatch.delitem(ROLES, "/ping")  # type: ignore[arg-type]
    assert needed_for(ROUTES, b"/ping") is Role.OPERATE
    assert needed_for([*ROUTES, Mount("/console", lambda *given: None)], b"/console/all") is Role.OPERATE


WORDS = [
    "v2",
    "health",
    "live",
    "ready",
    "ping",
    "metrics",
    "models",
    "infer",
    "predict",
    "repository",
    "",
    "..",
    "%2F",
]


@given(
    st.lists(st.sampled_from(WORDS), max_size=6),
    st.sampled_from(["", "?", "?a=/ping", "/", "%0A", ";a"]),
    st.booleans(),
)
def test_only_health_is_open_however_a_path_is_written(words, tail, quoted):
    path = "/" + "/".join(words)
    target = ((quote(path, safe="") if quoted else path) + tail).encode()
    front = Front(None, tuple, lambda exchange: None)  # type: ignore[arg-type]
    if needed_for(ROUTES, target) is Role.OPEN:
        assert unquote(target.partition(b"?")[0].decode()).rstrip("\n") in {p for p in ROLES if ROLES[p] is Role.OPEN}
        assert front._read(target) is front._else


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    made = make_workspace(tmp_path_factory.mktemp("access"))
    made.traffic.apply(route("loans", {1: put_version(made)}))
    yield made
    made.close()


@pytest.fixture(scope="module")
def metrics() -> MemoryMetrics:
    return MemoryMetrics()


@pytest.fixture(scope="module")
def both(workspace, metrics) -> Iterator[tuple[str, str]]:
    server = server_of(workspace, 0, metrics)
    server.models.look()
    with serving_both(server, access=access()) as found:
        yield found


@pytest.fixture(scope="module")
def client(both):
    with httpx.Client(base_url=both[0], timeout=20) as opened:
        yield opened


def ask(client: httpx.Client, path: str, method: str, headers: dict[str, str]) -> httpx.Response:
    """Inference is asked with a row."""
    place = path.replace("{model}", "loans").replace("{version}", "1")
    body = {"json": {"id": "a", "income": 1.0} if "predict" in path else ROW} if method == "POST" else {}
    if "invocations" in path and method == "POST":
        body = {"json": {"dataframe_records": [{"id": "a", "income": 1.0}]}}
    return client.request(method, place, headers=headers, **body)


# CONNECT names no path of a server: the wire refuses it.
@pytest.mark.parametrize(("path", "method"), [case for case in CASES if case[1] != "CONNECT"])
def test_the_roles_are_kept_apart_on_every_path(client, path, method):
    needed = ROLES[path]
    for held in Role:
        reply = ask(client, path, method, bearer(held))
        if held >= needed:
            assert reply.status_code not in (401, 403)
            continue
        assert reply.status_code == (401 if held is Role.OPEN else 403)
        challenge = 'Bearer realm="modelway"' + ("" if held is Role.OPEN else ', error="insufficient_scope"')
        assert reply.headers["www-authenticate"] == challenge
        if method != "HEAD":
            assert "fix: send" in reply.json()["error"]


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_token_is_refused_over_http(client, what):
    given = WRONG[what]
    for path in ("/v2/models/loans/infer", "/metrics", "/nowhere"):
        reply = client.post(path, headers={} if given is None else {"authorization": given}, json=ROW)
        assert reply.status_code == 401
        assert reply.headers["www-authenticate"].startswith('Bearer realm="modelway"')
        assert all(token[-20:] not in reply.text for token in TOKENS.values())


def test_a_path_that_is_none_is_told_to_whoever_has_a_token(client):
    assert client.get("/nowhere").status_code == 401
    for role in TOKENS:
        assert client.get("/nowhere", headers=bearer(role)).status_code == 404


def test_what_is_open_says_no_more_than_yes_or_no(client):
    assert client.get("/v2/health/ready").json() == {"ready": True}


def test_a_connection_goes_on_after_a_refusal(client):
    """And the token is asked of each request anew."""
    for _ in range(3):
        assert ask(client, "/v2/models/{model}/infer", "POST", bearer(Role.INFER)).status_code == 200
        assert ask(client, "/v2/models/{model}/infer", "POST", {}).status_code == 401


@pytest.mark.parametrize("chunks", [False, True])
def test_who_has_no_token_cannot_make_the_server_keep_a_large_body(client, metrics, chunks):
    """Not even where no token is needed; it is refused before it was read."""
    large, small = b" " * 2_000_000 + json.dumps(ROW).encode(), json.dumps(ROW).encode()

    def post(path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        return client.post(path, headers=headers, content=iter([body]) if chunks else body)

    assert post("/v2/models/loans/infer", large, bearer(Role.INFER)).status_code == 200

    def counted() -> float:
        told = sample(WIRE_REFUSALS, status="413", reason="stranger_body")
        return parse_exposition(metrics.exposition()).get(told, 0)

    before = counted()
    for path in ("/v2/models/loans/infer", "/ping"):
        for headers in ({}, {"authorization": f"Bearer {make_token()}"}):
            reply = post(path, large, headers)
            assert reply.status_code == 413
            assert "no token came with it" in reply.json()["error"]
    assert counted() == before + 4
    assert post("/v2/models/loans/infer", small, {}).status_code == 401


# -- gRPC ------------------------------------------------------------------------------------------------------------------

HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"]
REFLECTION = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"]


def status(channel: grpc.Channel, call: str, headers: dict[str, str]) -> tuple[grpc.StatusCode, str]:
    """As a client would ask it, a stream or not."""
    several = call.endswith(("Watch", "ModelStreamInfer", "ServerReflectionInfo"))
    body = infer_request(ONE, True, id="g").SerializeToString() if call.endswith("Infer") else b""
    metadata = tuple(headers.items())
    try:
        if call.endswith("Watch"):
            running = channel.unary_stream(call)(body, timeout=20, metadata=metadata)
            next(running)
            running.cancel()
        elif several:
            for _ in channel.stream_stream(call)(iter([body]), timeout=20, metadata=metadata):
                pass
        else:
            channel.unary_unary(call)(body, timeout=20, metadata=metadata)
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


@pytest.fixture(scope="module")
def channel(both):
    with grpc.insecure_channel(both[1]) as opened:
        yield opened


def test_every_call_has_a_role_and_no_role_is_of_none():
    ours = {f"/{calls._SERVICE}/{name}" for name in _calls(_Anything())}
    others = {f"/{service.full_name}/{name}" for service in (HEALTH, REFLECTION) for name in service.methods_by_name}
    assert ours | others == set(calls.ROLES)


class _Anything:
    def __getattr__(self, name: str) -> Any:
        return lambda *given: None


@pytest.mark.parametrize("call", calls.ROLES)
def test_the_roles_are_kept_apart_on_every_call(channel, call):
    refused = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
    for held in Role:
        code, told = status(channel, call, bearer(held))
        if held >= calls.ROLES[call]:
            assert code not in refused
        else:
            assert code is refused[held is not Role.OPEN]
            assert "fix: send" in told


@pytest.mark.parametrize("what", [what for what in WRONG if WRONG[what] is not None])
def test_a_wrong_token_is_refused_over_grpc(channel, what):
    for call in (f"/{calls._SERVICE}/ModelInfer", f"/{calls._SERVICE}/ModelStreamInfer", "/nowhere/Nothing"):
        code, told = status(channel, call, {"authorization": str(WRONG[what])})
        assert code is grpc.StatusCode.UNAUTHENTICATED
        assert all(token[-20:] not in told for token in TOKENS.values())


def test_a_stream_that_sends_nothing_is_refused_at_once(channel):
    """Its handler does not wait for a message."""
    waiting = channel.stream_stream(f"/{calls._SERVICE}/ModelStreamInfer")(_silent(), timeout=20)
    with pytest.raises(grpc.RpcError) as told:
        next(waiting)
    assert told.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_token_with_a_wrong_byte_in_it_is_in_no_log(both, caplog):
    """grpcio would write it out; its clients send no such header."""
    head = {":method": "POST", ":scheme": "http", ":path": f"/{calls._SERVICE}/ModelReady", ":authority": "a"}
    head |= {"te": "trailers", "content-type": "application/grpc", "authorization": f"Bearer {TOKENS[Role.INFER]}!"}
    packed = http2.headers(head).replace(b"!", b"\xff")
    asked = http2.frame(http2.HEADERS, packed, 1, http2.END_HEADERS | http2.END_STREAM)
    with _connected(both[1]) as client:
        client.sendall(http2.PREFACE + http2.frame(http2.SETTINGS) + asked)
        got = b""
        while b"grpc-status" not in got:
            got += client.recv(4096) or pytest.fail("the connection was closed")
    assert b"is not known" in got
    assert "a header of a call is no UTF-8" in caplog.text
    assert TOKENS[Role.INFER] not in caplog.text


def test_tokens_are_asked_for_when_grpc_was_opened_again(workspace, caplog):
    server = server_of(workspace)
    server.models.look()
    with serving_both(server, access=access()) as (_, address), _connected(address) as client:
        bad = [one.replace(b"ModelX", b"Model\xbc") for one in http2.call(f"/{calls._SERVICE}/ModelX", b"", 1)]
        client.sendall(http2.PREFACE + http2.frame(http2.SETTINGS) + b"".join(bad))
        becomes(lambda: "is opened again" in caplog.text)
        index = f"/{calls._SERVICE}/RepositoryIndex"
        with grpc.insecure_channel(address) as channel:
            becomes(lambda: status(channel, index, bearer(Role.OPERATE))[0] is grpc.StatusCode.OK)
            assert status(channel, index, {})[0] is grpc.StatusCode.UNAUTHENTICATED
            assert status(channel, index, bearer(Role.INFER))[0] is grpc.StatusCode.PERMISSION_DENIED


def _connected(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), 20)


def _silent() -> Iterator[bytes]:
    threading.Event().wait(1)  # the channel's own thread waits here, nobody else
    yield from ()
