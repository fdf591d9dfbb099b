"""What every artefact store must keep: subclass ArtifactChecks in a test module and give it a `store` fixture."""

import hashlib

import pytest

from modelway.artifacts.store import ArtifactStore
from modelway.errors import NotFoundError


class ArtifactChecks:
    """Each check takes the fixture `store`: empty."""

    @pytest.mark.parametrize("data", [b"", b"abc", bytes(range(256)) * 5000])
    def test_bytes_come_back_under_their_sha256(self, store: ArtifactStore, data: bytes) -> None:
        digest = store.put(data)
        assert digest == hashlib.sha256(data).hexdigest()
        assert store.get(digest) == data
        assert store.has(digest)

    def test_the_same_bytes_twice_are_one_artefact(self, store: ArtifactStore) -> None:
        assert store.put(b"abc") == store.put(b"abc")

    def test_an_unknown_digest_is_not_found(self, store: ArtifactStore) -> None:
        unknown = hashlib.sha256(b"never put").hexdigest()
        assert not store.has(unknown)
        with pytest.raises(NotFoundError):
            store.get(unknown)

    def test_a_removed_artefact_is_gone_and_can_be_put_again(self, store: ArtifactStore) -> None:
        digest, other = store.put(b"abc"), store.put(b"abcd")
        store.remove(digest)
        store.remove(digest)
        assert not store.has(digest)
        assert store.get(other) == b"abcd"
        assert store.put(b"abc") == digest
        assert store.get(digest) == b"abc"

    def test_ping_returns(self, store: ArtifactStore) -> None:
        store.ping()
