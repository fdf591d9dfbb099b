"""Reading from Valkey without the client's own way of it, which takes a quarter of a look-up.

The client makes the connection (address, TLS, password); here bytes go out in one piece and hiredis reads what comes back.
"""

import os
from collections.abc import Sequence
from typing import Any

_ROOM = 65_536


class _Line:
    """One connection, used by one thread at a time."""

    def __init__(self, connection: Any) -> None:
        import hiredis

        connection.connect()
        self._connection, self._reader = connection, hiredis.Reader()
        self._socket = connection._sock  # the client has no public way to it

    def ask(self, packed: bytes, count: int) -> list[Any]:
        self._socket.sendall(packed)
        answers: list[Any] = []
        reader = self._reader
        while len(answers) < count:
            answer = reader.gets()
            if answer is False:
                came = self._socket.recv(_ROOM)
                if not came:
                    raise ConnectionResetError("the server closed the connection")
                reader.feed(came)
            else:
                answers.append(answer)
        return answers

    def close(self) -> None:
        self._connection.disconnect()


class Lines:
    """Connections of `pool` kept open for reading; a process that was forked off opens its own."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._idle: list[_Line] = []
        self._process = os.getpid()

    def ask(self, commands: Sequence[tuple[str, ...]]) -> list[Any]:
        """The answers, in order. A connection that was lost while idle is made anew; raises redis.RedisError or OSError."""
        import hiredis
        import redis

        pack: Any = hiredis.pack_command  # its type allows one word alone
        packed = b"".join([pack(command) for command in commands])
        answers = self._by_kept(packed, len(commands))
        if answers is None:
            answers = self._by_new(packed, len(commands))
        for answer in answers:
            if isinstance(answer, Exception):
                raise redis.ResponseError(str(answer)) from answer
        return answers

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _by_kept(self, packed: bytes, count: int) -> list[Any] | None:
        if self._process != os.getpid():
            self._idle, self._process = [], os.getpid()
        if not self._idle:
            return None
        try:
            line = self._idle.pop()
        except IndexError:  # another thread was first
            return None
        try:
            answers = line.ask(packed, count)
        except ConnectionError:
            line.close()
            return None
        except BaseException:
            line.close()
            raise
        self._idle.append(line)
        return answers

    def _by_new(self, packed: bytes, count: int) -> list[Any]:
        line = _Line(self._pool.make_connection())
        try:
            answers = line.ask(packed, count)
        except BaseException:
            line.close()
            raise
        self._idle.append(line)
        return answers
