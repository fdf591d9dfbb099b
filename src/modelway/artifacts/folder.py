"""The embedded artefact store: one file a digest, written beside and renamed."""

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelway import faults
from modelway.artifacts.store import ArtifactStore
from modelway.errors import DiskFullError, EngineError, NotFoundError, of_system


class FolderArtifactStore(ArtifactStore):
    """Artefacts under `root`, in folders by the digest's first two letters."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        path = self._path(digest)
        with _mapped():
            if path.is_file() and path.stat().st_size == len(data):
                return digest
            path.parent.mkdir(parents=True, exist_ok=True)
            faults.point("artefact.before-write")
            _write_whole(path, data)
            faults.point("artefact.after-write")
        return digest

    def get(self, digest: str) -> bytes:
        try:
            data = self._path(digest).read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError(f"no artefact {digest}", "restore the folder artifacts/ from a backup") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise EngineError(f"artefact {digest} is damaged", f"restore {self._path(digest)} from a backup")
        return data

    def has(self, digest: str) -> bool:
        return self._path(digest).is_file()

    def remove(self, digest: str) -> None:
        with _mapped():
            self._path(digest).unlink(missing_ok=True)

    def ping(self) -> None:
        with _mapped(self._root):
            self._root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._root):
                return

    def _path(self, digest: str) -> Path:
        return self._root / digest[:2] / digest[2:]


def _write_whole(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _mapped(place: Path | None = None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError("artefacts: the disk is full; nothing of this call was kept", "free space") from error
        raise of_system(error, place) or EngineError(
            f"artefacts: {error.strerror} ({error.filename})", "see `modelway doctor`"
        ) from error
