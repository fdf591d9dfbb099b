"""The same over TLS, with a certificate that signs itself."""

import logging
import ssl

import pytest

from modelway.serving.tls import speaking
from tests.support.certificates import signed_by_itself
from tests.support.wire import PATIENCE, Client, Served, get, post, quick, until, wired
from tests.unit.serving.wire.test_times import read_slowly


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A certificate of localhost and its key."""
    return signed_by_itself(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def contexts(files):
    """Of the server and of its clients."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*files)
    return server, ssl.create_default_context(cafile=files[0])


@pytest.fixture
def trusting(contexts) -> ssl.SSLContext:
    return contexts[1]


@pytest.fixture
def served(contexts, loop):
    with wired(quick(head_within=0.3, body_pause=0.3, idle=0.5), tls=contexts[0], loop=loop) as server:
        yield server


def test_requests_are_answered(served: Served, trusting):
    client = served.client(trusting)
    for n in range(20):
        assert client.send(post(b"x" * 50_000, f"/{n}")).reply().body == b"POST /%d " % n + b"x" * 50_000
    client.send(get("/later") + get("/2"))
    until(lambda: len(served.held) == 1)
    served.release()
    assert [client.reply().body, client.reply().body] == [b"GET /later ", b"GET /2 "]


def test_a_request_split_at_every_byte(served: Served, trusting):
    client, request = served.client(trusting), post(b"hello", "/a")
    for at in range(1, len(request)):
        assert client.send(request[:at], request[at:]).reply().body == b"POST /a hello"


def test_an_exchange_knows_that_it_is_secure(contexts, loop):
    seen = []

    def handle(exchange):
        seen.append((exchange.secure, exchange.peer[0]))
        exchange.respond(200, b"")

    with wired(handle=handle, tls=contexts[0], loop=loop) as server:
        server.client(contexts[1]).send(get()).reply()
    with wired(handle=handle, loop=loop) as server:
        server.client().send(get()).reply()
    assert seen == [(True, "127.0.0.1"), (False, "127.0.0.1")]


def test_the_last_answer_arrives_and_the_end_is_told(served: Served, trusting):
    client = served.client(trusting).send(get("/a", "Connection: close"))
    assert client.reply().headers["connection"] == "close"
    assert client.ended()


def test_a_handshake_that_never_comes_is_timed_out(served: Served, trusting):
    silent = served.client()
    until(lambda: served.connections() == 1)
    assert served.client(trusting).send(get()).reply().status == 200
    assert silent.ended()
    until(lambda: served.connections() == 0)


def test_a_handshake_that_never_comes_counts_as_a_connection(contexts, loop):
    with wired(quick(connections=1, head_within=0.2), tls=contexts[0], loop=loop) as served:
        silent = served.client()
        until(lambda: served.connections() == 1)
        assert served.client(contexts[1]).send(get()).reply().status == 200
        assert silent.ended()


def test_plain_text_is_not_answered(served: Served, trusting):
    plain = served.client().send(get("/plain"))
    try:
        said = plain.socket.recv(1_000)
    except ConnectionResetError:
        said = b""
    assert b"HTTP" not in said
    assert served.client(trusting).send(get("/tls")).reply().status == 200
    assert [target for _, target, _ in served.seen] == [b"/tls"]


def test_an_old_version_of_tls_is_refused(files, loop):
    old = ssl.create_default_context(cafile=files[0])
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with wired(tls=speaking(*files), loop=loop) as served:
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            served.client(old)
        assert served.client(ssl.create_default_context(cafile=files[0])).send(get()).reply().status == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [(b"rubbish\r\n\r\n", 400), (get()[:-2], 408), (post(b"hello")[:-1], 408)],
    ids=["bad", "head", "body"],
)
def test_refusals(served: Served, trusting, sent, status):
    client = served.client(trusting).send(sent)
    assert client.reply().status == status
    assert client.ended()


def test_the_refusal_reaches_a_client_that_is_still_sending(contexts, loop):
    with wired(quick(body=1_000_000, linger=5), tls=contexts[0], loop=loop) as served:
        client = served.client(contexts[1])
        client.send(post(b"").replace(b"Length: 0", b"Length: 2000000"))
        client.send_while_it_goes(b"a" * 100_000, 20)
        assert client.reply().status == 413


def test_a_silent_client_is_let_go(served: Served, trusting):
    client = served.client(trusting)
    assert client.send(get()).reply().status == 200
    assert client.ended()
    client.socket.close()
    until(lambda: served.connections() == 0)


def test_a_client_that_does_not_read_is_cut(contexts, loop):
    with wired(quick(write_pause=0.2), tls=contexts[0], loop=loop) as served:
        served.big = b"a" * 50_000_000
        client = served.client(contexts[1]).send(get("/big"))
        until(lambda: len(served.seen) == 1)
        until(lambda: served.connections() == 0)
        client.socket.close()


@pytest.mark.parametrize("asked", [get("/big"), get("/big", "Connection: close")])
def test_a_client_that_reads_slowly_gets_all_of_it(contexts, loop, asked):
    """It takes longer than any pause may be, and than it may linger."""
    with wired(quick(write_pause=0.4, linger=0.1), tls=contexts[0], loop=loop) as served:
        served.big = b"a" * 16_000_000
        with Client(served.port, contexts[1], room=65_536) as client:
            client.send(asked)
            read_slowly(client, len(served.big), 1.2)


def test_when_it_stops_what_is_under_way_is_answered(contexts, loop):
    with wired(quick(head_within=60), tls=contexts[0], loop=loop) as served:
        asked, idle, opening = served.client(contexts[1]), served.client(contexts[1]), served.client()
        asked.send(get("/later"))
        until(lambda: len(served.held) == 1 and served.connections() == 3)
        stopped = served.stop(within=60)
        assert idle.ended()
        assert opening.ended()
        idle.socket.close()
        served.release()
        assert asked.reply().headers["connection"] == "close"
        assert asked.ended()
        asked.socket.close()
        stopped.result(PATIENCE)


def test_clients_that_go_at_any_moment_leave_no_error(contexts, loop, caplog):
    with caplog.at_level(logging.WARNING), wired(tls=contexts[0], loop=loop) as served:
        for n in range(30):
            with Client(served.port) as raw:
                raw.send(b"\x16\x03\x01\x02\x00\x01"[:n])
            with Client(served.port, contexts[1]) as client:
                client.send(get("/later"))
        until(lambda: served.connections() == 0)
    assert caplog.text == ""
