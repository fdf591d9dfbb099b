"""A place by its address: a folder, or a prefix in object storage."""

from collections.abc import Mapping
from pathlib import Path

from modelway.lake.delta.bucket import Bucket
from modelway.lake.delta.places import Folder, Place


def place_of(root: str | Path, options: Mapping[str, str]) -> Place:
    """A path or `file://` is a folder; any other scheme is object storage."""
    scheme, found, rest = str(root).partition("://")
    if not found:
        return Folder(Path(root))
    return Folder(Path(rest)) if scheme == "file" else Bucket(str(root), options)
