"""The port of experiment tracking and of the registry's mirror; `mlflow.py` is the adapter, on SQLite when embedded.

The control database is the truth; what is told here is for people to read, and may be told again at any time.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any


class Tracking(ABC):
    """Runs by model with parameters, metrics and files, and versions with aliases. Every call may be repeated.

    Every method raises TrackingError when the tracking server fails; its `transient` says whether to try again.
    """

    @abstractmethod
    def start(self, model: str, run: str, at: datetime, tags: Mapping[str, str] | None = None) -> str:
        """The tracking run of our run: made at the first call, the same one at every other. `at` is when it began."""

    @abstractmethod
    def log(
        self,
        tracked: str,
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float | None] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Add parameters, figures and tags; None and NaN figures are left out. A parameter's first value stays."""

    @abstractmethod
    def file(self, tracked: str, name: str, data: bytes) -> None:
        """Store a file with the run (`plots/roc.svg`); one of the same name is replaced."""

    @abstractmethod
    def finish(self, tracked: str, at: datetime, *, failed: bool = False) -> None:
        """Close the run; its files and figures stay as they are."""

    @abstractmethod
    def register(self, model: str, version: int, tracked: str, tags: Mapping[str, str] | None = None) -> None:
        """Mirror a version of ours (counted from 1) in the registry, with the run that made it."""

    @abstractmethod
    def mirror(self, model: str, aliases: Mapping[str, int | None]) -> tuple[str, ...]:
        """Make the aliases point at our versions (None: at nothing), and say what had to be put right, in words.

        A version or model that another hand deleted is registered again. Returns () when all was right.
        """

    @abstractmethod
    def link(self, tracked: str) -> str:
        """Where a person finds the run: an address, or for a local database what to open."""

    @abstractmethod
    def ping(self) -> None:
        """Return if runs can be read and written; else raise TrackingError."""
