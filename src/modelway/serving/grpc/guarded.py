"""The door of gRPC where tokens are asked for: what a call needs, and the refusal of who has it not."""

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


class Guard(aio.ServerInterceptor):
    """Lets through what may be asked."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], call: Any) -> Any:
        """The handler of the call, or one that refuses it before any message of it is read."""
        given = next((value for name, value in call.invocation_metadata if name == "authorization"), None)
        header = given.encode() if isinstance(given, str) else given
        error = self._access.refusal(ROLES.get(call.method, Role.OPERATE), header, "grpc")
        return await continuation(call) if error is None else _refusing(error)


def _refusing(error: AccessError) -> Any:
    """A stream, since its handler is called at once; a client that sends one message sees the same status."""

    async def refuse(_: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        await context.abort(code_of(error), details_of(error))
        yield b""  # never reached: what makes this a stream of answers

    return grpc.stream_stream_rpc_method_handler(refuse)
