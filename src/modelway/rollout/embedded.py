"""Routes in one JSON file, exchanged by an atomic rename: what the embedded server watches.

Writers take turns by a lock file beside it. A file that cannot be read counts as lost: the control loop writes it anew.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from modelway import faults
from modelway.errors import DiskFullError, EngineError
from modelway.records import Route, dumps, loads
from modelway.rollout.traffic import Traffic

_FULL = (28, 122)
"""ENOSPC, EDQUOT."""


class EmbeddedTraffic(Traffic):
    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[object, dict[str, Route]] = (None, {})

    def apply(self, route: Route) -> None:
        if _same(self.routes().get(route.model), route):
            return
        with self._mapped(), self._turn():
            routes = dict(self.routes())
            before = routes.get(route.model)
            if _same(before, route):
                return
            routes[route.model] = replace(route, generation=before.generation + 1 if before else 1)
            self._write(dumps(routes))

    def routes(self) -> dict[str, Route]:
        """The same object as the last time while the file stands: nobody changes it."""
        with self._mapped():
            try:
                there = self._path.stat()
                sign = (there.st_ino, there.st_mtime_ns, there.st_size)
                if self._read[0] != sign:
                    self._read = (sign, loads(dict[str, Route], self._path.read_bytes()))
                return self._read[1]
            except (FileNotFoundError, msgspec.DecodeError):
                return {}

    def ping(self) -> None:
        with self._mapped():
            folder = self._path.parent
            if not os.access(folder, os.R_OK | os.W_OK):
                raise EngineError(f"routes cannot be written in {folder}", "let this user read and write that folder")
            if self._path.exists():
                self._path.read_bytes()

    def _write(self, data: bytes) -> None:
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        try:
            with beside.open("wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            faults.point("traffic.before-rename")
            beside.replace(self._path)
        finally:
            beside.unlink(missing_ok=True)
        _sync(self._path.parent)
        faults.point("traffic.after-rename")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with self._path.with_name(self._path.name + ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise DiskFullError(f"no space for routes in {self._path}", "free some disk space") from error
            raise EngineError(
                f"routes in {self._path}: {error.strerror or error}", "let this user read and write that file"
            ) from error


def _same(standing: Route | None, route: Route) -> bool:
    return standing is not None and replace(standing, generation=route.generation) == route


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
