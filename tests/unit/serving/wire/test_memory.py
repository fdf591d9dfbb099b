"""Nothing of a connection stays when it has gone, and broken frames by the hundred thousand leave nothing behind."""

import asyncio
import gc
import random
import tracemalloc
import weakref
from collections import Counter

import pytest

from modelway.serving.tls import knowing, speaking
from modelway.serving.wire.connection import Connection, Wire
from modelway.serving.wire.heads import REASONS
from tests.support.certificates import signed_by_itself
from tests.support.thorough import THOROUGH
from tests.support.wire import QUICK, chunked, get, post, quick, until, wired
from tests.unit.serving.wire.test_properties import NASTY, well_formed


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return signed_by_itself(tmp_path_factory.mktemp("memory"))


@pytest.mark.parametrize("secure", [False, True])
def test_a_connection_that_has_gone_is_freed_at_once(loop, files, secure):
    """Without waiting for the collector of cycles, which comes late in a large process: half a body may be 32 MB."""
    with wired(quick(), tls=speaking(*files) if secure else None, loop=loop) as served:
        gc.collect()
        gc.disable()
        try:
            seen = []
            for sent in (get(), get("/later"), get()[:-2], post(b"a" * 1_000_000)[:-1], chunked(b"a")[:-2]):
                client = served.client(knowing(files[0]) if secure else None).send(sent)
                until(lambda: served.connections() == 1)
                seen.append(served.call(lambda: weakref.ref(next(iter(served.listener.wire.connections)))))
                client.socket.close()
                if b"/later" in sent:
                    until(lambda: len(served.held) == 1)
                    served.release()
                until(lambda: served.connections() == 0)
            until(lambda: all(one() is None for one in seen))
        finally:
            gc.enable()


class Sink(asyncio.Transport):
    """A client that takes everything."""

    def __init__(self) -> None:
        super().__init__()
        self.got, self.closed = b"", False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.got += data

    def write_eof(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0


@pytest.mark.parametrize("sent", [post(b"a" * 5_000), chunked(*[b"aaa"] * 1_000)])
def test_a_body_may_come_in_more_reads_than_a_head_may_have_bytes(sent):
    wire, sink = Wire(lambda it: it.respond(200, it.body), quick(head=500), 0.0), Sink()
    connection = Connection(wire)
    connection.connection_made(sink)
    for n in range(len(sent)):
        connection.data_received(sent[n : n + 1])
    assert well_formed(sink.got) == [200]


FRAMES = [
    get("/a?b"),
    post(b"hello", "/b"),
    chunked(b"hel", b"lo", trailer=b"T: v\r\n"),
    get("/c", "A: b", "Connection: close"),
]
FRAMES += [
    post(b"x", "/d", "Expect: 100-continue"),
    post(b"x", "/e", "Connection: upgrade", "Upgrade: h2c"),
    get("http://b/f"),
]


def broken(chance: random.Random) -> bytes:
    stream = b"".join(chance.choices(FRAMES, k=chance.randint(1, 3)))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(stream) + 1)
        until_ = at + chance.choice([0, 0, 1, 2, 9])
        put = chance.choice([chance.choice(NASTY), bytes([chance.randrange(256)]), b"", stream[at : at + 20]])
        stream = stream[:at] + put + stream[until_:]
    return stream


@pytest.mark.parametrize("count", [5_000, pytest.param(1_000_000 if THOROUGH else 200_000, marks=pytest.mark.slow)])
@pytest.mark.timeout(1_200)
def test_frames_broken_at_random(count, caplog):
    told: Counter[tuple[int, str]] = Counter()
    chance, wire = random.Random(7), Wire(lambda it: it.respond(200, it.body), QUICK, 0.0)
    wire.refused = lambda refusal: told.update([(refusal.status, refusal.reason)])
    wire.look(0.0)
    statuses: dict[int, int] = {}
    tracemalloc.start()
    try:
        settled = 0
        for n in range(count):
            stream, sink, connection = broken(chance), Sink(), Connection(wire)
            connection.connection_made(sink)
            at = chance.randrange(len(stream) + 1)
            for piece in (stream[:at], stream[at:]):
                if piece and not sink.closed:
                    connection.data_received(piece)
            connection.judge(1_000.0)  # what is still open is called slow
            for status in well_formed(sink.got):
                statuses[status] = statuses.get(status, 0) + 1
            connection.connection_lost(None)
            if n == count // 2:
                settled = tracemalloc.get_traced_memory()[0]
        assert tracemalloc.get_traced_memory()[0] - settled < 1_000_000
    finally:
        tracemalloc.stop()
    assert wire.connections == set()
    assert set(statuses) <= {100, 200, 400, 408, 413, 414, 417, 431}
    assert sum(told.values()) == sum(statuses.get(status, 0) for status in {status for status, _ in told})
    assert {reason for _, reason in told} <= set(REASONS)
    assert min(statuses[200], statuses[400], statuses[408]) > count // 500
    assert caplog.records == []
