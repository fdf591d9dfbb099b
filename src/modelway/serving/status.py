"""The HTTP status of an error."""

from modelway.errors import DataError, EngineError, ModelwayError, NotFoundError, StateError


class MethodError(DataError):
    """A method that is not answered at a path."""


class TooLargeError(DataError):
    """A body beyond the limit."""


_STATUSES: tuple[tuple[type[ModelwayError], int], ...] = (
    (TooLargeError, 413),
    (MethodError, 405),
    (NotFoundError, 404),
    (DataError, 400),
    (StateError, 503),
    (EngineError, 503),
)


def status_of(error: ModelwayError) -> int:
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
