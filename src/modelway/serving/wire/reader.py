"""What one client sends, read: bytes become requests, in whatever pieces they come; what cannot be read is refused.

RFC 9112. A message that could be read in two ways (both lengths, a broken chunk) is refused by the parser, which is strict.
"""

from typing import TYPE_CHECKING

import httptools

from modelway.serving.wire import heads
from modelway.serving.wire.exchange import ASKED_TO_KEEP, CLOSE, KEEP, Exchange, Header

if TYPE_CHECKING:
    from modelway.serving.wire.connection import Connection, Wire

_PIECES = 64
"""Pieces of a body that are kept as they came; more are put together at once, since each costs memory of its own."""
_HOSTS = 1_000


class _Enough(Exception):  # noqa: N818 - no error: it ends the parser's work on what is not read any more
    pass


class Reader:
    """One for a connection, which takes the requests and is told of a refusal; then it is fed no more."""

    def __init__(self, connection: "Connection", wire: "Wire") -> None:
        self._connection, self._wire = connection, wire
        self._parser = httptools.HttpRequestParser(self)
        self._method = self._url = b""
        self._pieces = list[bytes | bytearray]()
        self._headers, self._head = list[Header](), list[Header]()
        self._fields: dict[bytes, bytes] = {}
        self._persistence = KEEP
        self._refusal: heads.Refusal | None = None
        self._mixed = self._upgrading = False
        self._chunk = self._framing = self._got = 0
        self.reading = self.in_body = False
        self.began = self.heard = wire.time

    def feed(self, data: bytes) -> None:
        self.heard = self._wire.time
        size = self._chunk = len(data)
        self._mixed = False
        try:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as found:
                self._read_on(memoryview(data)[found.args[0] :])
        except httptools.HttpParserError as error:
            if self._refusal is None:
                if isinstance(error, httptools.HttpParserCallbackError):
                    raise  # a fault of this module
                self._refusal = heads.Refusal(
                    400, "malformed", f"no request in HTTP/1.1: {error}", "send what RFC 9112 allows"
                )
            self._refuse_now(self._refusal)
        if self.reading:  # of a chunk that began with something else, it is not known how much is of this
            self._framing += 1 if self._mixed else size
            if self._framing > self._wire.limits.head:
                self._refuse_now(heads.head_too_large(self._wire.limits))

    def judge(self, now: float) -> None:
        """Refuse what takes too long."""
        limits, took = self._wire.limits, now - self.began
        if not self.in_body:
            if took > limits.head_within:
                self._refuse_now(heads.head_too_slow(limits))
        elif now - self.heard > limits.body_pause or (took > limits.body_pause and self._got < limits.body_rate * took):
            self._refuse_now(heads.body_too_slow(limits))

    def end(self) -> None:
        """The connection has gone. Parser, reader and connection hold one another: parted, all that was read is freed at once."""
        del self._parser, self._connection

    def wait_anew(self) -> None:
        """The client was not listened to for a while: that time is not its own."""
        self.began = self.heard = self._wire.time

    # -- what the parser calls ---------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._url, self._headers, self._framing = b"", [], 0
        self.reading, self.in_body, self.began = True, False, self._wire.time

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value.rstrip(b" \t")))  # not part of the value: RFC 9110, 5.5

    def on_headers_complete(self) -> None:
        headers, wire, url = self._headers, self._wire, self._url
        limits, fields = wire.limits, dict(headers)
        self._fields = fields
        length = fields.get(b"content-length")
        if self._framing + self._chunk > limits.head and self._head_size() > limits.head:
            self._refuse(heads.head_too_large(limits))
        elif len(headers) > limits.headers:
            self._refuse(heads.too_many_headers(len(headers), limits))
        elif len(url) > limits.target:
            self._refuse(heads.target_too_long(limits))
        elif length is not None and int(length) > wire.small:
            self._demand_room(int(length))
        self._method = self._parser.get_method()
        self._persistence = KEEP if self._parser.should_keep_alive() else CLOSE
        if (
            self._method == b"CONNECT"
            or fields.get(b"host") not in wire.hosts
            or url[:1] != b"/"
            or len(fields) != len(headers)
            or self._persistence is CLOSE
            or b"expect" in fields
            or b"transfer-encoding" in fields
            or b"upgrade" in fields
            or (b"connection" in fields and self._parser.get_http_version() != "1.1")
        ):
            self._look_closely()
        self._head, self._headers = headers, []  # where a trailer goes, which is not read
        self.in_body, self._framing, self._got, self.began = True, 0, 0, wire.time

    def on_body(self, body: bytes) -> None:
        pieces = self._pieces
        self._got += len(body)
        self._framing, self._mixed = 0, True
        if self._got > self._wire.small:
            self._demand_room(self._got)
        if len(pieces) < _PIECES:
            pieces.append(body)
        elif len(pieces) == _PIECES:
            pieces.append(bytearray(body))
        else:
            pieces[_PIECES] += body

    def on_message_complete(self) -> None:
        if self._upgrading:
            return
        self.reading, self._mixed = False, True
        pieces, self._pieces = self._pieces, []
        body = bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)
        self._connection.take(
            Exchange(
                self._connection,
                self._method,
                self._url,
                self._head,
                self._fields,
                body,
                self._persistence,
            )
        )

    # ----------------------------------------------------------------------------------------------------------------------

    def _look_closely(self) -> None:
        parser, fields = self._parser, self._fields
        version, method = parser.get_http_version(), self._method
        if refusal := heads.refused(method, version, self._headers):
            self._refuse(refusal)
        if not self._url.startswith(b"/"):
            path = heads.path_of(method, self._url)
            if path is None:
                self._refuse(heads.not_a_path())
            else:
                self._url = path
        hosts = self._wire.hosts
        if b"host" in fields:
            if len(hosts) >= _HOSTS:
                hosts.clear()
            hosts.add(fields[b"host"])
        if parser.should_upgrade():
            self._upgrading = True
            return
        if version == "1.0" and self._persistence is KEEP:
            self._persistence = ASKED_TO_KEEP
        if b"expect" in fields and version == "1.1":
            self._connection.expected()

    def _read_on(self, rest: memoryview) -> None:
        """The request wished for another protocol, which is not taken up: it is read again without the wish.

        The parser would have left out its body.
        """
        while self._upgrading:
            self._upgrading = False
            version = self._parser.get_http_version()
            head = heads.without_upgrade(self._method, self._url, version, self._head)
            self._parser = httptools.HttpRequestParser(self)
            self._parser.feed_data(head)
            self._mixed = True
            try:
                self._parser.feed_data(rest)
            except httptools.HttpParserUpgrade as found:
                rest = rest[found.args[0] :]

    def _demand_room(self, size: int) -> None:
        """For a body that is not small."""
        wire = self._wire
        if size > wire.limits.body:
            self._refuse(heads.body_too_large(wire.limits))
        if wire.knows is not None and not wire.knows(self._fields):
            self._refuse(heads.body_of_a_stranger(wire.limits))

    def _refuse(self, refusal: heads.Refusal) -> None:
        """Called by the parser, which ends there."""
        self._refusal = refusal
        raise _Enough

    def _refuse_now(self, refusal: heads.Refusal) -> None:
        self.reading, self._pieces = False, []
        self._connection.refuse(refusal)

    def _head_size(self) -> int:
        return len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers)
