"""Which part of the server answers an exchange: the hot path by its target, looked up; all else the ASGI application."""

from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import unquote

from modelway.serving.forms import Invocations, Rows, Tensors
from modelway.serving.rest import Rest
from modelway.serving.wire.connection import Handle
from modelway.serving.wire.exchange import Exchange

Ask = Callable[[Exchange], None]
_TENSORS, _ROWS, _INVOCATIONS = Tensors(), Rows(), Invocations()
_MOST, _LONGEST = 20_000, 300
"""Targets that are remembered, and bytes of the longest; others are read anew each time."""


class Front:
    """Call it with an exchange, on the event loop's thread."""

    def __init__(self, rest: Rest, models: Callable[[], Sequence[str]], rest_of_it: Handle) -> None:
        self._rest, self._models, self._else = rest, models, rest_of_it
        self._targets: dict[bytes, Ask] = {}

    def __call__(self, exchange: Exchange) -> None:
        ask = self._targets.get(exchange.target) or self._found(exchange.target)
        if exchange.method == b"POST":
            ask(exchange)
        else:
            self._else(exchange)

    def _found(self, target: bytes) -> Ask:
        ask = self._read(target)
        if ask is not self._else and len(self._targets) < _MOST and len(target) <= _LONGEST:
            self._targets[target] = ask
        return ask

    def _read(self, target: bytes) -> Ask:
        path, _, _ = target.decode("latin-1").partition("?")
        match [unquote(part) for part in path.split("/") if part]:
            case ["v2", "models", model, "infer"]:
                return partial(self._rest.infer, _TENSORS, model=model, version=None)
            case ["v2", "models", model, "versions", version, "infer"]:
                return partial(self._rest.infer, _TENSORS, model=model, version=version)
            case ["predict", model]:
                return partial(self._rest.infer, _ROWS, model=model, version=None)
            case ["predict", model, "versions", version]:
                return partial(self._rest.infer, _ROWS, model=model, version=version)
            case ["mlflow", model, "invocations"]:
                return partial(self._rest.infer, _INVOCATIONS, model=model, version=None)
            case ["invocations"]:
                return self._only_model
        return self._else

    def _only_model(self, exchange: Exchange) -> None:
        """MLflow's server has one model: here a name is needed once there are more."""
        models = self._models()
        model = exchange.fields.get(b"modelway-model", b"").decode("latin-1") or (models[0] if len(models) == 1 else "")
        if model:
            self._rest.infer(_INVOCATIONS, exchange, model, None)
        else:
            self._else(exchange)
