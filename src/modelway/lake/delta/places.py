"""Where tables lie: a folder here, a bucket in `bucket.py`. What Delta needs besides its own library, and no more."""

import errno
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from modelway.errors import DiskFullError, EngineError, LakeError, of_system

_ROOM = 256 * 1024
"""Bytes that a commit needs besides its rows."""


@dataclass(frozen=True)
class Found:
    """A file: its size, and when it was written (seconds since 1970)."""

    size: int
    written: float


class Place(ABC):
    """Files by table and by name within the table; what may be raised: OSError, and what `trouble` understands."""

    options: Mapping[str, str]
    """What the library needs to reach it."""
    cheap: bool
    """Whether looking at every file of a table costs next to nothing."""

    @abstractmethod
    def uri(self, table: str, name: str = "") -> str:
        """The address of a table, or of a file in it: for the library, and for messages."""

    @abstractmethod
    def prepare(self, table: str, bytes_to_write: int) -> None:
        """Called before a commit. Raises DiskFullError when there is no room for it."""

    @abstractmethod
    def tables(self) -> list[str]:
        """Names of all tables, sorted."""

    @abstractmethod
    def commits(self, table: str) -> dict[int, int]:
        """Sizes in bytes of the commits that the log holds as files, by version; {} when there is no table."""

    @abstractmethod
    def read(self, table: str, name: str) -> bytes | None:
        """The content of a file; None when it is not there."""

    @abstractmethod
    def has(self, table: str, name: str) -> bool:
        """Whether the file is there."""

    @abstractmethod
    def sizes(self, table: str, names: Sequence[str]) -> list[int | None]:
        """Their sizes in bytes; None for a file that is not there."""

    @abstractmethod
    def listing(self, table: str) -> dict[str, Found]:
        """Every file of a table by its name, those of the log too."""

    @abstractmethod
    def write(self, table: str, name: str, content: bytes) -> None:
        """Write a file whole, over the one that is there: a reader sees the one or the other."""

    @abstractmethod
    def remove(self, table: str, names: Sequence[str]) -> None:
        """Remove files; one that is not there is removed already."""

    @abstractmethod
    def trouble(self, table: str, error: BaseException) -> EngineError | None:
        """An error of the place (full, closed to us, does not answer), in words; None: it is about the table."""

    @abstractmethod
    def ping(self) -> None:
        """Return if files can be written and removed; else raise LakeError."""

    @abstractmethod
    def demand_access(self, table: str) -> None:
        """Raise OSError when the table cannot be read and written."""


class Folder(Place):
    """Tables in folders under `root`."""

    options: Mapping[str, str] = {}
    cheap = True

    def __init__(self, root: Path) -> None:
        self._root = root

    def uri(self, table: str, name: str = "") -> str:
        return str(self._root / table / name)

    def prepare(self, table: str, bytes_to_write: int) -> None:
        """Before delta-rs meets the full disk: there its own threads panic, and print it."""
        self._root.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self._root).free < bytes_to_write + _ROOM:
            raise full(table)

    def tables(self) -> list[str]:
        if not self._root.is_dir():
            return []
        return sorted(place.name for place in self._root.iterdir() if (place / "_delta_log").is_dir())

    def commits(self, table: str) -> dict[int, int]:
        log = self._root / table / "_delta_log"
        return {int(file.stem): file.stat().st_size for file in sorted(log.glob("[0-9]*.json")) if file.stem.isdigit()}

    def read(self, table: str, name: str) -> bytes | None:
        try:
            return (self._root / table / name).read_bytes()
        except FileNotFoundError:
            return None

    def has(self, table: str, name: str) -> bool:
        return (self._root / table / name).exists()

    def sizes(self, table: str, names: Sequence[str]) -> list[int | None]:
        return [self._size(self._root / table / name) for name in names]

    def _size(self, file: Path) -> int | None:
        try:
            size = file.stat().st_size
        except FileNotFoundError:
            return None
        _demand_access(file, os.R_OK)
        return size

    def listing(self, table: str) -> dict[str, Found]:
        root, found = self._root / table, {}
        for folder, _, names in os.walk(root):
            for name in names:
                file = Path(folder, name)
                with suppress(FileNotFoundError):  # removed meanwhile
                    told = file.stat()
                    found[file.relative_to(root).as_posix()] = Found(told.st_size, told.st_mtime)
        return found

    def write(self, table: str, name: str, content: bytes) -> None:
        file = self._root / table / name
        made = file.with_name(f".{file.name}.{uuid4().hex}")
        try:
            with made.open("wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            made.replace(file)
        finally:
            made.unlink(missing_ok=True)

    def remove(self, table: str, names: Sequence[str]) -> None:
        for name in names:
            (self._root / table / name).unlink(missing_ok=True)

    def trouble(self, table: str, error: BaseException) -> EngineError | None:
        if "No space left" in str(error) or "os error 28" in str(error):
            return full(table)
        if isinstance(error, OSError) and (told := of_system(error, kind=LakeError)):
            return told
        for number in (errno.EROFS, errno.EACCES, errno.EPERM):
            if f"os error {number})" in str(error):
                return of_system(OSError(number, os.strerror(number)), self._root / table, LakeError)
        return None

    def ping(self) -> None:
        probe = self._root / f".ping-{os.getpid()}"
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise of_system(error, self._root, LakeError) or LakeError(
                f"the lake cannot be used: {error.strerror} ({error.filename})", f"look at {self._root}"
            ) from error

    def demand_access(self, table: str) -> None:
        for folder in (self._root / table, self._root / table / "_delta_log"):
            _demand_access(folder, os.R_OK | os.W_OK)


def full(table: str) -> DiskFullError:
    """Of a commit that found no room."""
    return DiskFullError(f"table {table}: the disk is full; nothing of this commit was kept", "free space")


def _demand_access(path: Path, how: int) -> None:
    if not os.access(path, how):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
