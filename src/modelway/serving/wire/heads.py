"""What a request's head must be for this server, where the parser leaves it open: RFC 9110 and RFC 9112."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from modelway.serving.wire.exchange import Header
from modelway.serving.wire.limits import Limits

_HOST = re.compile(rb"(?:\[[0-9a-fA-F:.]+\]|[\w.~!$&'()*+,;=%-]*)(?::[0-9]*)?", re.ASCII)
_ABSOLUTE = re.compile(rb"https?://([^/?#]+)([^#]*)", re.IGNORECASE)


REASONS = (
    *("malformed", "version", "host", "coding", "target", "expectation"),
    *("head_size", "header_count", "target_size", "body_size", "stranger_body", "slow_head", "slow_body"),
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is answered instead of a request that cannot be read; nothing can be read behind it.

    `reason`: one of `REASONS`, by which it is counted.
    """

    status: int
    reason: str
    problem: str
    fix: str


def refused(method: bytes, version: str, headers: Sequence[Header]) -> Refusal | None:
    """Why this head is none that can be answered; `version` as "1.1", names of headers in lower case."""
    if method == b"CONNECT":
        return not_a_path()
    if version not in {"1.0", "1.1"}:
        return Refusal(400, "version", f"a request in HTTP/{version}", "speak HTTP/1.1")
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) > 1 or (version == "1.1" and not hosts):
        return Refusal(400, "host", f"{len(hosts)} Host headers", "send one")
    if hosts and not valid_host(hosts[0]):
        return Refusal(
            400, "host", "the Host header names no host", "send the name and port of the address that is asked"
        )
    codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
    if codings and (version == "1.0" or codings != [b"chunked"]):
        return Refusal(
            400, "coding", "a transfer coding that is not read here", "send `Transfer-Encoding: chunked`, in HTTP/1.1"
        )
    expected = {value.lower() for name, value in headers if name == b"expect"}
    if version == "1.1" and not expected <= {b"100-continue"}:
        return Refusal(417, "expectation", "an unknown expectation", "expect 100-continue, or nothing")
    return None


def path_of(method: bytes, target: bytes) -> bytes | None:
    """Path and query of a target that does not begin with "/" (RFC 9112 3.2.2 and 3.2.4); None for one that names no path here."""
    if target == b"*":
        return target if method == b"OPTIONS" else None
    found = _ABSOLUTE.fullmatch(target)
    if found is None or not valid_host(found[1]):
        return None
    return found[2] if found[2].startswith(b"/") else b"/" + found[2]


def valid_host(host: bytes) -> bool:
    """Whether it is a host with or without a port; an empty one is."""
    return _HOST.fullmatch(host) is not None


def without_upgrade(method: bytes, target: bytes, version: str, headers: Sequence[Header]) -> bytes:
    """The head again, without the wish to go on in another protocol."""
    lines = [b"%b %b HTTP/%b" % (method, target, version.encode())]
    for name, value in headers:
        if name == b"connection":
            kept = [one for one in map(bytes.strip, value.split(b",")) if one.lower() != b"upgrade"]
            lines.append(b"connection: " + b", ".join(kept))
        elif name != b"upgrade":
            lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join([*lines, b"", b""])


def not_a_path() -> Refusal:
    return Refusal(400, "target", "the request names no path of this server", "ask for a path such as /v2")


def head_too_large(limits: Limits) -> Refusal:
    return Refusal(431, "head_size", "the headers are too large", f"send at most {limits.head:,} bytes")


def too_many_headers(count: int, limits: Limits) -> Refusal:
    return Refusal(431, "header_count", f"{count} headers", f"send at most {limits.headers}")


def target_too_long(limits: Limits) -> Refusal:
    return Refusal(414, "target_size", "the path is too long", f"use at most {limits.target:,} bytes")


def body_too_large(limits: Limits) -> Refusal:
    return Refusal(413, "body_size", f"the body is larger than {limits.body:,} bytes", "send fewer rows in one request")


def body_of_a_stranger(limits: Limits) -> Refusal:
    problem = f"the body is larger than {limits.stranger_body:,} bytes, and no token came with it that holds"
    return Refusal(413, "stranger_body", problem, "send `Authorization: Bearer TOKEN`")


def head_too_slow(limits: Limits) -> Refusal:
    return Refusal(408, "slow_head", "the headers took too long", f"send them within {limits.head_within:g} s")


def body_too_slow(limits: Limits) -> Refusal:
    return Refusal(408, "slow_body", "the body took too long", f"send at least {limits.body_rate:,.0f} bytes a second")
