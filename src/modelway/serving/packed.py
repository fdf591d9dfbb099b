"""Compressed bodies, both ways: gzip and deflate."""

import gzip
import zlib
from collections.abc import Mapping

from modelway.errors import DataError
from modelway.serving.status import EncodingError, TooLargeError

_WORTH = 8 * 1024
"""Bytes from which a reply is compressed for a client that takes it: below, the time costs more than the bytes."""
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


def unpacked(body: bytes, encoding: bytes, largest: int) -> bytes:
    """Raises EncodingError for an unknown encoding, DataError for what cannot be unpacked, TooLargeError for what grows beyond
    `largest` bytes."""
    name = encoding.strip().lower()
    if name in (b"", b"identity"):
        return body
    if name not in (b"gzip", b"x-gzip", b"deflate"):
        raise EncodingError(f"Content-Encoding: {encoding.decode('latin-1')!r}", "use gzip, deflate, or none")
    reader = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        made = reader.decompress(body, largest + 1)
    except zlib.error as error:
        raise DataError(f"the body is no {name.decode()}: {error}", "check Content-Encoding") from error
    if len(made) > largest:
        raise TooLargeError(f"the body unpacks to more than {largest:,} bytes", "send fewer rows in one request")
    if not reader.eof or reader.unused_data:
        raise DataError(f"the body is no whole {name.decode()}", "send all of it, and nothing behind it")
    return made


def packed(body: bytes, fields: Mapping[bytes, bytes]) -> tuple[bytes, bytes]:
    """The body for a client that says what it takes, and its encoding; b"" for none."""
    if len(body) < _WORTH or b"gzip" not in fields.get(b"accept-encoding", b"").lower():
        return body, b""
    return gzip.compress(body, 1, mtime=0), b"gzip"
