"""A request, whole, and its one answer."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelway.serving.wire.connection import Connection

Header = tuple[bytes, bytes]
JSON, TEXT = b"application/json", b"text/plain; charset=utf-8"
FAILED = b'{"error": "the server failed on this request\\n  fix: see .modelway/logs/server.log"}'
KEEP, CLOSE, ASKED_TO_KEEP = b"", b"connection: close\r\n", b"connection: keep-alive\r\n"
"""What an answer says of its connection; that it stays open is said only to HTTP/1.0, where it must be."""
_BODILESS = frozenset({204, 304})
_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


class Exchange:
    """Names of `headers` are in lower case; `fields` holds the last value by name. Answered once, on the event loop's thread."""

    __slots__ = ("_connection", "answered", "body", "fields", "headers", "method", "persistence", "target")

    def __init__(
        self,
        connection: "Connection",
        method: bytes,
        target: bytes,
        headers: Sequence[Header],
        fields: dict[bytes, bytes],
        body: bytes,
        persistence: bytes = KEEP,
    ) -> None:
        self._connection = connection
        self.method, self.target, self.headers, self.fields = method, target, headers, fields
        self.body, self.persistence, self.answered = body, persistence, False

    def respond(self, status: int, body: bytes, kind: bytes = JSON, headers: Sequence[Header] = ()) -> None:
        """Send the answer; a client that has gone is told nothing.

        Raises RuntimeError when it was answered, and ValueError for a header with a line end in it: then it is not answered yet.
        """
        if self.answered:
            raise RuntimeError(f"{self.target!r} was answered already")
        self._connection.answer(self, status, body, kind, headers)

    @property
    def gone(self) -> bool:
        """Whether nobody is there any more to read the answer."""
        return self._connection.lost

    def when_gone(self, tell: Callable[[], None]) -> None:
        """`tell` is called once when the client goes before it is answered."""
        self._connection.when_lost = tell

    @property
    def secure(self) -> bool:
        return self._connection.secure

    @property
    def peer(self) -> tuple[str, int] | None:
        """Address and port of the client."""
        return self._connection.peer


def response(
    status: int,
    body: bytes,
    kind: bytes,
    headers: Sequence[Header],
    *,
    date: bytes,
    persistence: bytes = KEEP,
    head: bool = False,
) -> bytes:
    """The answer's bytes; `head`: of a HEAD request, whose answer has no body. Raises ValueError for a header of several lines."""
    more = persistence
    if headers:
        more += b"".join([b"%b: %b\r\n" % header for header in headers])
        if more.count(b"\n") != len(headers) + bool(persistence) or more.count(b"\r") != more.count(b"\n"):
            raise ValueError("a header of an answer has a line end in it")
    line = _LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
    if status in _BODILESS:
        return b"%b%b%b\r\n" % (line, date, more)
    return b"%b%bcontent-type: %b\r\ncontent-length: %d\r\n%b\r\n%b" % (
        line,
        date,
        kind,
        len(body),
        more,
        b"" if head else body,
    )
