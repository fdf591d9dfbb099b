"""The artefact store's checks over the folder adapter, and what is the folder's own."""

from pathlib import Path

import pytest

from modelway.artifacts.folder import FolderArtifactStore
from modelway.errors import EngineError
from modelway.testing.artifacts import ArtifactChecks


@pytest.fixture
def store(tmp_path: Path) -> FolderArtifactStore:
    return FolderArtifactStore(tmp_path / "artifacts")


class TestFolder(ArtifactChecks): ...


def test_a_damaged_artefact_is_an_error_and_is_repaired_by_putting_it_again(store, tmp_path):
    digest = store.put(b"abcdef")
    path = tmp_path / "artifacts" / digest[:2] / digest[2:]
    path.write_bytes(b"abcde")
    with pytest.raises(EngineError, match="damaged"):
        store.get(digest)
    assert store.put(b"abcdef") == digest
    assert store.get(digest) == b"abcdef"
    assert [p.name for p in path.parent.iterdir()] == [digest[2:]]
