"""The server as an ASGI application: paths of the Open Inference Protocol, V2, to answers; one request in one place.

A request is answered by one function, from the body's bytes to the reply's: on the event loop when it is short, else in a
thread. The prediction events are handed to the log before the reply is sent; scoring in shadow comes after it.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

import modelway
from modelway.clock import Clock
from modelway.errors import DataError, EngineError, ModelwayError, NotFoundError, StateError
from modelway.metrics.memory import MemoryMetrics
from modelway.metrics.port import Exposition, Metrics
from modelway.serving import protocol, replies
from modelway.serving.answer import answer_rows, failed_rows
from modelway.serving.log import PredictionLog, prediction_events
from modelway.serving.measured import DROPPED, Measured
from modelway.serving.models import Models, Served
from modelway.serving.servable import Servable, nowhere
from modelway.serving.shadow import Echo, Shadow

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
LARGEST_BODY = 32 * 1024 * 1024
"""Bytes of a request that the server reads; more is refused with 413."""
_SHORT = 16 * 1024
"""Bytes up to which a request is answered on the event loop: a thread would cost more than it gives."""
_JSON, _TEXT = b"application/json", b"text/plain; version=0.0.4; charset=utf-8"
_log = logging.getLogger("modelway.serving")


@dataclass(frozen=True)
class Server:
    """What the application works with; `new_id` names a request whose client gave it no id."""

    models: Models
    log: PredictionLog
    shadow: Shadow
    clock: Clock
    metrics: Metrics = field(default_factory=MemoryMetrics)
    largest_body: int = LARGEST_BODY
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent, and the request to be scored in shadow once it was."""

    body: bytes
    status: int = 200
    echo: Echo | None = None
    kind: bytes = _JSON


