"""The gRPC server: its port, its limits, its calls, health and reflection.

grpcio's server for asyncio ends when a call's path is no UTF-8, whoever sent it: it is opened again at once.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from modelway.errors import ModelwayError, ServerError
from modelway.serving.access import Access
from modelway.serving.asking import Asking
from modelway.serving.grpc import inference_pb2 as messages
from modelway.serving.grpc.codes import code_of, details_of
from modelway.serving.grpc.edge import Edge
from modelway.serving.grpc.guarded import Guard
from modelway.serving.grpc.reading import parsed
from modelway.serving.models import VERSION_HEADER
from modelway.serving.wire.limits import DEFAULT, Limits

SERVICE: str = messages.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
_LOOK_SECONDS = 0.1
"""How often health is compared with the models' readiness, and looked whether the server still stands."""
_WINDOW = 1024 * 1024
"""Bytes of a call that may be on their way: fixed, since finding a width out costs a ping for each request that is read."""
_CALLS_OF_ONE = 1_024
"""Calls under way on one connection; more wait in the client."""
_PING_SECONDS = 10
"""Clients may ask for a sign of life this often, even without calls; the default, 5 minutes, cuts those that keep alive."""
_log = logging.getLogger("modelway.serving")


@dataclass(frozen=True, slots=True)
class _Opened:
    server: Any
    health: Any
    port: int


class Listener:
    """A server that answers; `port` is the one that it has. `again` opens another one at a port."""

    def __init__(self, now: _Opened, again: Callable[[int], _Opened], asking: Asking) -> None:
        self._now, self._again, self._asking, self.port = now, again, asking, now.port
        self._looking = asyncio.create_task(self._look())

    async def stop(self, grace_seconds: float) -> None:
        """Take no more calls, let those under way end, then cut what is left."""
        self._looking.cancel()
        with suppress(asyncio.CancelledError):
            await self._looking
        await self._now.health.enter_graceful_shutdown()
        await self._now.server.stop(grace_seconds)

    async def _look(self) -> None:
        """For ever: who watches is told when the models become ready, or no longer are."""
        before = self._asking.server.models.table.ready
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = self._asking.server.models.table.ready
            if not self._now.server._server.is_running():
                await self._open_again()
            elif now != before:
                await _tell(self._now.health, self._asking)
            before = now

    async def _open_again(self) -> None:
        _log.error("gRPC has ended by itself, by a call that it could not read, and is opened again")
        with suppress(UnicodeDecodeError):  # what has ended it
            await self._now.server.stop(None)
        try:
            self._now = self._again(self.port)
        except ServerError as error:  # the port is not free yet: at the next look
            _log.error("%s", error)
            return
        await _tell(self._now.health, self._asking)
        await self._now.server.start()


async def open_listener(
    asking: Asking,
    host: str,
    port: int,
    limits: Limits = DEFAULT,
    *,
    shared: bool = False,
    credentials: grpc.ServerCredentials | None = None,
    access: Access | None = None,
    fix: str = "",
) -> Listener:
    """From now on the running loop answers. `port` 0 takes a free one, `shared` one that other processes may have too.

    Without `credentials` nothing is encrypted; without `access` everybody is answered. Raises ServerError, with this `fix`, when
    the address cannot be bound.
    """
    calls, guards = _Handlers(Edge(asking)), None if access is None else [Guard(access)]

    def opened(number: int) -> _Opened:
        server = aio.server(
            interceptors=guards, options=_options(limits, shared), maximum_concurrent_rpcs=limits.connections
        )
        server.add_generic_rpc_handlers((calls,))
        servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        taken = _bind(server, f"[{host}]:{number}" if ":" in host else f"{host}:{number}", credentials, fix)
        return _Opened(server, servicer, taken)

    first = opened(port)
    await _tell(first.health, asking)
    await first.server.start()
    return Listener(first, opened, asking)


def _options(limits: Limits, shared: bool) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", limits.body),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", limits.head),
        ("grpc.max_concurrent_streams", _CALLS_OF_ONE),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _PING_SECONDS * 1000),
        ("grpc.so_reuseport", int(shared)),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", _WINDOW),
    ]


def _bind(server: Any, address: str, credentials: grpc.ServerCredentials | None, fix: str) -> int:
    try:
        if credentials is None:
            return int(server.add_insecure_port(address))
        return int(server.add_secure_port(address, credentials))
    except RuntimeError as error:
        raise ServerError(f"{address}: gRPC cannot listen there: {error}", fix) from error


class _Handlers(grpc.GenericRpcHandler):
    """The calls; inference for a tester who names a version in the metadata, which are read here since they are at hand."""

    def __init__(self, edge: Edge) -> None:
        self._edge, self._plain = edge, grpc.method_handlers_generic_handler(SERVICE, _calls(edge))

    def service(self, handler_call_details: Any) -> Any:
        for key, value in handler_call_details.invocation_metadata:
            if key == VERSION_HEADER:
                return self._named(handler_call_details, value)
        return self._plain.service(handler_call_details)

    def _named(self, details: Any, version: str) -> Any:
        if details.method == f"/{SERVICE}/ModelInfer":
            return grpc.unary_unary_rpc_method_handler(partial(self._edge.infer, version=version))
        if details.method == f"/{SERVICE}/ModelStreamInfer":
            return grpc.stream_stream_rpc_method_handler(partial(self._edge.stream, version=version))
        return self._plain.service(details)


def _calls(edge: Edge) -> Mapping[str, Any]:
    """Bytes in; what is no message is refused here, since gRPC would call it an error of the server."""
    asked: Mapping[str, Callable[[Any], Any]] = {
        "ServerLive": edge.live,
        "ServerReady": edge.ready,
        "ModelReady": edge.model_ready,
        "ServerMetadata": edge.about,
        "ModelMetadata": edge.metadata,
        "RepositoryIndex": edge.index,
        "RepositoryModelLoad": edge.load,
        "RepositoryModelUnload": edge.unload,
    }
    return {
        "ModelInfer": grpc.unary_unary_rpc_method_handler(edge.infer),
        "ModelStreamInfer": grpc.stream_stream_rpc_method_handler(edge.stream),
        **{
            name: grpc.unary_unary_rpc_method_handler(
                _answering(answer, getattr(messages, f"{name}Request")),
                response_serializer=getattr(messages, f"{name}Response").SerializeToString,
            )
            for name, answer in asked.items()
        },
    }


def _answering(answer: Callable[[Any], Any], kind: Any) -> Callable[[Any, Any], Any]:
    async def call(body: bytes, context: Any) -> Any:
        try:
            return answer(parsed(kind, body))
        except ModelwayError as error:
            await context.abort(code_of(error), details_of(error))
            raise

    return call


async def _tell(servicer: Any, asking: Asking) -> None:
    status = health_pb2.HealthCheckResponse
    now = status.SERVING if asking.server.models.table.ready else status.NOT_SERVING
    for service in ("", SERVICE):
        await servicer.set(service, now)
