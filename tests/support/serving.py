"""A server in a thread of this process, over a real socket."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from modelway.serving.asking import Server
from modelway.serving.run import address, bind, listen
from modelway.serving.wire.limits import DEFAULT, Limits


@contextmanager
def serving(server: Server, limits: Limits = DEFAULT) -> Iterator[str]:
    """Its address; what is under way has ended when the block has."""
    listening = bind("127.0.0.1", 0)
    ready, loop, told = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        with ThreadPoolExecutor(4) as pool:
            listener = listen(server, listening, pool, limits)
            ready.set()
            await told.wait()
            await listener.stop(10, 0)

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        assert ready.wait(10)
        yield address(listening, "127.0.0.1")
    finally:
        loop.call_soon_threadsafe(told.set)
        thread.join(20)
        loop.close()
        listening.close()
