"""What HTTP/1.1 asks of a server that reads valid requests, over real sockets: RFC 9110, RFC 9112."""

import pytest

from tests.support.wire import Reply, chunked, get, post, quick, until, wired

BODY = bytes(range(256))
EXPECT = "Expect: 100-continue"


def bodies(replies: list[Reply]) -> list[bytes]:
    return [reply.body for reply in replies]


def test_a_request_is_answered_with_length_kind_and_date(client):
    reply = client.send(post(b"hello", "/a?b=c")).reply()
    assert (reply.status, reply.body) == (200, b"POST /a?b=c hello")
    assert reply.headers["content-type"] == "text/plain"
    assert reply.headers["date"].endswith(" GMT")
    assert "connection" not in reply.headers


@pytest.mark.parametrize("request_", [post(b"hello", "/a"), chunked(b"hel", b"lo", target="/a", trailer=b"T: v\r\n")])
def test_a_request_split_at_every_byte_and_byte_by_byte(client, request_):
    for at in range(1, len(request_)):
        assert client.send(request_[:at], request_[at:]).reply().body == b"POST /a hello"
    client.send(*(request_[n : n + 1] for n in range(len(request_))))
    assert client.reply().body == b"POST /a hello"


def test_chunks_of_every_size(client):
    for size in range(1, len(BODY) + 1, 15):
        pieces = [BODY[n : n + size] for n in range(0, len(BODY), size)]
        assert client.send(chunked(*pieces)).reply().body == b"POST / " + BODY


def test_many_small_chunks_are_put_together(client):
    pieces = [b"%06d" % n for n in range(20_000)]
    assert client.send(chunked(*pieces)).reply().body == b"POST / " + b"".join(pieces)


def test_chunk_extensions_are_ignored(client):
    sent = b'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked \r\n\r\n2;a=b;c="d"\r\nhi\r\n0;e\r\n\r\n'
    assert client.send(sent).reply().body == b"POST / hi"


def test_a_trailer_is_no_header_of_this_request_nor_of_the_next():
    seen = []

    def handle(exchange):
        seen.append((list(exchange.headers), dict(exchange.fields)))
        exchange.respond(204, b"")

    with wired(handle=handle) as server, server.client() as client:
        client.send(chunked(b"x", trailer=b"Host: evil\r\nX-Trailer: 1\r\n") + get())
        assert [client.reply().status, client.reply().status] == [204, 204]
    assert seen[0] == (
        [(b"host", b"a"), (b"transfer-encoding", b"chunked")],
        {b"host": b"a", b"transfer-encoding": b"chunked"},
    )
    assert seen[1] == ([(b"host", b"a")], {b"host": b"a"})


def test_pipelined_requests_are_answered_in_order_whoever_is_ready_first(served, client):
    client.send(get("/later1") + get("/2") + post(b"x", "/later3") + get("/4"))
    until(lambda: len(served.held) == 1)
    assert served.seen == [(b"GET", b"/later1", b"")]
    assert client.silent()
    served.release()
    assert [client.reply().body, client.reply().body] == [b"GET /later1 ", b"GET /2 "]
    until(lambda: len(served.held) == 1)
    served.release()
    assert [client.reply().body, client.reply().body] == [b"POST /later3 x", b"GET /4 "]


@pytest.mark.parametrize("first", ["/", "/later"])
def test_thousands_of_requests_at_once(served, client, first):
    count = 5_000
    client.send(get(first) + b"".join(get(f"/{n}") for n in range(count)))
    if first == "/later":
        until(lambda: len(served.held) == 1)
        served.release()
    assert client.reply().body == f"GET {first} ".encode()
    assert bodies([client.reply() for _ in range(count)]) == [b"GET /%d " % n for n in range(count)]


def test_no_more_is_read_of_a_connection_than_can_wait(loop):
    with wired(quick(pipelined=4), loop=loop) as server, server.client() as client:
        client.send(get("/later"), *(get(f"/{n}") for n in range(4)))
        until(lambda: len(server.held) == 1)
        client.socket.setblocking(False)
        sent = 0
        try:
            while sent < 1 << 28:
                sent += client.socket.send(get("/more") * 1000)
        except BlockingIOError:
            pass  # nobody reads any more
        client.socket.setblocking(True)
        assert sent < 1 << 28
        server.release()
        assert client.reply().body == b"GET /later "


def test_head_is_answered_without_a_body(client):
    client.send(get("/a").replace(b"GET", b"HEAD") + get("/b"))
    assert client.reply(head=True).headers["content-length"] == str(len(b"HEAD /a "))
    assert client.reply().body == b"GET /b "


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_has_no_length_either(status):
    with wired(handle=lambda exchange: exchange.respond(status, b"")) as server, server.client() as client:
        client.send(get() + get())
        for _ in range(2):
            assert client.reply().status == status


def test_the_connection_stays_open_until_the_client_says_close(client):
    for _ in range(50):
        assert "connection" not in client.send(get()).reply().headers
    reply = client.send(get("/", "Connection: close")).reply()
    assert reply.headers["connection"] == "close"
    assert client.ended()


@pytest.mark.parametrize("token", ["close", "Close", "foo, close", "close, foo"])
def test_close_is_found_among_the_options(client, token):
    assert client.send(get("/", f"Connection: {token}")).reply().headers["connection"] == "close"
    assert client.ended()


def test_what_is_sent_behind_close_is_not_answered(served, client):
    client.send(get("/1", "Connection: close") + get("/2"))
    assert bodies(client.replies()) == [b"GET /1 "]
    assert [target for _, target, _ in served.seen] == [b"/1"]


