"""The door of HTTP where tokens are asked for: what a path needs, and the refusal of who has it not."""

from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from starlette.routing import BaseRoute, Route

from modelway.serving import replies
from modelway.serving.access import Access, Role
from modelway.serving.status import AccessError, ForbiddenError, status_of
from modelway.serving.wire.connection import Handle
from modelway.serving.wire.exchange import Exchange, Header

_MODEL = "/v2/models/{model}"
ROLES: Mapping[str, Role] = {
    "/v2/health/live": Role.OPEN,
    "/v2/health/ready": Role.OPEN,
    "/ping": Role.OPEN,
    "/health": Role.OPEN,
    "/v2": Role.INFER,
    "/version": Role.INFER,
    "/openapi.json": Role.INFER,
    _MODEL: Role.INFER,
    f"{_MODEL}/ready": Role.INFER,
    f"{_MODEL}/infer": Role.INFER,
    f"{_MODEL}/versions/{{version}}": Role.INFER,
    f"{_MODEL}/versions/{{version}}/ready": Role.INFER,
    f"{_MODEL}/versions/{{version}}/infer": Role.INFER,
    "/predict/{model}": Role.INFER,
    "/predict/{model}/versions/{version}": Role.INFER,
    "/mlflow/{model}/invocations": Role.INFER,
    "/invocations": Role.INFER,
    "/metrics": Role.OPERATE,
    "/v2/repository/index": Role.OPERATE,
    "/v2/repository/models/{model}/load": Role.OPERATE,
    "/v2/repository/models/{model}/unload": Role.OPERATE,
}
"""Of each path of the application; one that does not stand here needs the highest."""
_MOST = 20_000
_LONGEST = 300
"""Targets that are remembered, and bytes of one; more are looked up anew each time."""


class Guarded:
    """Hands on to `handle` what may be asked; used on the event loop's thread."""

    def __init__(self, handle: Handle, access: Access, routes: Sequence[BaseRoute]) -> None:
        self._handle, self._access, self._routes = handle, access, routes
        self._needed: dict[bytes, Role] = {}

    def __call__(self, exchange: Exchange) -> None:
        needed = self._needed.get(exchange.target) or self._found(exchange.target)
        error = self._access.refusal(needed, exchange.fields.get(b"authorization"), "http")
        if error is None:
            self._handle(exchange)
        else:
            exchange.respond(status_of(error), replies.format_error(error), headers=[_challenge(error)])

    def _found(self, target: bytes) -> Role:
        needed = needed_for(self._routes, target)
        if len(self._needed) < _MOST and len(target) <= _LONGEST:
            self._needed[target] = needed
        return needed


def knows(access: Access, fields: Mapping[bytes, bytes]) -> bool:
    """Whether the headers bear a token that holds."""
    return access.role_of(fields.get(b"authorization")) is not None


def needed_for(routes: Sequence[BaseRoute], target: bytes) -> Role:
    """The role that a path needs, the query left out: of all routes that it fits, the highest. A route of another kind fits all.

    What fits none has no effect: to be told so, any token will do. Inference over the hot path is among these at most.
    """
    path = unquote(target.partition(b"?")[0].decode("latin-1"))
    fit = (route for route in routes if not isinstance(route, Route) or route.path_regex.match(path))
    return max((ROLES.get(getattr(route, "path", ""), Role.OPERATE) for route in fit), default=Role.INFER)


def _challenge(error: AccessError) -> Header:
    """RFC 6750, section 3."""
    code = b', error="insufficient_scope"' if isinstance(error, ForbiddenError) else b""
    code = code or (b', error="invalid_token"' if error.reason == "unknown" else b"")
    return b"www-authenticate", b'Bearer realm="modelway"' + code
