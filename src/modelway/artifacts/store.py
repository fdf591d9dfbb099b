"""The port of the artefact store; `folder.py` is the embedded adapter."""

from abc import ABC, abstractmethod


class ArtifactStore(ABC):
    """Bytes by their sha256 (hex). Putting the same bytes twice is one artefact; nothing is ever changed."""

    @abstractmethod
    def put(self, data: bytes) -> str:
        """Store durably and return the digest. Raises DiskFullError; a torn write is never visible."""

    @abstractmethod
    def get(self, digest: str) -> bytes:
        """The bytes. Raises NotFoundError when unknown, EngineError when they no longer match their digest."""

    @abstractmethod
    def has(self, digest: str) -> bool: ...

    @abstractmethod
    def ping(self) -> None:
        """Return if the store can be used; else raise EngineError."""
