"""The gRPC status of an error, and its words."""

import grpc

from modelway.errors import DataError, EngineError, ModelwayError, NotFoundError, StateError
from modelway.serving.status import (
    BusyError,
    ForbiddenError,
    LateError,
    MethodError,
    TooLargeError,
    UnauthenticatedError,
    told,
)

_MOST_BYTES = 2_000
"""Of details: they travel among the trailers, in at most three times as many bytes, and a client takes 8 KB of them."""
_CODES: tuple[tuple[type[ModelwayError], grpc.StatusCode], ...] = (
    (TooLargeError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (MethodError, grpc.StatusCode.UNIMPLEMENTED),
    (NotFoundError, grpc.StatusCode.NOT_FOUND),
    (UnauthenticatedError, grpc.StatusCode.UNAUTHENTICATED),
    (ForbiddenError, grpc.StatusCode.PERMISSION_DENIED),
    (LateError, grpc.StatusCode.DEADLINE_EXCEEDED),
    (BusyError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (DataError, grpc.StatusCode.INVALID_ARGUMENT),
    (StateError, grpc.StatusCode.UNAVAILABLE),
    (EngineError, grpc.StatusCode.UNAVAILABLE),
)


def code_of(error: ModelwayError) -> grpc.StatusCode:
    return next((code for kind, code in _CODES if isinstance(error, kind)), grpc.StatusCode.INTERNAL)


def details_of(error: ModelwayError) -> str:
    """Problem and fix, as much of them as a client takes."""
    return told(error, _MOST_BYTES)
