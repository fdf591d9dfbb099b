"""All connections together: how many there may be, what happens without files, and how they end."""

import asyncio
import logging
import resource
import socket
import threading
import time

import pytest

from tests.support.wire import PATIENCE, Client, get, post, quick, until, wired


def test_connections_beyond_the_limit_wait_and_none_is_refused(loop):
    with wired(quick(connections=3), loop=loop) as served:
        clients = [served.client().send(get(f"/{n}")) for n in range(10)]
        until(lambda: len(served.seen) == 3)
        assert served.connections() == 3
        for at, client in enumerate(clients):
            assert client.reply().body == b"GET /%d " % at
            assert served.connections() <= 3
            client.socket.close()
        until(lambda: served.connections() == 0)


def test_a_connection_that_waits_is_taken_as_soon_as_one_has_gone(loop):
    """And not at the next look, which is far away."""
    with wired(quick(connections=1, look=60), loop=loop) as served, served.client() as first, served.client() as second:
        assert first.send(get("/1")).reply().body == b"GET /1 "
        second.send(get("/2"))
        first.socket.close()
        assert second.reply().body == b"GET /2 "


def test_idle_connections_make_room_for_those_that_wait_and_busy_ones_do_not(loop):
    with wired(quick(connections=3), loop=loop) as served:
        busy, oldest, younger = served.client().send(get("/later")), served.client(), served.client()
        assert oldest.send(get("/1")).reply().status == 200
        end = served.call(served.loop.time) + 0.1
        until(lambda: served.call(lambda: served.listener.wire.time) > end)
        assert younger.send(get("/2")).reply().status == 200
        assert served.connections() == 3
        assert oldest.silent()
        assert served.client().send(get("/3")).reply().body == b"GET /3 "
        assert oldest.ended()
        assert younger.send(get("/4")).reply().body == b"GET /4 "
        until(lambda: len(served.held) == 1)
        served.release()
        assert busy.reply().status == 200


def test_a_client_that_asks_much_at_once_leaves_others_their_turn(loop):
    """Its requests are answered at once, as refusals are: thousands of them are no single turn of the loop."""
    with wired(loop=loop) as served:
        greedy, modest = served.client(), served.client()
        assert modest.send(get("/modest")).reply().status == 200
        held = threading.Event()
        served.loop.call_soon_threadsafe(held.wait, PATIENCE)
        greedy.send(get("/greedy") * 3_000)
        modest.send(get("/modest"))
        held.set()
        assert modest.reply().status == 200
        assert [greedy.reply().status for _ in range(3_000)] == [200] * 3_000
    asked = [target for _, target, _ in served.seen][1:]
    assert asked.index(b"/modest") < 1_000