def test_http_1_0_closes_unless_it_asks_to_keep(client):
    reply = client.send(get("/", "Connection: keep-alive", version="1.0")).reply()
    assert reply.headers["connection"] == "keep-alive"
    reply = client.send(post(b"x", version="1.0")).reply()
    assert (reply.body, reply.headers["connection"]) == (b"POST / x", "close")
    assert client.ended()


def test_http_1_0_needs_no_host(client):
    assert client.send(b"GET /a HTTP/1.0\r\n\r\n").reply().body == b"GET /a "
    assert client.ended()


def test_the_body_is_sent_once_it_was_asked_for(client):
    whole = post(b"hello", "/", EXPECT)
    assert client.send(whole[:-5]).reply().status == 100
    assert client.send(b"hello").reply().body == b"POST / hello"
    assert client.send(whole).reply().status == 100
    assert client.reply().body == b"POST / hello"


def test_a_body_is_asked_for_when_the_answers_before_it_are_out(served, client):
    whole = post(b"hello", "/", EXPECT)
    client.send(get("/later") + whole[:-5])
    until(lambda: len(served.held) == 1)
    assert client.silent()
    served.release()
    assert [client.reply().status, client.reply().status] == [200, 100]
    assert client.send(b"hello").reply().body == b"POST / hello"


def test_a_body_that_came_unasked_while_another_request_was_under_way_is_not_asked_for(served, client):
    client.send(get("/later") + post(b"hello", "/", EXPECT) + get("/half")[:-2])
    until(lambda: len(served.held) == 1)
    served.release()
    assert [client.reply().status, client.reply().body] == [200, b"POST / hello"]
    assert client.silent()
    assert client.send(b"\r\n").reply().body == b"GET /half "


def test_http_1_0_is_not_told_to_continue(client):
    assert client.send(post(b"x", "/", EXPECT, version="1.0")).reply().status == 200


@pytest.mark.parametrize(
    "expected", ["chips", "100-continue, chips", "100-continue\r\nExpect: chips", "chips\r\nExpect: 100-continue"]
)
def test_another_expectation_is_refused(client, expected):
    reply = client.send(post(b"x", "/", f"Expect: {expected}")).reply()
    assert (reply.status, reply.headers["connection"]) == (417, "close")
    assert client.ended()


@pytest.mark.parametrize(
    "wish",
    [
        ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
        ("Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    ],
)
def test_a_wish_for_another_protocol_is_answered_in_this_one_with_its_body(served, client, wish):
    request = post(b"hello", "/a", *wish)
    in_chunks = chunked(b"hel", b"lo", target="/b").replace(b"Host: a", "\r\n".join(["Host: a", *wish]).encode())
    client.send(request + in_chunks + get("/c", *wish) + get("/d"))
    assert bodies([client.reply() for _ in range(4)]) == [b"POST /a hello", b"POST /b hello", b"GET /c ", b"GET /d "]
    for at in range(1, len(request)):
        assert client.send(request[:at], request[at:]).reply().body == b"POST /a hello"


def test_thousands_of_wishes_at_once(client):
    request = post(b"x", "/", "Connection: upgrade", "Upgrade: h2c")
    client.send(request * 3_000)
    assert {client.reply().body for _ in range(3_000)} == {b"POST / x"}


def test_a_wish_for_another_protocol_and_close(client):
    reply = client.send(post(b"x", "/", "Connection: close, upgrade", "Upgrade: h2c")).reply()
    assert (reply.body, reply.headers["connection"]) == (b"POST / x", "close")
    assert client.ended()


def test_empty_lines_before_a_request_are_skipped(client):
    assert client.send(b"\r\n\r\n" + get("/a") + b"\r\n" + get("/b")).reply().body == b"GET /a "
    assert client.reply().body == b"GET /b "


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("http://other/a?b", "/a?b"),
        ("HTTP://other:80/a", "/a"),
        ("https://[::1]:8080/a", "/a"),
        ("http://other", "/"),
        ("http://other?b", "/?b"),
    ],
)
def test_a_target_with_the_servers_name_in_it(client, target, path):
    assert client.send(get(target)).reply().body == f"GET {path} ".encode()


def test_options_may_ask_for_the_server_itself(client):
    assert client.send(get("*").replace(b"GET", b"OPTIONS")).reply().body == b"OPTIONS * "


def test_a_client_that_sends_no_more_still_gets_its_answers(served, client):
    client.send(get("/later1") + get("/2") + get("/later3"))
    client.end()
    until(lambda: len(served.held) == 1)
    served.release()
    until(lambda: len(served.held) == 1)
    served.release()
    replies = client.replies()
    assert bodies(replies) == [b"GET /later1 ", b"GET /2 ", b"GET /later3 "]
    assert [reply.headers.get("connection") for reply in replies] == [None, None, "close"]


def test_a_client_that_ends_within_a_request_is_let_go(served, client):
    client.send(get("/1") + post(b"hello")[:-1])
    client.end()
    assert bodies(client.replies()) == [b"GET /1 "]
    until(lambda: served.connections() == 0)
    assert len(served.seen) == 1


@pytest.mark.parametrize("broken", [b"rubbish\r\n\r\n", get("/", "Host: b"), get("/", "Expect: chips")])
def test_what_is_behind_a_wish_for_another_protocol_may_be_refused(client, broken):
    client.send(post(b"hello", "/a", "Connection: upgrade", "Upgrade: h2c") + broken)
    replies = client.replies()
    assert replies[0].body == b"POST /a hello"
    assert [reply.status for reply in replies[1:]] == [417 if b"chips" in broken else 400]
