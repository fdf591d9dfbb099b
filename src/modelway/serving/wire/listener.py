"""All connections of one server: taken one at a time, looked after, and ended in order."""

import asyncio
import contextlib
import logging
import select
import socket
import ssl
from collections.abc import Callable, Mapping

from modelway.serving.wire.connection import Connection, Handle, Wire
from modelway.serving.wire.heads import Refusal
from modelway.serving.wire.limits import DEFAULT, Limits

_log = logging.getLogger("modelway.serving")
_AGAIN_SECONDS = 0.1
_ROOM = 20
"""One in so many of the connections is closed at a look, if it is idle and others wait."""
_UNSENT = 128 * 1024
"""Bytes in the kernel that are not on their way yet. By default it takes megabytes at once, and a slow reader looks like none."""


class Listener:
    """Takes connections from a listening socket, which others may share: one at each turn of the loop, so that all get some.

    `refused` is told of each request that is refused before `handle` would have it; `knows`: see `Wire`.
    """

    def __init__(
        self,
        listening: socket.socket,
        handle: Handle,
        limits: Limits = DEFAULT,
        tls: ssl.SSLContext | None = None,
        refused: Callable[[Refusal], None] = lambda refusal: None,
        knows: Callable[[Mapping[bytes, bytes]], bool] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listening, self._tls = listening, tls
        self._taking = self._stopping = self._short = self._said = False
        self._opening: set[asyncio.Task[None]] = set()
        self._looking: asyncio.TimerHandle | None = None
        self.wire = Wire(handle, limits, self._loop.time(), gone=self._take, refused=refused, knows=knows)
        listening.setblocking(False)
        self._look()
        self._take()

    @property
    def connections(self) -> int:
        """Those whose handshake is under way included."""
        return len(self.wire.connections)

    async def stop(self, within: float, quiet: float = 0.5) -> None:
        """Take no more; each answer under way, or asked for meanwhile, is the last of its connection. Then close what is idle.

        Connections that wait in the kernel's queue are taken first: closing the socket would reset them. An idle client may be
        about to ask: idle connections stay open for `quiet` seconds. Those that have not ended after `within` seconds are cut.
        """
        self.wire.closing = True
        while self._accept():
            pass
        self._stopping = True
        self._leave()
        self._listening.close()  # unless another process has it too, whoever comes now is refused at once, and may ask elsewhere
        until, idle_from = self._loop.time() + within, self._loop.time() + quiet
        while self.connections and self._loop.time() < until:
            await asyncio.sleep(0.01)
            if self._loop.time() >= idle_from:
                for opening in self._opening:
                    opening.cancel()  # a handshake that is not over: nothing was asked yet
                for connection in list(self.wire.connections):
                    connection.close_idle()
        for opening in self._opening:
            opening.cancel()
        for connection in list(self.wire.connections):
            connection.abort()
        if self._looking:
            self._looking.cancel()

    def _take(self) -> None:
        """From now on, as long as there is room."""
        if not (self._taking or self._stopping or self._short or self._is_full):
            self._taking = True
            self._loop.add_reader(self._listening.fileno(), self._accept)

    def _leave(self) -> None:
        if self._taking:
            self._taking = False
            self._loop.remove_reader(self._listening.fileno())

    @property
    def _is_full(self) -> bool:
        return self.connections >= self.wire.limits.connections

    def _accept(self) -> bool:
        """One more; whether there may be others. Those beyond the limit wait in the kernel's queue until one has gone."""
        if self._is_full:
            self._leave()
            return False
        try:
            client, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False  # another process was quicker, or the client has gone
        except OSError as error:  # no file or memory left, as a rule
            if not self._said:
                _log.error("no connection can be taken: %s", error.strerror)
            self._leave()
            self._short = self._said = True
            self._loop.call_later(_AGAIN_SECONDS, self._again)
            return False
        self._said = False
        client.setblocking(False)
        with contextlib.suppress(OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
        task = self._loop.create_task(self._open(client, Connection(self.wire)))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return True

    def _again(self) -> None:
        self._short = False
        self._take()

    async def _open(self, client: socket.socket, connection: Connection) -> None:
        limits, opened = self.wire.limits, False
        handshake, shutdown = (limits.head_within, limits.write_pause) if self._tls else (None, None)
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection,
                client,
                ssl=self._tls,
                ssl_handshake_timeout=handshake,
                ssl_shutdown_timeout=shutdown,
            )
            opened = True
        except OSError as error:  # the client's affair: it went away, or speaks no TLS
            _log.debug("a connection was not opened: %s", error)
        finally:
            if not opened:
                client.close()
                self.wire.connections.discard(connection)
                self._take()

    def _make_room(self) -> None:
        """Some who wait are taken instead of those who have been idle longest."""
        waiting = select.poll()
        waiting.register(self._listening, select.POLLIN)
        if waiting.poll(0):
            idle = sorted((one for one in self.wire.connections if one.idle), key=lambda one: one.since)
            for connection in idle[: max(1, self.wire.limits.connections // _ROOM)]:
                connection.close_idle()

    def _look(self) -> None:
        self.wire.look(self._loop.time())
        if self._is_full and not self._stopping:
            self._make_room()
        self._looking = self._loop.call_later(self.wire.limits.look, self._look)
