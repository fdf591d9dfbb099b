"""The HTTP status of an error."""

from modelway.errors import DataError, EngineError, ModelwayError, NotFoundError, StateError


class MethodError(DataError):
    """A method that is not answered at a path."""


class TooLargeError(DataError):
    """A body beyond the limit."""


class AccessError(StateError):
    """Who asks may not; `reason` is that by which it is counted."""

    def __init__(self, problem: str, fix: str, *, reason: str) -> None:
        super().__init__(problem, fix)
        self.reason = reason


class UnauthenticatedError(AccessError):
    """No token, or none that holds."""


class ForbiddenError(AccessError):
    """A token of another role is needed."""


class EncodingError(DataError):
    """A body that is packed in a way that is not read."""


class LateError(StateError):
    """The client's time was over before an answer was there."""


class BusyError(StateError):
    """More is asked than can be answered in time."""


_STATUSES: tuple[tuple[type[ModelwayError], int], ...] = (
    (TooLargeError, 413),
    (MethodError, 405),
    (EncodingError, 415),
    (NotFoundError, 404),
    (UnauthenticatedError, 401),
    (ForbiddenError, 403),
    (LateError, 504),
    (BusyError, 429),
    (DataError, 400),
    (StateError, 503),
    (EngineError, 503),
)


def told(error: ModelwayError, most: int) -> str:
    """Problem and fix in about `most` bytes; a long problem is cut, so that the fix is still said."""
    room = most - len(error.fix[:most].encode())
    problem = error.problem.encode()
    if len(problem) <= room:
        return str(error)
    cut = problem[: max(room, 200)].decode(errors="ignore") + "…"
    return str(ModelwayError(cut, error.fix.encode()[: most - 200].decode(errors="ignore")))


def status_of(error: ModelwayError) -> int:
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
