"""What must not be answered: requests that two readers could read differently, and those beyond the limits."""

import json

import pytest

from modelway.serving.wire.heads import REASONS
from modelway.serving.wire.limits import DEFAULT
from tests.support.wire import Client, Reply, Served, chunked, get, post, quick, until, wired

SMUGGLED = get("/smuggled")


def refused(served: Served, sent: bytes, status: int = 400, *, first: bytes = b"") -> Reply:
    """The one answer to `sent`, after that to `first`: nothing behind it is read, and nothing was handed to the server."""
    with served.client() as client:
        client.send(first + sent)
        replies = client.replies()
    if first:
        assert replies.pop(0).status == 200
    (reply,) = replies
    assert (reply.status, reply.headers["connection"]) == (status, "close")
    assert "fix: " in json.loads(reply.body)["error"]
    assert b"/smuggled" not in [target for _, target, _ in served.seen]
    assert len(served.seen) == bool(first)
    assert [(one.status, one.reason in REASONS) for one in served.refused] == [(status, True)]
    return reply


def framed(*headers: str, body: bytes = b"0\r\n\r\n") -> bytes:
    return "\r\n".join(["POST /a HTTP/1.1", "Host: a", *headers, "", ""]).encode("latin-1") + body + SMUGGLED


AMBIGUOUS = {
    "both lengths": framed("Content-Length: 5", "Transfer-Encoding: chunked"),
    "both lengths, the other way round": framed("Transfer-Encoding: chunked", "Content-Length: 5"),
    "two lengths": framed("Content-Length: 5", "Content-Length: 0"),
    "the same length twice": framed("Content-Length: 5", "Content-Length: 5"),
    "a list of lengths": framed("Content-Length: 5, 5"),
    "a length with a sign": framed("Content-Length: +5"),
    "a negative length": framed("Content-Length: -5"),
    "a length with a space in it": framed("Content-Length: 0 5"),
    "a length in another base": framed("Content-Length: 0x5"),
    "a length with an underscore": framed("Content-Length: 0_5"),
    "an empty length": framed("Content-Length:"),
    "a length in other digits": framed("Content-Length: ٥".encode().decode("latin-1")),
    "a length beyond 64 bits": framed("Content-Length: 18446744073709551621"),
    "a space before the colon": framed("Content-Length : 5"),
    "a coding that is none": framed("Transfer-Encoding: xchunked"),
    "chunked is not the last": framed("Transfer-Encoding: chunked, identity"),
    "identity before chunked": framed("Transfer-Encoding: identity, chunked"),
    "gzip before chunked": framed("Transfer-Encoding: gzip, chunked"),
    "gzip and chunked on two lines": framed("Transfer-Encoding: gzip", "Transfer-Encoding: chunked"),
    "chunked twice": framed("Transfer-Encoding: chunked, chunked"),
    "chunked on two lines": framed("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    "chunked with a parameter": framed("Transfer-Encoding: chunked;a=b"),
    "chunked in quotes": framed('Transfer-Encoding: "chunked"'),
    "chunked behind a comma": framed("Transfer-Encoding: , chunked"),
    "chunked behind a vertical tab": framed("Transfer-Encoding: \x0bchunked"),
    "chunked before a form feed": framed("Transfer-Encoding: chunked\x0c"),
    "an empty coding": framed("Transfer-Encoding:"),
    "a space before the colon of the coding": framed("Transfer-Encoding : chunked"),
    "a folded coding": framed("Transfer-Encoding:\r\n chunked"),
    "a folded header": framed("A: b\r\n c", "Content-Length: 0", body=b""),
    "a header that begins with a space": framed(" Content-Length: 5"),
    "a header without a colon": framed("Content-Length 5"),
    "a header without a name": framed(": 5"),
    "a bare line feed ends a header": b"POST / HTTP/1.1\r\nHost: a\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "bare line feeds": b"GET / HTTP/1.1\nHost: a\n\n" + SMUGGLED,
    "a bare carriage return in a header": framed("A: b\rTransfer-Encoding: chunked"),
    "NUL in a header": framed("A: b\x00c"),
    "NUL in a header's name": framed("A\x00: b"),
    "a control character in a header": framed("A: b\x07"),
    "NUL in the target": b"GET /a\x00b HTTP/1.1\r\nHost: a\r\n\r\n",
    "chunked in HTTP/1.0": framed("Transfer-Encoding: chunked").replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "a chunk's size beyond 64 bits": framed(
        "Transfer-Encoding: chunked", body=b"10000000000000005\r\nhello\r\n0\r\n\r\n"
    ),
    "a chunk's size with a prefix": framed("Transfer-Encoding: chunked", body=b"0x5\r\nhello\r\n0\r\n\r\n"),
    "a chunk's size with a sign": framed("Transfer-Encoding: chunked", body=b"+5\r\nhello\r\n0\r\n\r\n"),
    "a chunk's size with a space": framed("Transfer-Encoding: chunked", body=b"5 \r\nhello\r\n0\r\n\r\n"),
    "a chunk without a size": framed("Transfer-Encoding: chunked", body=b"\r\nhello\r\n0\r\n\r\n"),
    "a chunk's size ended by a line feed": framed("Transfer-Encoding: chunked", body=b"5\nhello\r\n0\r\n\r\n"),
    "a line feed in a chunk's extension": framed("Transfer-Encoding: chunked", body=b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    "a chunk longer than it says": framed("Transfer-Encoding: chunked", body=b"5\r\nhello!\r\n0\r\n\r\n"),
    "a chunk ended by a line feed": framed("Transfer-Encoding: chunked", body=b"5\r\nhello\n0\r\n\r\n"),
}


@pytest.mark.parametrize("sent", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_could_be_read_in_two_ways_is_refused(served, sent):
    refused(served, sent)


NO_REQUEST = {
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": get("/", "Host: b"),
    "the same host twice": get("/", "Host: a"),
    "a host with a space": get().replace(b"Host: a", b"Host: a b"),
    "a host with a path": get().replace(b"Host: a", b"Host: a/b"),
    "a host with a name before it": get().replace(b"Host: a", b"Host: me@a"),
    "two hosts in one": get().replace(b"Host: a", b"Host: a,b:80:90"),
    "another server's name as the method's target": get("a:80"),
    "a star": get("*"),
    "a scheme that is not HTTP": get("ftp://a/b"),
    "a scheme without a host": get("http:///b"),
    "a name and password in the target": get("http://me:secret@a/b"),
    "no version": b"GET /\r\n\r\n",
    "HTTP/0.9": b"GET / HTTP/0.9\r\nHost: a\r\n\r\n",
    "HTTP/1.2": get(version="1.2"),
    "HTTP/2.0": get(version="2.0"),
    "HTTP/2.0 that is kept": get("/", "Connection: keep-alive", version="2.0"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an unknown method": get().replace(b"GET", b"FETCH"),
    "a method in small letters": get().replace(b"GET", b"get"),
    "CONNECT": b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n" + SMUGGLED,
    "CONNECT with a path": b"CONNECT /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "the handshake of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "nothing of the kind": b"\xff" * 100,
}


@pytest.mark.parametrize("sent", NO_REQUEST.values(), ids=NO_REQUEST)
def test_what_is_no_request_is_refused(served, sent):
    refused(served, sent)


BAD = AMBIGUOUS | NO_REQUEST


@pytest.mark.parametrize("sent", BAD.values(), ids=BAD)
def test_it_is_refused_behind_a_request_that_is_answered(sent):
    """Whose host is known then."""
    with wired() as served:
        refused(served, sent, first=get("/first"))


@pytest.mark.parametrize(
    "host", ["", "a", "a:80", "a.b-c_d", "127.0.0.1:8080", "[::1]", "[::1]:8080", "xn--bcher-kva.example"]
)
def test_a_valid_host(client, host):
    request = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    for _ in range(2):
        assert client.send(request).reply().status == 200


def test_as_many_hosts_as_one_likes(served, client):
    for n in range(1_500):
        assert client.send(get().replace(b"Host: a", b"Host: h%d" % n)).reply().status == 200
    assert client.send(get().replace(b"Host: a", b"Host: not one")).reply().status == 400
    assert len(served.listener.wire.hosts) <= 1_000


def test_a_refusal_waits_for_the_answers_before_it(served, client):
    client.send(get("/later") + b"rubbish\r\n\r\n" + get("/after"))
    until(lambda: len(served.held) == 1)
    assert client.silent()
    served.release()
    assert [reply.status for reply in client.replies()] == [200, 400]
    assert [target for _, target, _ in served.seen] == [b"/later"]


SMALL = quick(head=1_000, headers=20, target=200, body=5_000)
REASON = {431: ("head_size", "header_count"), 414: ("target_size",), 413: ("body_size",)}
LARGE = {
    "a header": (431, get("/", "A: " + "b" * 1_000)),
    "many headers": (431, get("/", *(f"A{n}: b" for n in range(20)))),
    "more small headers than a head may hold": (431, get("/", *(f"A{n}: b" for n in range(200)))),
    "the target": (414, get("/" + "a" * 201)),
    "target and headers together": (431, get("/" + "a" * 190, *("A: " + "b" * 90 for _ in range(10)))),
    "a declared body": (413, post(b"a" * 5_001)),
    "a body that is only declared": (413, post(b"a" * 5_001)[:-5_001]),
    "a body in chunks": (413, chunked(*[b"a" * 1_000] * 6)),
    "a body in one chunk": (413, chunked(b"a" * 5_001)),
    "an endless header": (431, b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"b" * 2_000),
    "an endless header's name": (431, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"b" * 2_000),
    "an endless target": (431, b"GET /" + b"b" * 2_000),
    "an endless chunk extension": (431, chunked(b"a")[:-5] + b"1;" + b"b" * 2_000),
    "an endless trailer": (431, chunked(b"a")[:-2] + b"A: " + b"b" * 2_000),
    "endlessly many trailers": (431, chunked(b"a")[:-2] + b"A: b\r\n" * 400),
}


@pytest.mark.parametrize("pieces", [1, 7, 100])
@pytest.mark.parametrize(("status", "sent"), LARGE.values(), ids=LARGE)
def test_what_is_too_large_is_refused(status, sent, pieces):
    with wired(SMALL) as served, served.client() as client:
        size = -(-len(sent) // pieces)
        for at in range(0, len(sent), size):
            client.send_while_it_goes(sent[at : at + size], 1)
        if sent.endswith((b"b" * 9, b"b\r\n")):  # what is endless goes on
            client.send_while_it_goes(sent[-996:], 1_000)
        (reply,) = client.replies()
        assert (reply.status, reply.headers["connection"]) == (status, "close")
        assert served.seen == []
        (told,) = served.refused
        assert told.reason in REASON[status]


def test_just_not_too_large(loop):
    with wired(SMALL, loop=loop) as served, served.client() as client:
        rest = 1_000 - len("/") - len("host") - len("a") - len("A") - 8
        for sent in (
            get("/", "A: " + "b" * rest),
            get("/" + "a" * 199),
            get("/", *(f"A{n}: b" for n in range(19))),
            post(b"a" * 5_000),
            chunked(*[b"a" * 1_000] * 5),
            chunked(*[b"a"] * 5_000),
        ):
            assert client.send(sent).reply().status == 200


def test_a_head_is_not_charged_with_what_came_before_it_in_the_same_chunk(loop):
    """A whole body and the half of the next head, read at once."""
    with wired(SMALL, loop=loop) as served, served.client() as client:
        head = get("/next", "A: " + "b" * 500)
        for at in range(1, len(head)):
            client.send(post(b"a" * 4_000) + head[:at], head[at:])
            assert [client.reply().status, client.reply().body] == [200, b"GET /next "]


@pytest.mark.parametrize("tail", [b"", b"0\r\n\r\n"])
def test_the_refusal_reaches_a_client_that_is_still_sending(tail, loop):
    with wired(quick(body=1_000_000, linger=5), loop=loop) as served, served.client() as client:
        client.send(post(b"")[:-4].replace(b"Length: 0", b"Length: 2000000") + b"\r\n\r\n")
        client.send_while_it_goes(b"a" * 100_000, 20)
        assert client.reply().status == 413
        assert client.ended()


def test_a_refused_client_that_never_stops_sending_is_cut(loop):
    with wired(quick(linger=0.1), loop=loop) as served, Client(served.port) as client:
        client.send(b"rubbish\r\n\r\n")
        assert client.reply().status == 400
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            client.flood(b"a" * 10_000)
        until(lambda: served.connections() == 0)


def test_a_refused_client_that_stays_is_let_go(loop):
    with wired(quick(linger=0.1), loop=loop) as served, served.client() as client:
        client.send(b"rubbish\r\n\r\n")
        assert client.reply().status == 400
        until(lambda: served.connections() == 0)


def test_the_default_limits_are_what_the_refusals_say(client):
    sent = post(b"").replace(b"Length: 0", b"Length: %d" % (DEFAULT.body + 1))
    assert f"{DEFAULT.body:,}" in json.loads(client.send(sent).reply().body)["error"]
