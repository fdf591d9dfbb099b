"""An ASGI application behind the wire."""

import asyncio

import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from modelway.serving.wire.asgi import answering
from tests.support.wire import chunked, get, post, until, wired


async def told(request: Request) -> Response:
    body = await request.body()
    seen = {
        "method": request.method,
        "path": request.scope["path"],
        "query": dict(request.query_params),
        "body": body.decode(),
        "scheme": request.url.scheme,
        "header": request.headers.get("x-it", ""),
        "client": request.client.host if request.client else "",
    }
    return JSONResponse(seen, headers={"X-Mine": "yes"})


async def fails(_: Request) -> Response:
    raise ZeroDivisionError("a fault of the application")


async def streams(_: Request) -> Response:
    async def pieces():
        for n in range(5):
            await asyncio.sleep(0)
            yield f"{n};"

    return StreamingResponse(pieces(), media_type="text/plain")


async def splits(request: Request) -> Response:
    return PlainTextResponse("x", headers={"x-split": request.query_params["it"]})


async def lies(_: Request) -> Response:
    """Headers that are the wire's own affair."""
    told = {"connection": "close", "transfer-encoding": "chunked", "date": "never", "content-length": "1"}
    return Response(b"12345", headers=told, media_type="text/plain")


async def elsewhere(_: Request) -> Response:
    return RedirectResponse("/told")


async def nothing(_scope, _receive, _send) -> None:
    """Ends without an answer."""


ROUTES = {
    "/told/{more:path}": told,
    "/told": told,
    "/fails": fails,
    "/streams": streams,
    "/splits": splits,
    "/lies": lies,
}
ROUTES |= {"/elsewhere": elsewhere}


@pytest.fixture
def served(loop):
    methods = ["GET", "POST", "PUT", "DELETE"]
    app = Starlette(routes=[Route(path, made, methods=methods) for path, made in ROUTES.items()])
    with wired(handle=answering(app), loop=loop) as server:
        yield server


def test_what_was_asked_arrives(client):
    reply = client.send(post(b"hello", "/told/a%20b/%C3%A4?x=1&y=a%26b", "X-It: v")).reply()
    assert reply.headers["x-mine"] == "yes"
    assert reply.headers["content-type"] == "application/json"
    assert orjson.loads(reply.body) == {
        "method": "POST",
        "path": "/told/a b/ä",
        "query": {"x": "1", "y": "a&b"},
        "body": "hello",
        "scheme": "http",
        "header": "v",
        "client": "127.0.0.1",
    }


def test_a_body_in_chunks_and_no_body(client):
    assert b'"body":"hello"' in client.send(chunked(b"hel", b"lo", target="/told")).reply().body
    assert b'"body":""' in client.send(get("/told")).reply().body


def test_head_is_answered_without_a_body(client):
    reply = client.send(get("/told").replace(b"GET", b"HEAD")).reply(head=True)
    assert reply.status == 200
    assert int(reply.headers["content-length"]) > 10
    assert client.send(get("/told")).reply().status == 200


def test_a_stream_is_sent_whole(client):
    reply = client.send(get("/streams")).reply()
    assert (reply.body, reply.headers["content-length"]) == (b"0;1;2;3;4;", "10")


def test_what_the_application_does_not_have(client):
    assert client.send(get("/nowhere")).reply().status == 404
    assert client.send(get("/told").replace(b"GET", b"PATCH")).reply().status == 405
    assert client.send(get("*").replace(b"GET", b"OPTIONS")).reply().status == 404
    reply = client.send(get("/elsewhere")).reply()
    assert (reply.status, reply.headers["location"]) == (307, "/told")


def test_a_fault_of_the_application_is_logged_and_answered(client, caplog):
    assert client.send(get("/fails")).reply().status == 500
    assert client.send(get("/told")).reply().status == 200
    assert "ZeroDivisionError: a fault of the application" in caplog.text


def test_the_application_does_not_frame_the_answer(client):
    reply = client.send(get("/lies")).reply()
    assert (reply.body, reply.headers["content-length"]) == (b"12345", "5")
    assert "transfer-encoding" not in reply.headers
    assert reply.headers["date"].endswith("GMT")
    assert client.send(get("/told")).reply().status == 200


@pytest.mark.parametrize("it", ["a%0D%0Ab:%20c", "a%0Ab", "a%0Db"])
def test_a_client_cannot_split_the_answer(client, it, caplog):
    reply = client.send(get(f"/splits?it={it}")).reply()
    assert reply.status == 500
    assert "b" not in reply.headers
    assert "line end" in caplog.text


def test_an_application_that_says_nothing(loop):
    with wired(handle=answering(nothing), loop=loop) as served:
        assert served.client().send(get()).reply().status == 500


def test_an_application_that_waits_for_the_client_to_go_is_told(loop):
    gone = []

    async def waits(scope, receive, send) -> None:
        await receive()
        gone.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    with wired(handle=answering(waits), loop=loop) as served:
        client = served.client().send(get())
        assert client.silent()
        assert gone == []
        client.reset()
        until(lambda: served.connections() == 0)
    assert gone == ["http.disconnect"]
