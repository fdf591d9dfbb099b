"""What of a store's chunks and records is a person's: by the keys of events, or by what their columns say."""

from collections.abc import Collection, Iterator, Mapping

from modelway.features.keeping import Chunk, Place, Record, pieces
from modelway.features.past import entries_of, keys_in


def is_theirs(place: Place, entities: Mapping[str, str]) -> bool:
    """Whether all that stands at the place is theirs."""
    columns, words = list(_parted(place[0])), [place[1]]
    if len(columns) != 1:
        words = list(_parted(place[1]))
    return any(entities.get(column) == word for column, word in zip(columns, words, strict=True))


def is_of(record: Record, entities: Mapping[str, str]) -> bool:
    """Whether any version of it was theirs: then the whole key goes."""
    return any(version.entities.get(column) == word for version in record.versions for column, word in entities.items())


def without(content: bytes, keys: Collection[str]) -> list[Chunk] | None:
    """What is left of a chunk; None when it holds none of the keys."""
    if not any(key in keys for key in keys_in(content)):
        return None
    return list(pieces([entry for entry in entries_of(content) if entry.key not in keys]))


def _parted(name: str) -> Iterator[str]:
    """The way back of names that were put together as length:word."""
    while name:
        length, _, rest = name.partition(":")
        yield rest[: int(length)]
        name = rest[int(length) :]
