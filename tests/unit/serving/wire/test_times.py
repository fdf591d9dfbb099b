"""Clients that are slow, that are silent, or that do not read: none holds the server up, and none is cut before its time."""

import time
import tracemalloc

import pytest

from tests.support.wire import Client, chunked, get, post, quick, until, wired


def passes(seconds: float) -> None:
    """This time, in which nothing is to happen."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end)


def ended_with(client: Client, status: int) -> bool:
    """Whether this is the last answer; it may come while the client still sends."""
    reply = client.reply()
    return (reply.status, reply.headers["connection"]) == (status, "close") and client.ended()


@pytest.mark.parametrize("sent", [b"G", get()[:-2], b"GET / HTTP/1.1\r\nHost: a\r\nA"])
def test_a_head_that_does_not_end(loop, sent):
    with wired(quick(head_within=0.1), loop=loop) as served, served.client() as client:
        client.send(sent)
        assert ended_with(client, 408)
        assert served.seen == []
        assert [told.reason for told in served.refused] == ["slow_head"]


def test_a_head_that_comes_byte_by_byte(loop):
    """Each byte is early enough; together they are not."""
    with wired(quick(head_within=0.2), loop=loop) as served, served.client() as client:
        client.send(get("/", "A: ")[:-4])
        end = time.monotonic() + 10
        while client.silent():
            client.send_while_it_goes(b"b", 1)
            assert time.monotonic() < end
        assert ended_with(client, 408)


@pytest.mark.parametrize(
    "sent", [post(b"hello")[:-1], chunked(b"hello")[:-2], chunked(b"hello")[:-5], post(b"hello")[:-5]]
)
def test_a_body_that_does_not_end(loop, sent):
    with wired(quick(body_pause=0.1), loop=loop) as served, served.client() as client:
        client.send(sent)
        assert ended_with(client, 408)
        assert served.seen == []
        assert [told.reason for told in served.refused] == ["slow_body"]


@pytest.mark.parametrize("drip", [b"a", b"1;a=b\r\na\r\n"], ids=["declared", "in chunks"])
def test_a_body_that_comes_byte_by_byte(loop, drip):
    with wired(quick(body_pause=0.2, body_rate=10_000), loop=loop) as served, served.client() as client:
        client.send(post(b"a" * 100_000)[:-100_000] if drip == b"a" else chunked()[:-5])
        end = time.monotonic() + 10
        while client.silent():
            client.send_while_it_goes(drip, 1)
            assert time.monotonic() < end
        assert ended_with(client, 408)


def test_a_body_that_is_fast_enough_may_take_long(loop):
    """Longer than any one pause may be."""
    with wired(quick(body_pause=0.3, body_rate=1_000), loop=loop) as served, served.client() as client:
        client.send(post(b"a" * 100_000)[:-100_000])
        began, sent = time.monotonic(), 0
        while sent < 100_000:
            client.send(b"a" * 10_000)
            sent += 10_000
            until(lambda at=began + 0.1 * sent / 10_000: time.monotonic() > at)
        assert client.reply().status == 200
        assert time.monotonic() - began > 0.6


def test_a_slow_request_behind_one_under_way_is_told_after_it(loop):
    with wired(quick(head_within=0.1), loop=loop) as served, served.client() as client:
        client.send(get("/later") + get()[:-2])
        until(lambda: len(served.held) == 1)
        assert client.silent()
        until(lambda: served.call(lambda: [c._deaf for c in served.listener.wire.connections]) == [True])
        served.release()
        assert client.reply().body == b"GET /later "
        assert ended_with(client, 408)


def test_time_in_which_nobody_listened_is_not_the_clients(loop):
    """Half of its head was read before others were answered for longer than a head may take."""
    with wired(quick(head_within=0.3, pipelined=2), loop=loop) as served, served.client() as client:
        client.send(get("/later") + get("/1") + get("/2") + get("/half")[:-2])
        until(lambda: len(served.held) == 1)
        passes(0.6)
        served.release()
        assert [client.reply().body for _ in range(3)] == [b"GET /later ", b"GET /1 ", b"GET /2 "]
        passes(0.1)
        assert client.send(b"\r\n").reply().body == b"GET /half "


def test_a_client_that_waits_to_be_told_to_continue_is_not_called_slow(loop):
    with wired(quick(body_pause=0.1), loop=loop) as served, served.client() as client:
        client.send(get("/later") + post(b"hello", "/", "Expect: 100-continue")[:-5])
        until(lambda: len(served.held) == 1)
        passes(0.4)
        served.release()
        assert [client.reply().status, client.reply().status] == [200, 100]
        assert client.send(b"hello").reply().body == b"POST / hello"


@pytest.mark.parametrize("first", [b"", get()])
def test_a_silent_client_is_let_go_without_a_word(loop, first):
    with wired(quick(idle=0.1), loop=loop) as served, served.client() as client:
        client.send(first)
        if first:
            assert client.reply().status == 200
        assert client.ended()
        until(lambda: served.connections() == 0)


def test_empty_lines_do_not_keep_a_connection_open(loop):
    with wired(quick(idle=0.2), loop=loop) as served, served.client() as client:
        end = time.monotonic() + 10
        while served.connections():
            client.send_while_it_goes(b"\r\n", 1)
            assert time.monotonic() < end


def test_a_request_that_takes_long_to_answer_is_not_idle(loop):
    strict = quick(idle=0.1, head_within=0.1, body_pause=0.1, write_pause=0.1)
    with wired(strict, loop=loop) as served, served.client() as client:
        client.send(post(b"x", "/later"))
        passes(0.4)
        served.release()
        assert client.reply().body == b"POST /later x"


def test_a_client_that_asks_and_does_not_read_is_neither_read_from_nor_kept(loop):
    """What waits for it is bounded by one answer and what a connection may ask ahead."""
    with wired(quick(write_pause=0.3), loop=loop) as served, Client(served.port, room=4_096) as client:
        served.big = b"a" * 100_000
        ask = get("/big") * 100
        tracemalloc.start()
        client.socket.settimeout(0.1)
        try:
            while served.connections():
                client.send_while_it_goes(ask, 1)
            grown = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert len(served.seen) < 1_000
        assert grown < 20_000_000


def test_a_client_that_reads_nothing_of_a_large_answer_is_cut(loop):
    with wired(quick(write_pause=0.2), loop=loop) as served, Client(served.port, room=4_096) as client:
        served.big = b"a" * 50_000_000
        client.send(get("/big"))
        until(lambda: len(served.seen) == 1)
        until(lambda: served.connections() == 0)


def read_slowly(client: Client, size: int, seconds: float) -> None:
    """An answer whose body has `size` bytes, in about this time."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.socket.recv(1)
    began, got = time.monotonic(), 0
    while got < size:
        piece = client.socket.recv(min(400_000, size - got))
        assert piece, f"cut after {got} bytes"
        got += len(piece)
        goal = began + seconds * got / size
        until(lambda at=goal: time.monotonic() > at)


@pytest.mark.parametrize("asked", [get("/big"), get("/big", "Connection: close"), get("/big", version="1.0")])
def test_a_client_that_reads_slowly_gets_all_of_it(loop, asked):
    """It takes longer than any pause may be, and longer than it may linger or be idle."""
    with wired(quick(write_pause=0.4, linger=0.1, idle=0.3), loop=loop) as served:
        served.big = b"a" * 8_000_000
        with Client(served.port, room=65_536) as client:
            client.send(asked)
            read_slowly(client, len(served.big), 1.2)
            if asked == get("/big"):
                passes(0.15)
                assert client.send(get("/next")).reply().body == b"GET /next "


@pytest.mark.parametrize("sent", [get("/", "Connection: close"), get(version="1.0"), b"rubbish\r\n\r\n"])
def test_the_end_of_the_last_answer_is_told_at_once(loop, sent):
    """And not at the next look, which is far away."""
    with wired(quick(look=60, linger=60), loop=loop) as served:
        client = served.client().send(sent)
        client.reply()
        assert client.ended()
        client.socket.close()
        until(lambda: served.connections() == 0)
