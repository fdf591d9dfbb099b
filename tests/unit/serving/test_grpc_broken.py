"""Valid frames, broken at random, at both levels of gRPC on a real server process: bytes of the messages, and HTTP/2 itself."""

import asyncio
import contextlib
import os
import random
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from modelway.flow.reporting import grpc_address
from modelway.serving.grpc import inference_pb2 as messages
from modelway.serving.grpc.listener import SERVICE
from modelway.workspace import Workspace
from tests.support.http2 import NASTY, PING, PREFACE, SETTINGS, SIGN, call, frame, kinds
from tests.unit.serving.made import becomes, make_workspace, put_version, route, running
from tests.unit.serving.test_grpc import ONE, infer_request

GROWTH = 48 * 1024 * 1024
"""Bytes that the process may hold at the end beyond what it held half-way: its allocator's, since nothing is kept of a request."""
TOGETHER = 48
FORBIDDEN = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS}
OURS = "modelway/serving"
"""In a traceback of ours: grpcio logs its own."""
LONG = int(os.environ.get("MODELWAY_TEST_BROKEN_FRAMES", "20000"))
"""How many the slow tests send; a long run takes 500,000."""
COUNTS = [2_000, pytest.param(LONG, marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[tuple[str, Callable[[], int], Path]]:
    """Its address, the bytes that it holds, and its log."""
    made = make_workspace(tmp_path_factory.mktemp("broken"))
    made.traffic.apply(route("loans", {1: put_version(made)}))
    made.places.stack.write_text("serving: {port: 0, grpc: {port: 0}}\n")
    opened = Workspace(made.places)
    with running(opened) as (_, process):
        memory = Path(f"/proc/{process.pid}/statm")
        yield (
            str(grpc_address(opened)),
            lambda: int(memory.read_text().split()[1]) * 4096,
            opened.places.logs / "server.log",
        )
    opened.close()
    made.close()


def valid() -> list[tuple[str, bytes]]:
    """Calls, each with its message."""
    rows = {"income": ("FP64", [3], [1.0, 2.0, 3.0]), "id": ("BYTES", [3, 1], ["a", "b", "c"])}
    asked = [infer_request(given, raw) for given in (ONE, rows) for raw in (True, False)]
    asked[0].parameters["timeout"].int64_param = 5_000_000
    asked[1].parameters["routing_key"].string_param = "caller"
    asked[2].outputs.add(name="prediction")
    asked[3].model_version = "1"
    found = [("ModelInfer", one.SerializeToString()) for one in asked]
    named = [messages.ModelReadyRequest, messages.ModelMetadataRequest]
    found += [
        (kind.DESCRIPTOR.name.removesuffix("Request"), kind(name="loans", version="1").SerializeToString())
        for kind in named
    ]
    loads = [messages.RepositoryModelLoadRequest, messages.RepositoryModelUnloadRequest]
    found += [
        (kind.DESCRIPTOR.name.removesuffix("Request"), kind(model_name="loans").SerializeToString()) for kind in loads
    ]
    return [*found, ("RepositoryIndex", messages.RepositoryIndexRequest(ready=True).SerializeToString())]


VARINTS = [
    b"\xff" * 9 + b"\x01",
    b"\x80" * 10,
    b"\xff\xff\xff\xff\x0f",
    b"\x00",
    b"\x0a\x00",
    b"\x2a\x04\x0a\x02id",
    b"\x7a\xff\xff\x03",
]


def broken(chance: random.Random, stream: bytes, nasty: list[bytes]) -> bytes:
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(stream) + 1)
        until = at + chance.choice([0, 0, 1, 2, 9])
        put = chance.choice([chance.choice(nasty), bytes([chance.randrange(256)]), b"", stream[at : at + 20]])
        stream = stream[:at] + put + stream[until:]
    return stream


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.timeout(3_600)
def test_messages(served, count):
    address, held, log = served
    chance, calls, codes = random.Random(7), valid(), Counter[grpc.StatusCode]()
    settled = 0
    with grpc.insecure_channel(address) as channel:
        asked = {name: channel.unary_unary(f"/{SERVICE}/{name}") for name, _ in calls}
        under_way: deque[tuple[bytes, grpc.Future]] = deque()
        for n in range(count + TOGETHER):
            if n < count:
                name, body = chance.choice(calls)
                sent = broken(chance, body, VARINTS)
                under_way.append((sent, asked[name].future(sent, timeout=60)))
            if n >= TOGETHER:
                sent, answer = under_way.popleft()
                code = answer.code()
                assert code not in FORBIDDEN, (sent, answer.details())
                codes[code] += 1
            if n == count // 2:
                settled = held()
        good = asked["ModelInfer"](infer_request(ONE, True, id="last").SerializeToString(), timeout=60)
    assert messages.ModelInferResponse.FromString(good).id == "last"
    print("messages", count, dict(codes), "grew", held() - settled)
    assert (
        min(codes[grpc.StatusCode.OK], codes[grpc.StatusCode.INVALID_ARGUMENT], codes[grpc.StatusCode.NOT_FOUND])
        > count // 100
    )
    assert held() - settled < GROWTH
    assert OURS not in log.read_text(errors="replace")


def stream_of(chance: random.Random, calls: list[tuple[str, bytes]]) -> bytes:
    """What a client sends: some calls, of which frames are lost, doubled, put elsewhere, and bytes broken."""
    frames = [frame(SETTINGS)]
    for place in range(chance.randint(1, 3)):
        name, body = chance.choice(calls)
        frames += call(f"/{SERVICE}/{name}", body, 2 * place + 1)
    for _ in range(chance.randint(0, 3)):
        at = chance.randrange(len(frames) + 1)
        match chance.randrange(4):
            case 0:
                frames.insert(at, chance.choice(NASTY))
            case 1:
                frames.insert(at, chance.choice(frames))
            case 2 if at < len(frames):
                frames.insert(0, frames.pop(at))
            case _:
                del frames[at : at + 1]
    stream = PREFACE + b"".join(frames)
    return broken(chance, stream, NASTY) if chance.random() < 0.7 else stream


async def connected(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A path that is no UTF-8 ends grpcio's server: it is back in a moment."""
    host, port = address.rsplit(":", 1)
    async with asyncio.timeout(15):
        while True:
            try:
                return await asyncio.open_connection(host, int(port))
            except ConnectionError:
                await asyncio.sleep(0.01)


def live(address: str) -> bool:
    try:
        with grpc.insecure_channel(address) as channel:
            said = channel.unary_unary(f"/{SERVICE}/ServerLive")(b"", timeout=5)
    except grpc.RpcError as error:
        if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
            raise
        return False
    return messages.ServerLiveResponse.FromString(said).live


def test_a_path_that_is_no_text_ends_grpc_for_a_moment_only(served):
    address, _, log = served
    asked = [one.replace(b"ModelX", b"Model\xbc") for one in call(f"/{SERVICE}/ModelX", b"", 1)]
    asyncio.run(asked_raw(address, PREFACE + frame(SETTINGS) + b"".join(asked), 0.05))
    becomes(lambda: "is opened again" in log.read_text(errors="replace"))
    assert becomes(lambda: live(address), 5)


async def asked_raw(address: str, sent: bytes, patience: float) -> list[tuple[int, bytes]]:
    """What the server sent until it ended the connection: it must, since the client does."""
    reader, writer = await connected(address)
    received = b""
    try:
        writer.write(sent + frame(PING, SIGN))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while SIGN not in received and (got := await reader.read(65536)):
                    received += got
        if writer.can_write_eof():
            writer.write_eof()
        async with asyncio.timeout(30):
            while got := await reader.read(65536):
                received += got
    except OSError as error:  # it was quicker to end it
        if isinstance(error, TimeoutError):
            raise
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return kinds(received)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.timeout(3_600)
def test_frames(served, count):
    address, held, log = served
    chance, calls, seen, settled = random.Random(7), valid(), Counter[int](), [0]
    todo = iter(range(count))

    async def work() -> None:
        for n in todo:
            if n == count // 2:
                settled[0] = held()
            seen.update(kind for kind, _ in await asked_raw(address, stream_of(chance, calls), 0.05))

    async def all_of_it() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(TOGETHER):
                group.create_task(work())

    asyncio.run(all_of_it())
    ended = log.read_text(errors="replace").count("is opened again")
    print("frames", count, dict(seen), "ended", ended, "grew", held() - settled[0])
    becomes(lambda: live(address))
    with grpc.insecure_channel(address) as channel:
        good = channel.unary_unary(f"/{SERVICE}/ModelInfer")(
            infer_request(ONE, True, id="last").SerializeToString(), timeout=60
        )
    assert messages.ModelInferResponse.FromString(good).id == "last"
    assert min(seen[0], seen[1], seen[7]) > count // 100  # data, headers, and connections that were ended with a reason
    assert held() - settled[0] < GROWTH
    assert OURS not in log.read_text(errors="replace")
