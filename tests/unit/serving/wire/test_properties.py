"""Laws: how a stream of requests is cut into chunks changes nothing; broken frames break nothing."""

import contextlib
import re
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.wire import Client, Served, chunked, get, post, quick, wired

LAW = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
UPGRADE = ("Connection: upgrade", "Upgrade: h2c")
EXPECT = "Expect: 100-continue"
PATHS = st.text("abc%/?=.", max_size=20).map("/".__add__)
PIECES = st.lists(st.binary(min_size=1, max_size=40), max_size=5)
HEADERS = st.lists(
    st.sampled_from(["A: b", "a:", "X-Y:  z ", "Accept: */*", "Connection: keep-alive"]), max_size=3, unique=True
)


@dataclass(frozen=True)
class Asked:
    sent: bytes
    method: bytes
    path: bytes
    body: bytes


@st.composite
def valid_requests(draw) -> Asked:
    path, headers = draw(PATHS), draw(HEADERS)
    kind = draw(st.sampled_from(["get", "head", "post", "chunked", "upgrade", "expect", "1.0", "absolute"]))
    body = b"".join(pieces := draw(PIECES))
    match kind:
        case "get" | "head":
            sent, body = get(path, *headers), b""
        case "absolute":
            sent, body = get(f"http://b{path}", *headers), b""
        case "chunked":
            sent = chunked(*pieces, target=path, trailer=draw(st.sampled_from([b"", b"T: v\r\n"])))
        case "upgrade":
            kept = [one for one in headers if not one.startswith("Connection")]
            sent = post(body, path, *kept, *UPGRADE)
        case "expect":
            sent = post(body, path, *headers, EXPECT)
        case "1.0":
            kept = [one for one in headers if not one.startswith("Connection")]
            sent = post(body, path, *kept, "Connection: keep-alive", version="1.0")
        case _:
            sent = post(body, path, *headers)
    method = b"POST" if sent.startswith(b"POST") else b"GET"
    if kind == "head":
        method, sent = b"HEAD", sent.replace(b"GET", b"HEAD", 1)
    return Asked(draw(st.sampled_from([b"", b"\r\n"])) + sent, method, path.encode(), body)


@st.composite
def cut(draw, stream: bytes) -> list[bytes]:
    """The stream in pieces."""
    places = sorted(draw(st.sets(st.integers(1, max(1, len(stream) - 1)), max_size=30)))
    return [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]


@pytest.fixture(scope="module")
def server():
    """One for all examples."""
    with wired(quick(linger=1)) as served:
        yield served


@LAW
@given(asked=st.lists(valid_requests(), min_size=1, max_size=6), data=st.data())
def test_any_cut_of_a_stream_of_requests_gives_the_same_exchanges(server: Served, asked, data):
    server.seen.clear()
    pieces = data.draw(cut(b"".join(one.sent for one in asked)))
    with server.client() as client:
        client.send(*pieces)
        for one in asked:
            reply = client.reply(head=one.method == b"HEAD")
            while reply.status == 100:
                reply = client.reply(head=one.method == b"HEAD")
            assert reply.status == 200
            if one.method != b"HEAD":
                assert reply.body == b"%b %b %b" % (one.method, one.path, one.body)
        client.end()
        assert client.ended()
    assert server.seen == [(one.method, one.path, one.body) for one in asked]
    server.clients.clear()


NASTY = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\x00",
    b" ",
    b":",
    b"0",
    b"-1",
    b"HTTP/1.1",
    b"\xff",
    b"Content-Length: 3\r\n",
    b"\t",
    b",",
]
NASTY += [
    b"Transfer-Encoding: chunked\r\n",
    b"Host: b\r\n",
    b"ffffffffffffffff",
    b"GET / HTTP/1.1\r\n\r\n",
    b"Upgrade: x\r\n",
]


@st.composite
def broken(draw, stream: bytes) -> bytes:
    """Valid frames, broken in some places."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(stream)))
        match draw(st.integers(0, 4)):
            case 0:
                stream = stream[:at] + draw(st.sampled_from(NASTY)) + stream[at:]
            case 1:
                stream = stream[:at] + stream[at + draw(st.integers(1, 8)) :]
            case 2:
                stream = stream[:at] + bytes([draw(st.integers(0, 255))]) + stream[at + 1 :]
            case 3:
                stream = stream[:at] + stream[at : at + 30] + stream[at:]
            case _:
                stream = stream[:at]
    return stream


def answers(client: Client) -> bytes:
    """All that comes until the connection ends. What is still sent then may have cut it."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while got := client.socket.recv(65536):
            found += got
    return found


def well_formed(found: bytes) -> list[int]:
    """The statuses of the answers in `found`, each of which is whole; HEAD is not asked."""
    statuses = []
    while found:
        head = re.match(rb"HTTP/1\.1 (\d{3}) [A-Za-z -]+\r\n((?:[a-z-]+: [^\r\n\x00]*\r\n)*)\r\n", found)
        assert head is not None, found
        size = re.search(rb"content-length: (\d+)\r\n", head[2])
        end = head.end() + (int(size[1]) if size else 0)
        assert size is not None or int(head[1]) == 100
        assert end <= len(found), found
        statuses.append(int(head[1]))
        found = found[end:]
    return statuses


@settings(LAW, max_examples=400)
@given(asked=st.lists(valid_requests(), min_size=1, max_size=4), data=st.data())
def test_broken_frames_are_refused_and_nothing_else_happens(server: Served, caplog, asked, data):
    stream = b"".join(one.sent for one in asked if one.method != b"HEAD") or get()
    stream = data.draw(broken(stream))
    pieces = data.draw(cut(stream))
    with server.client() as client:
        with contextlib.suppress(OSError):
            client.send(*pieces)
            client.end()
        statuses = well_formed(answers(client))
    assert all(100 <= status < 500 for status in statuses), statuses
    assert (caplog.records, server.failed) == ([], [])
    server.clients.clear()
    with server.client() as other:
        assert other.send(get("/alive")).reply().body == b"GET /alive "
