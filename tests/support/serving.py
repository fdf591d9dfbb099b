"""A server in a thread of this process, over real sockets."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager

from modelway.serving.access import Access
from modelway.serving.asking import Server
from modelway.serving.run import address, asking_of, bind, listen
from modelway.serving.wire.limits import DEFAULT, Limits


@contextmanager
def serving(server: Server, limits: Limits = DEFAULT) -> Iterator[str]:
    """Its address; what is under way has ended when the block has."""
    with _served(server, limits, grpc=False) as (url, _):
        yield url


@contextmanager
def serving_both(server: Server, limits: Limits = DEFAULT, access: Access | None = None) -> Iterator[tuple[str, str]]:
    """The same over gRPC too: its URL, and HOST:PORT."""
    with _served(server, limits, grpc=True, access=access) as found:
        yield found


@contextmanager
def _served(server: Server, limits: Limits, grpc: bool, access: Access | None = None) -> Iterator[tuple[str, str]]:
    listening = bind("127.0.0.1", 0)
    ready, loop, told = threading.Event(), asyncio.new_event_loop(), asyncio.Event()
    found: list[str] = []

    async def run() -> None:
        with ThreadPoolExecutor(4) as pool:
            async with AsyncExitStack() as ends:
                asking = asking_of(server, pool)
                ends.push_async_callback(listen(asking, listening, limits, None, access).stop, 10, 0)
                if grpc:
                    from modelway.serving.grpc.listener import open_listener

                    second = await open_listener(asking, "127.0.0.1", 0, limits, access=access)
                    found.append(f"127.0.0.1:{second.port}")
                    ends.push_async_callback(second.stop, 10)
                ready.set()
                await told.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        assert ready.wait(10)
        yield address(listening, "127.0.0.1"), found[0] if found else ""
    finally:
        loop.call_soon_threadsafe(told.set)
        thread.join(20)
        loop.close()
        listening.close()
