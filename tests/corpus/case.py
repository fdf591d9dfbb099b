"""One file of the corpus: where it comes from, and what must come of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """`make(folder)` writes the file and returns its path, or None where its source is not installed."""

    name: str
    origin: str
    target: str
    task: str
    """The task that is found; for a refused file "" ."""
    make: Callable[[Path], Path | None]
    refused: str = ""
    """The name of the error type, for a file that must be refused."""
    says: tuple[str, ...] = ()
    """What the refusal must say, or (accepted) what the decisions must say, as `about: part of the text`."""
    key: str | None = None
    event_time: str | None = None
    ignored: tuple[str, ...] = ()
    exact: bool = False
    """Exported and proved here."""
