"""What is not on the hot path, as an ordinary ASGI application: health, metadata, metrics."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import modelway
from modelway.errors import DataError, ModelwayError, NotFoundError
from modelway.metrics.port import Exposition
from modelway.serving import openapi, protocol, replies, repository
from modelway.serving.asking import Server
from modelway.serving.models import ColdError, Served
from modelway.serving.status import MethodError, status_of

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_MODEL = "/v2/models/{model}"
EXTENSIONS = ("binary_tensor_data", "model_repository")


def make_app(server: Server, *, guarded: bool = False) -> Starlette:
    """The application; `server` is shared with the hot path. `guarded`: what is open to all says no more than yes or no."""

    async def about(_: Request) -> Response:
        return _json({"name": "modelway", "version": modelway.__version__, "extensions": EXTENSIONS})

    async def live(_: Request) -> Response:
        return _json({"live": True})

    async def ready(_: Request) -> Response:
        table = server.models.table
        told = {"ready": table.ready, "problems": table.problems, "shadow_waiting": server.shadow.waiting}
        return _json({"ready": table.ready} if guarded else told, 200 if table.ready else 503)

    async def metrics(_: Request) -> Response:
        return Response(await asyncio.to_thread(_shown, server), media_type=_TEXT)

    async def metadata(request: Request) -> Response:
        served, version = await _found(server, request.path_params["model"]), request.path_params.get("version")
        named = served.newest if version is None else served.version(version)
        versions = sorted(served.versions) if version is None else [named.number]
        return Response(
            replies.format_metadata(named, versions, served.route.generation), media_type="application/json"
        )

    async def model_ready(request: Request) -> Response:
        model, version = request.path_params["model"], request.path_params.get("version")
        served = await _found(server, model)
        if version is not None:
            served.version(version)
        return _json({"name": model, "ready": True})

    async def index(request: Request) -> Response:
        """Triton's repository extension; a body is {"ready": true}, or none."""
        asked = protocol.parse_object(await request.body() or b"{}")
        told = [asdict(one) for one in repository.listed(server.models.table, asked.get("ready") is True)]
        return _json(told)

    async def load(request: Request) -> Response:
        repository.demand_loaded(server.models.table, request.path_params["model"])
        return _json({})

    async def unload(request: Request) -> Response:
        repository.refuse_unload(server.models.table, request.path_params["model"])
        return _json({})

    async def document(_: Request) -> Response:
        return _json(openapi.document(modelway.__version__))

    async def version_of_mlflow(_: Request) -> Response:
        return Response(modelway.__version__, media_type="text/plain")

    async def ping(_: Request) -> Response:
        return Response(b"\n", 200 if server.models.table.ready else 503, media_type="text/plain")

    asked: Mapping[str, Any] = {
        "/v2": about,
        "/v2/health/live": live,
        "/v2/health/ready": ready,
        "/metrics": metrics,
        "/ping": ping,
        "/health": ping,
        "/version": version_of_mlflow,
        openapi.PATH: document,
        _MODEL: metadata,
        f"{_MODEL}/ready": model_ready,
        f"{_MODEL}/versions/{{version}}": metadata,
        f"{_MODEL}/versions/{{version}}/ready": model_ready,
    }
    routes = [Route(path, answer, methods=["GET"]) for path, answer in asked.items()]
    repository_paths = {
        "/v2/repository/index": index,
        "/v2/repository/models/{model}/load": load,
        "/v2/repository/models/{model}/unload": unload,
    }
    routes += [Route(path, answer, methods=["POST"]) for path, answer in repository_paths.items()]
    posted = [f"{_MODEL}/infer", f"{_MODEL}/versions/{{version}}/infer", *repository_paths]
    posted += ["/predict/{model}", "/predict/{model}/versions/{version}", "/mlflow/{model}/invocations"]
    routes += [Route(path, _only_post, methods=_ALL) for path in posted]
    routes += [Route("/invocations", _which_model, methods=["POST"]), Route("/invocations", _only_post, methods=_ALL)]
    return Starlette(
        routes=routes,
        exception_handlers={ModelwayError: _refused, 404: _no_path, 405: _no_method},
    )


_ALL = ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE"]


async def _which_model(request: Request) -> Response:
    del request
    raise DataError(
        "several models are served, or none", "ask /mlflow/MODEL/invocations, or send the header modelway-model"
    )


async def _only_post(request: Request) -> Response:
    return _told_methods(request, "POST")


async def _no_method(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _told_methods(request, (error.headers or {}).get("Allow", ""))


def _told_methods(request: Request, methods: str) -> Response:
    """RFC 9110, 15.5.6: which ones are answered is said in a header."""
    error = MethodError(f"{request.method} is not answered at {request.url.path}", f"use {methods}")
    return _told(error, {"allow": methods})


async def _no_path(request: Request, error: Exception) -> Response:
    del error
    told = NotFoundError(
        f"no path {request.url.path}", "ask for /v2/models/MODEL/infer; the protocol's paths start with /v2"
    )
    return await _refused(request, told)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, ModelwayError)
    headers = {"retry-after": "1"} if status_of(error) in (429, 503) else {}
    return _told(error, {"allow": ""} if isinstance(error, MethodError) else headers)


def _told(error: ModelwayError, headers: Mapping[str, str]) -> Response:
    return Response(replies.format_error(error), status_of(error), dict(headers), media_type="application/json")


async def _found(server: Server, model: str) -> Served:
    try:
        return server.models.use(model)
    except ColdError:
        await asyncio.to_thread(server.models.warm, model)
        return server.models.use(model)


def _shown(server: Server) -> bytes:
    if not isinstance(server.metrics, Exposition):
        raise NotFoundError("this server's metrics are not shown here", "look where stack.yaml sends them")
    return server.metrics.exposition()


def _json(body: Mapping[str, Any] | list[dict[str, Any]], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
