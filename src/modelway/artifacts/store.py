"""The port of the artefact store; `folder.py` is the embedded adapter."""

from abc import ABC, abstractmethod


class ArtifactStore(ABC):
    """Bytes by their sha256 (hex). Putting the same bytes twice is one artefact; nothing is changed, `remove` alone takes away."""

    @abstractmethod
    def put(self, data: bytes) -> str:
        """Store durably and return the digest. Raises DiskFullError; a torn write is never visible."""

    @abstractmethod
    def get(self, digest: str) -> bytes:
        """The bytes. Raises NotFoundError when unknown, EngineError when they no longer match their digest."""

    @abstractmethod
    def has(self, digest: str) -> bool: ...

    @abstractmethod
    def remove(self, digest: str) -> None:
        """Remove the artefact for good (the law asks for it); one that is not there is removed already."""

    @abstractmethod
    def ping(self) -> None:
        """Return if the store can be used; else raise EngineError."""
