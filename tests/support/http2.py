"""HTTP/2 as a client of gRPC writes it, frame by frame, by hand: so that it can be broken.

RFC 9113; headers as literals, RFC 7541 6.2.2.
"""

import struct
from collections.abc import Mapping

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
SIGN = b"modelway"
"""What the last ping of a client holds."""


def frame(kind: int, payload: bytes = b"", stream: int = 0, flags: int = 0, length: int | None = None) -> bytes:
    size = len(payload) if length is None else length
    return struct.pack(">I", size & 0xFFFFFF)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def headers(fields: Mapping[str, str]) -> bytes:
    return b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields.items()
    )


def message(body: bytes) -> bytes:
    """With gRPC's prefix: not compressed, and its length."""
    return b"\0" + struct.pack(">I", len(body)) + body


def call(path: str, body: bytes, stream: int) -> list[bytes]:
    """The two frames of a call with one message."""
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "a"}
    fields |= {"content-type": "application/grpc", "te": "trailers", "grpc-timeout": "9S"}
    return [
        frame(HEADERS, headers(fields), stream, END_HEADERS),
        frame(DATA, message(body), stream, END_STREAM),
    ]


def kinds(received: bytes) -> list[tuple[int, bytes]]:
    """Kind and payload of the frames that a server sent; the last one may have been cut."""
    found = []
    while len(received) >= 9:
        size = int.from_bytes(received[:3], "big")
        assert size <= 1 << 24, received[:9]
        assert received[3] <= CONTINUATION, f"no frame: {received[:9]!r}"
        found.append((received[3], received[9 : 9 + size]))
        received = received[9 + size :]
    return found


NASTY = [
    frame(DATA, b"x" * 9, 1),
    frame(DATA, b"\xffxx", 1, 0x8),
    frame(DATA, message(b"")[:3], 3, END_STREAM),
    frame(HEADERS, b"\xff" * 20, 1, END_HEADERS),
    frame(HEADERS, b"\x3f\xff\xff\xff\xff\x0f", 7, END_HEADERS | END_STREAM),
    frame(HEADERS, b"\0\x7f\xff\xff\xff\x7fa", 9, END_HEADERS),
    frame(HEADERS, headers({"a": "b"}), 11, 0),
    frame(HEADERS, headers({":path": "/"}), 2, END_HEADERS),
    frame(PRIORITY, struct.pack(">IB", 1, 0), 1),
    frame(PRIORITY, b"xx", 1),
    frame(RST_STREAM, struct.pack(">I", 8), 1),
    frame(RST_STREAM, b"", 0),
    frame(SETTINGS, struct.pack(">HI", 4, 0xFFFFFFFF)),
    frame(SETTINGS, struct.pack(">HI", 5, 0)),
    frame(SETTINGS, struct.pack(">HI", 1, 0) * 20),
    frame(SETTINGS, b"x", 0, ACK),
    frame(PUSH_PROMISE, struct.pack(">I", 2), 1, END_HEADERS),
    frame(PING, b"x" * 8),
    frame(PING, b"x"),
    frame(GOAWAY, struct.pack(">II", 0, 0)),
    frame(WINDOW_UPDATE, struct.pack(">I", 0), 1),
    frame(WINDOW_UPDATE, struct.pack(">I", 0x7FFFFFFF)),
    frame(CONTINUATION, headers({"a": "b"}), 1, END_HEADERS),
    frame(0xFA, b"unknown", 1),
    frame(DATA, b"", 1, 0, length=0xFFFFFF),
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
]
