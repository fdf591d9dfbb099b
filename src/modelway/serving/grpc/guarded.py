"""The door of gRPC where tokens are asked for: what a call needs, and the refusal of who has it not."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import grpc
from grpc import aio

from modelway.serving.access import Access, Role
from modelway.serving.grpc import inference_pb2 as messages
from modelway.serving.grpc.codes import code_of, details_of
from modelway.serving.status import AccessError

_SERVICE: str = messages.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
_HEALTH, _REFLECTION = "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"
ROLES: Mapping[str, Role] = {
    f"/{_HEALTH}/Check": Role.OPEN,
    f"/{_HEALTH}/Watch": Role.OPEN,
    f"/{_SERVICE}/ServerLive": Role.OPEN,
    f"/{_SERVICE}/ServerReady": Role.OPEN,
    f"/{_SERVICE}/ServerMetadata": Role.INFER,
    f"/{_SERVICE}/ModelReady": Role.INFER,
    f"/{_SERVICE}/ModelMetadata": Role.INFER,
    f"/{_SERVICE}/ModelInfer": Role.INFER,
    f"/{_SERVICE}/ModelStreamInfer": Role.INFER,
    f"/{_REFLECTION}/ServerReflectionInfo": Role.INFER,
    f"/{_SERVICE}/RepositoryIndex": Role.OPERATE,
    f"/{_SERVICE}/RepositoryModelLoad": Role.OPERATE,
    f"/{_SERVICE}/RepositoryModelUnload": Role.OPERATE,
}
"""Of each call; one that does not stand here needs the highest."""


_DECODES = "grpc._cython.cygrpc"
"""The logger of grpcio that writes out a header's value when it is no UTF-8: a token with one wrong byte behind it, for example."""


class Guard(aio.ServerInterceptor):
    """Lets through what may be asked; from then on no header's value is in the log of this process."""

    def __init__(self, access: Access) -> None:
        self._access = access
        logging.getLogger(_DECODES).addFilter(_without_value)

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], call: Any) -> Any:
        """The handler of the call, or one that refuses it before any message of it is read."""
        given = next((value for name, value in call.invocation_metadata if name == "authorization"), None)
        header = given.encode() if isinstance(given, str) else given
        error = self._access.refusal(ROLES.get(call.method, Role.OPERATE), header, "grpc")
        return await continuation(call) if error is None else _refusing(error)


def _without_value(record: logging.LogRecord) -> bool:
    if str(record.msg).startswith("Invalid encoding"):
        record.msg, record.args, record.exc_info = "a header of a call is no UTF-8", (), None
    return True


def _refusing(error: AccessError) -> Any:
    """A stream, since its handler is called at once; a client that sends one message sees the same status."""

    async def refuse(_: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        await context.abort(code_of(error), details_of(error))
        yield b""  # never reached: what makes this a stream of answers

    return grpc.stream_stream_rpc_method_handler(refuse)
