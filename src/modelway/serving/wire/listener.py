"""All connections of one server: taken one at a time, looked after, and ended in order."""

import asyncio
import contextlib
import errno
import logging
import socket
import ssl

from modelway.serving.wire.connection import Connection, Handle, Wire
from modelway.serving.wire.limits import DEFAULT, Limits

_log = logging.getLogger("modelway.serving")
_TICK_SECONDS = 1.0
_AGAIN_SECONDS = 0.1
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listener:
    """Takes connections from a listening socket, which others may share: one at each turn of the loop, so that all get some."""

    def __init__(
        self, listening: socket.socket, handle: Handle, limits: Limits = DEFAULT, tls: ssl.SSLContext | None = None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listening, self._tls = listening, tls
        self._taking = False
        self._stopped = False
        self._opening: set[asyncio.Task[object]] = set()
        self.wire = Wire(handle, limits, self._loop.time)
        listening.setblocking(False)
        self._tick()
        self._take()

    @property
    def connections(self) -> int:
        return len(self.wire.connections)

    async def stop(self, within: float, quiet: float = 0.5) -> None:
        """Take no more; each answer under way, or asked for meanwhile, is the last of its connection. Then close what is idle.

        An idle client may be about to ask: idle connections stay open for `quiet` seconds. Those that have not ended after
        `within` seconds are cut.
        """
        self._stopped = self.wire.closing = True
        self._leave()
        until, idle_from = self._loop.time() + within, self._loop.time() + quiet
        while self.wire.connections and self._loop.time() < until:
            if self._loop.time() >= idle_from:
                for connection in list(self.wire.connections):
                    connection.close_idle()
            await asyncio.sleep(0.01)
        for connection in list(self.wire.connections):
            connection.abort()

    def _take(self) -> None:
        if not self._taking and not self._stopped:
            self._taking = True
            self._loop.add_reader(self._listening.fileno(), self._accept)

    def _leave(self) -> None:
        if self._taking:
            self._taking = False
            self._loop.remove_reader(self._listening.fileno())

    def _accept(self) -> None:
        if len(self.wire.connections) + len(self._opening) >= self.wire.limits.connections:
            self._leave()  # until the next tick: they wait in the kernel's queue
            return
        try:
            client, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process was quicker, or the client has gone
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            _log.error("no connection can be taken: %s", error.strerror)
            self._leave()
            self._loop.call_later(_AGAIN_SECONDS, self._take)
            return
        client.setblocking(False)
        with contextlib.suppress(OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._open(client))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, client: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: Connection(self.wire), client, ssl=self._tls)
        except (OSError, ssl.SSLError) as error:  # the client's affair: it went away, or speaks no TLS
            _log.debug("a connection was not opened: %s", error)
            client.close()

    def _tick(self) -> None:
        self.wire.tick()
        now = self._loop.time()
        for connection in list(self.wire.connections):
            connection.judge(now)
        if not self._stopped:
            self._take()
            self._loop.call_later(_TICK_SECONDS, self._tick)
