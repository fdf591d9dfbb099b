"""Which part of the server answers an exchange: the hot path by its target, looked up; all else the ASGI application."""

from collections.abc import Callable
from urllib.parse import unquote

from modelway.serving.rest import Rest
from modelway.serving.wire.connection import Handle
from modelway.serving.wire.exchange import Exchange

Ask = Callable[[Exchange], None]
_MOST = 20_000
"""Targets that are remembered; more are read anew each time."""


class Front:
    """Call it with an exchange, on the event loop's thread."""

    def __init__(self, rest: Rest, rest_of_it: Handle) -> None:
        self._rest, self._else = rest, rest_of_it
        self._targets: dict[bytes, Ask] = {}

    def __call__(self, exchange: Exchange) -> None:
        ask = self._targets.get(exchange.target) or self._found(exchange.target)
        if exchange.method == b"POST":
            ask(exchange)
        else:
            self._else(exchange)

    def _found(self, target: bytes) -> Ask:
        ask = self._read(target)
        if ask is not self._else and len(self._targets) < _MOST:
            self._targets[target] = ask
        return ask

    def _read(self, target: bytes) -> Ask:
        path, _, _ = target.decode("latin-1").partition("?")
        rest = self._rest
        match [unquote(part) for part in path.split("/") if part]:
            case ["v2", "models", model, "infer"]:
                return lambda exchange: rest.infer(exchange, model, None)
            case ["v2", "models", model, "versions", version, "infer"]:
                return lambda exchange: rest.infer(exchange, model, version)
        return self._else
