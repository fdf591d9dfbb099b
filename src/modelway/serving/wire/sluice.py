"""What is sent over TLS goes out piece by piece: asyncio's TLS takes any amount at once, and does not say how much has left."""

import asyncio
from collections import deque

_PIECE = 64 * 1024


class Sluice:
    """Stands for a transport of TLS, as far as a connection uses it."""

    def __init__(self, inner: asyncio.Transport) -> None:
        self._inner = inner
        self._pieces: deque[memoryview] = deque()
        self._shut = self._last = False
        inner.set_write_buffer_limits(_PIECE)

    def write(self, data: bytes) -> None:
        whole = memoryview(data)
        self._pieces.extend(whole[at : at + _PIECE] for at in range(0, len(whole), _PIECE))
        self._flow()

    def pause(self) -> None:
        """The inner transport takes no more for now."""
        self._shut = True

    def resume(self) -> None:
        self._shut = False
        self._flow()

    def close(self) -> None:
        """When all is out."""
        self._last = True
        self._flow()

    def abort(self) -> None:
        self._pieces.clear()
        self._inner.abort()

    def is_closing(self) -> bool:
        return self._last or self._inner.is_closing()

    def get_write_buffer_size(self) -> int:
        return self._inner.get_write_buffer_size() + sum(map(len, self._pieces))

    def pause_reading(self) -> None:
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        self._inner.resume_reading()

    def get_extra_info(self, name: str) -> object:
        return self._inner.get_extra_info(name)

    def _flow(self) -> None:
        while self._pieces and not self._shut:
            self._inner.write(self._pieces.popleft())
        if self._last and not self._pieces:
            self._inner.close()