def make_app(server: Server) -> App:
    """The application; its models are looked after elsewhere (`models.keep_looking`)."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        measured = Measured(server.metrics)
        try:
            reply = await _reply(server, scope, receive, measured)
        except ModelwayError as error:
            reply = Reply(replies.format_error(error), _status(error))
        except Exception:  # noqa: BLE001 - the edge of the process: a client must get an answer, and the log the traceback
            _log.exception("%s %s", scope["method"], scope["path"])
            broken = EngineError("the server failed on this request", "see its log: .modelway/logs/server.log")
            reply = Reply(replies.format_error(broken), 500)
        measured.end(reply.status)
        await _send(send, reply)
        if reply.echo is not None and not server.shadow.offer(reply.echo):
            server.metrics.count(DROPPED, model=measured.model)

    return app


async def _reply(server: Server, scope: Scope, receive: Receive, measured: Measured) -> Reply:
    parts = [part for part in scope["path"].split("/") if part]
    match parts:
        case ["v2"]:
            _demand(scope, "GET")
            return _json({"name": "modelway", "version": modelway.__version__, "extensions": []})
        case ["v2", "health", "live"]:
            _demand(scope, "GET")
            return _json({"live": True})
        case ["v2", "health", "ready"]:
            _demand(scope, "GET")
            ready = server.models.table.ready
            told = {"ready": ready, "problems": server.models.table.problems, "shadow_waiting": server.shadow.waiting}
            return _json(told, 200 if ready else 503)
        case ["v2", "models", model, *rest]:
            return await _of_model(server, model, rest, scope, receive, measured)
        case ["metrics"]:
            _demand(scope, "GET")
            return Reply(await asyncio.to_thread(_shown, server.metrics), kind=_TEXT)
    raise NotFoundError(
        f"no path {scope['path']}", "ask for /v2/models/MODEL/infer; the protocol's paths start with /v2"
    )


def _shown(metrics: Metrics) -> bytes:
    if not isinstance(metrics, Exposition):
        raise NotFoundError("this server's metrics are not shown here", "look where stack.yaml sends them")
    return metrics.exposition()


async def _of_model(
    server: Server, model: str, rest: Sequence[str], scope: Scope, receive: Receive, measured: Measured
) -> Reply:
    version = None
    if rest[:1] == ["versions"] and len(rest) > 1:
        version, rest = rest[1], rest[2:]
    table = server.models.table
    measured.inference = rest == ["infer"]
    measured.model = model if model in table.models or model in table.problems else ""
    served = table.get(model)
    if measured.inference:
        _demand(scope, "POST")
        body = await _body(scope, receive, server.largest_body)
        measured.begin()
        if len(body) <= _SHORT and all(s.upto is nowhere for s in served.versions.values()):
            return _infer(server, served, version, body, measured)
        return await asyncio.to_thread(_infer, server, served, version, body, measured)
    _demand(scope, "GET")
    named = served.newest if version is None else served.version(version)
    if rest == ["ready"]:
        return _json({"name": model, "ready": True})
    if not rest:
        versions = sorted(served.versions) if version is None else [named.number]
        return Reply(replies.format_metadata(named, versions, served.route.generation))
    raise NotFoundError(f"no path {scope['path']}", f"ask for /v2/models/{model}, …/ready or …/infer")


def _infer(server: Server, served: Served, version: str | None, body: bytes, measured: Measured) -> Reply:
    """From bytes to bytes; the events are in the log when it returns."""
    began = time.perf_counter()
    asked = protocol.parse_request(body)
    request = asked.id or server.new_id()
    servable = served.choose(_caller(served, asked, request)) if version is None else served.version(version)
    measured.version = str(servable.number)
    outputs = replies.chosen_outputs(servable.manifest, asked.outputs)
    rows = protocol.read_rows(asked, servable.required, servable.optional)
    upto: Mapping[str, int] = {}
    served_at = server.clock.now()

    def write(answers: Any) -> None:
        ms = (time.perf_counter() - began) * 1000
        events = prediction_events(servable, request, answers, served=served_at, ms=ms, upto=upto)
        server.log.write(servable.manifest.model, events)
        measured.rows(answers)

    try:
        upto = {str(partition): offset for partition, offset in servable.upto().items()}
        answers = answer_rows(servable, request, rows, served_at)
    except EngineError as error:
        write(failed_rows(servable, request, rows, served_at, error.problem))
        raise
    write(answers)
    other = served.other(servable) if version is None else None
    echo = None if other is None else Echo(other, request, rows, served_at)
    return Reply(replies.format_answers(servable, request, answers, upto, outputs), 200, echo)


def _caller(served: Served, asked: protocol.Asked, request: str) -> str:
    """By whom shares are drawn: the caller that the client names, else the row's first entity, else the request."""
    if len(served.versions) == 1:
        return ""
    entities: Servable = served.newest
    named = (asked.first(name) for name in entities.manifest.entities)
    return asked.routing_key or next((protocol.as_text(v) for v in named if v not in (None, "")), request)


async def _body(scope: Scope, receive: Receive, largest: int) -> bytes:
    told = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if told.isdigit() and int(told) > largest:
        raise _TooLargeError(largest)
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise DataError("the client went away in the middle of its request")
        piece = message.get("body", b"")
        size += len(piece)
        if size > largest:
            raise _TooLargeError(largest)
        pieces.append(piece)
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class _TooLargeError(DataError):
    def __init__(self, largest: int) -> None:
        super().__init__(f"the body is larger than {largest:,} bytes", "send fewer rows in one request")


class _MethodError(DataError): ...


def _demand(scope: Scope, method: str) -> None:
    if scope["method"] != method:
        raise _MethodError(f"{scope['method']} is not answered at {scope['path']}", f"use {method}")


def _status(error: ModelwayError) -> int:
    statuses = (
        (_TooLargeError, 413),
        (_MethodError, 405),
        (NotFoundError, 404),
        (DataError, 400),
        (StateError, 503),
        (EngineError, 503),
    )
    return next((status for kind, status in statuses if isinstance(error, kind)), 500)


def _json(body: Mapping[str, Any], status: int = 200) -> Reply:
    return Reply(orjson.dumps(body), status)


async def _send(send: Send, reply: Reply) -> None:
    length = str(len(reply.body)).encode()
    headers = [(b"content-type", reply.kind), (b"content-length", length)]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