def test_without_a_free_file_connections_wait(loop, caplog):
    taken = []
    with caplog.at_level(logging.ERROR, "modelway.serving"), wired(loop=loop) as served, served.client() as before:
        assert before.send(get("/before")).reply().status == 200
        waiting = [socket.socket() for _ in range(3)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        try:
            while True:
                taken.append(socket.socket())
        except OSError:
            pass
        try:
            for one in waiting:
                one.connect(("127.0.0.1", served.port))
                one.sendall(get("/waited"))
            until(lambda: "no connection can be taken" in caplog.text)
            assert before.send(get("/meanwhile")).reply().status == 200
            assert (b"GET", b"/waited", b"") not in served.seen
            tried = time.monotonic()
            until(lambda: time.monotonic() > tried + 0.3)
            assert caplog.text.count("no connection can be taken") == 1
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for one in taken:
                one.close()
        for one in waiting:
            one.settimeout(PATIENCE)
            assert one.recv(4_096).endswith(b"GET /waited ")
            one.close()


def test_when_it_stops_what_is_under_way_is_answered_and_what_is_idle_closed(loop):
    with wired(loop=loop) as served:
        idle, asked, half, ahead, fresh = (served.client() for _ in range(5))
        assert idle.send(get()).reply().status == 200
        asked.send(get("/later"))
        half.send(post(b"hello")[:-1])
        ahead.send(get("/later") + get("/2") + get("/later3"))
        until(lambda: len(served.held) == 2 and served.connections() == 5)
        stopped = served.stop()
        assert idle.ended()
        assert fresh.ended()
        assert not stopped.done()
        half.send(b"o")
        served.release()
        until(lambda: len(served.held) == 1)
        served.release()
        for client in (asked, half, ahead):
            replies = client.replies()
            assert [reply.headers.get("connection") for reply in replies] == [None] * (len(replies) - 1) + ["close"]
            assert [reply.status for reply in replies] == [200] * (3 if client is ahead else 1)
            client.socket.close()
        stopped.result(PATIENCE)
        assert served.connections() == 0


def test_when_it_stops_a_client_that_asks_at_that_moment_is_answered(loop):
    """Its connection stays open for a while, since its request may be on the way."""
    with wired(loop=loop) as served, served.client() as client:
        assert client.send(get("/1")).reply().status == 200
        stopped = served.stop(quiet=5)
        reply = client.send(get("/2")).reply()
        assert (reply.body, reply.headers["connection"]) == (b"GET /2 ", "close")
        assert client.ended()
        client.socket.close()
        stopped.result(PATIENCE)


def test_when_it_stops_connections_in_the_kernels_queue_are_answered(loop):
    with wired(loop=loop) as served:
        held = threading.Event()
        served.loop.call_soon_threadsafe(held.wait, PATIENCE)
        clients = [served.client().send(get(f"/{n}")) for n in range(20)]
        stopped = asyncio.run_coroutine_threadsafe(served.listener.stop(10, 1), served.loop)
        held.set()
        for n, client in enumerate(clients):
            assert client.reply().body == b"GET /%d " % n
            client.socket.close()
        stopped.result(PATIENCE)


def test_when_it_stops_what_never_ends_is_cut(loop):
    with wired(loop=loop) as served, served.client() as client:
        client.send(get("/later"))
        until(lambda: len(served.held) == 1)
        served.stop(within=0.1).result(PATIENCE)
        served.release()
        assert client.socket.recv(1) == b""


def test_when_it_stops_a_flood_of_requests_ends_in_order(loop):
    """Every request that was answered was answered whole, the last one says that it is the last, and nothing is reset."""
    count = 50
    with wired(loop=loop) as served:
        clients = [served.client() for _ in range(8)]
        last, broken = [], []

        def ask(client: Client) -> None:
            try:
                for n in range(1_000_000):
                    reply = client.send(get(f"/{n}")).reply()
                    if reply.body != b"GET /%d " % n:
                        broken.append(reply)
                    if reply.headers.get("connection") == "close":
                        last.append(client.ended())
                        return client.socket.close()
            except (OSError, AssertionError) as error:
                broken.append(error)

        threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        until(lambda: len(served.seen) > count * len(clients))
        served.stop(quiet=1).result(PATIENCE)
        for thread in threads:
            thread.join(PATIENCE)
    assert broken == []
    assert last == [True] * len(clients)


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_goes_before_its_answer_costs_nothing(loop, how):
    with wired(loop=loop) as served:
        with served.client() as client:
            client.send(get("/later") + get("/behind"))
            until(lambda: len(served.held) == 1)
            if how == "reset":
                client.reset()
                until(lambda: served.held[0].gone)
        served.release()
        until(lambda: served.connections() == 0)
        with served.client() as other:
            assert other.send(get("/other")).reply().body == b"GET /other "


def test_a_fault_of_the_server_is_logged_and_answered(loop, caplog):
    with wired(loop=loop) as served, served.client() as client:
        client.send(get("/raise") + get("/later") + get("/raise") + get("/after"))
        assert client.reply().status == 500
        until(lambda: len(served.held) == 1)
        served.release()
        assert [client.reply().status for _ in range(3)] == [200, 500, 200]
    assert caplog.text.count("ZeroDivisionError: a fault of the server") == 2


def test_an_exchange_is_answered_once(loop):
    told = []

    def handle(exchange):
        exchange.respond(200, b"first")
        try:
            exchange.respond(200, b"second")
        except RuntimeError as error:
            told.append(str(error))

    with wired(handle=handle, loop=loop) as served, served.client() as client:
        assert client.send(get("/a")).reply().body == b"first"
        assert client.send(get("/b")).reply().body == b"first"
    assert told == ["b'/a' was answered already", "b'/b' was answered already"]


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb", b"a\rb", b"a\r\n\r\nb"])
def test_an_answer_cannot_be_split_by_a_header_of_it(loop, value, caplog):
    with (
        wired(handle=lambda it: it.respond(200, b"", headers=[(b"x", value)]), loop=loop) as served,
        served.client() as client,
    ):
        client.send(get())
        reply = client.reply()
    assert reply.status == 500
    assert "x" not in reply.headers
    assert "line end" in caplog.text


def test_the_kernel_is_not_given_megabytes_ahead(loop):
    """A slow reader could not be told from none."""
    with wired(loop=loop) as served:
        served.big = b"a" * 10_000_000
        client = served.client().send(get("/big"))
        until(lambda: len(served.seen) == 1)
        found = served.call(lambda: next(iter(served.listener.wire.connections))._transport.get_extra_info("socket"))
        assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 128 * 1024
        assert len(client.reply().body) == 10_000_000
