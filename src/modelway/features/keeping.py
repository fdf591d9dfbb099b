"""How events and labels change what a store holds, without the store: records by key, and chunks by entity (`past.py`).

A record holds every version of an event and every label of its key, so that a correction or a late label finds what it changes.
A chunk is known by the time of its first version; the next chunk begins later, since equal times are never parted.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from modelway.errors import EngineError
from modelway.expressions.values import microseconds
from modelway.features.online import Group, PastEvent, PastLabel
from modelway.features.past import FOREVER, LIMIT, Entry, entries_of, pack

Place = tuple[str, str]
"""A group and an entity of it, as text."""
REFERENCE = "_@"
"""What the names of joined tables' groups begin with."""


class Version(msgspec.Struct, array_like=True, frozen=True):
    """One version of an event."""

    arrived: int
    at: int
    entities: dict[str, str]
    values: dict[str, float | str]


class Record(msgspec.Struct, array_like=True):
    """What is known of one key: versions in the order of arrival, labels likewise (arrived, target)."""

    versions: list[Version] = []
    labels: list[tuple[int, float]] = []

    @property
    def at(self) -> int:
        """When it happened last; of labels without an event, when they arrived."""
        times = [version.at for version in self.versions] or [arrived for arrived, _ in self.labels]
        return max(times)


pack_record = msgspec.msgpack.Encoder(order="deterministic").encode
read_record = msgspec.msgpack.Decoder(Record).decode


@dataclass
class Edits:
    """What changes in the chunks of one place."""

    gone: set[tuple[int, int, str]] = field(default_factory=set)
    new: list[Entry] = field(default_factory=list)


@dataclass(frozen=True)
class Chunk:
    """A chunk as it is stored; `first` and `last` are event times."""

    first: int
    last: int
    content: bytes


def group_name(group: Group) -> str:
    """A group as text; no two are alike."""
    return "".join(f"{len(name)}:{name}" for name in group)


def entity_name(entity: Sequence[str]) -> str:
    """An entity as text, likewise."""
    return entity[0] if len(entity) == 1 else "".join(f"{len(word)}:{word}" for word in entity)


def demand_group(group: Group, groups: Mapping[Group, str]) -> str:
    """The name of a group; raises EngineError when the store was not opened for it."""
    try:
        return groups[group]
    except KeyError:
        told = ", ".join(" and ".join(one) or "all events" for one in groups)
        raise EngineError(
            f"these online values hold no group {group} (there: {told})", "open them for this plan"
        ) from None


def keys_of(events: Sequence[PastEvent], labels: Sequence[PastLabel]) -> list[str]:
    return list(dict.fromkeys([event.key for event in events] + [label.key for label in labels]))


def absorbed(
    records: Mapping[str, Record], events: Sequence[PastEvent], labels: Sequence[PastLabel], groups: Iterable[Group]
) -> tuple[dict[str, Record], dict[Place, Edits]]:
    """The records that change, and the edits that follow, by place; `records` holds those that were there of `keys_of`."""
    named = {group: group_name(group) for group in groups}
    new: dict[str, Record] = {}

    def record(key: str) -> Record:
        if key not in new:
            there = records.get(key)
            new[key] = Record(list(there.versions), list(there.labels)) if there else Record()
        return new[key]

    for event in events:
        _take(record(event.key), event)
    for label in labels:
        _tell(record(label.key), label)
    edits: dict[Place, Edits] = {}
    changed = {}
    for key, after in new.items():
        before = records.get(key, Record())
        if after == before:
            continue
        changed[key] = after
        old, now = set(_entries(key, before, named)), dict.fromkeys(_entries(key, after, named))
        for place, entry in old.difference(now):
            edits.setdefault(place, Edits()).gone.add(entry[:3])
        for place, entry in now:
            if (place, entry) not in old:
                edits.setdefault(place, Edits()).new.append(_thawed(entry))
    return changed, edits


def rewritten(edits: Edits, find: Callable[[int], tuple[int, bytes] | None]) -> tuple[list[int], list[Chunk]]:
    """The chunks to remove, by their first time, and those to write.

    `find` gives the chunk for an event time: the last that begins no later, else the first one, with its name; None: no chunk.
    """
    touched: dict[int | None, tuple[bytes | None, Edits]] = {}
    for at, place, entry in [*((one[0], one, None) for one in edits.gone), *((e.at, None, e) for e in edits.new)]:
        found = find(at)
        name, content = found if found else (None, None)
        _, mine = touched.setdefault(name, (content, Edits()))
        if place is not None:
            mine.gone.add(place)
        if entry is not None:
            mine.new.append(entry)
    chunks = [chunk for content, mine in touched.values() for chunk in _cut(content, mine)]
    return [name for name in touched if name is not None], chunks


def superseded(contents: Sequence[bytes], before: int) -> list[Chunk]:
    """The chunks of a joined table's thing without the statements that others had replaced, all told, before then."""
    entries = sorted((e for content in contents for e in entries_of(content)), key=_order)
    valid = [n for n, entry in enumerate(entries) if entry.at <= before and entry.arrived <= before]
    return list(pieces(entries[valid[-1] if valid else 0 :]))


def _take(record: Record, event: PastEvent) -> None:
    at, arrived = microseconds(event.at), microseconds(event.arrived)
    version = Version(arrived, at, dict(event.entities), dict(event.values))
    if not any(v.at == at and v.entities == version.entities and v.values == version.values for v in record.versions):
        record.versions.append(version)
        record.versions.sort(key=lambda v: v.arrived)
    if event.target is not None and event.label_arrived is not None:
        _tell(record, PastLabel(event.key, event.target, event.label_arrived))


def _tell(record: Record, label: PastLabel) -> None:
    """A label of the same arrival stands for the one that was there."""
    arrived = microseconds(label.arrived)
    others = [one for one in record.labels if one[0] != arrived]
    record.labels = sorted([*others, (arrived, label.target)])


_Frozen = tuple[int, int, str, int, tuple[tuple[str, float | str], ...], tuple[tuple[int, float], ...]]


def _entries(key: str, record: Record, groups: Mapping[Group, str]) -> Iterator[tuple[Place, _Frozen]]:
    """Each version that ever counts, wherever it belongs."""
    labels = tuple((arrived, target) for arrived, target in record.labels)
    ends = [later.arrived for later in record.versions[1:]]
    for version, until in zip(record.versions, [*ends, FOREVER], strict=False):
        if until <= version.arrived:
            continue
        entry = (version.at, version.arrived, key, until, tuple(version.values.items()), labels)
        statement = _of_table(version.entities)
        for group, name in groups.items():
            if statement != _of_table(group):
                continue
            words = [version.entities.get(column, "") for column in group]
            if "" not in words:
                yield (name, entity_name(words)), entry


def _of_table(columns: Iterable[str]) -> bool:
    return any(column.startswith(REFERENCE) for column in columns)


def _thawed(frozen: _Frozen) -> Entry:
    at, arrived, key, until, values, labels = frozen
    return Entry(at, arrived, key, until, dict(values), labels)


def _order(entry: Entry) -> tuple[int, int, str]:
    return entry[:3]


def _cut(content: bytes | None, edits: Edits) -> Iterator[Chunk]:
    there = entries_of(content) if content is not None else []
    kept = [entry for entry in there if entry[:3] not in edits.gone]
    return pieces(sorted([*kept, *edits.new], key=_order))


def pieces(entries: Sequence[Entry]) -> Iterator[Chunk]:
    """Chunks of LIMIT, the last one smaller: most events come at the end. Equal times stay together."""
    start = 0
    while start < len(entries):
        end = min(start + LIMIT, len(entries))
        while end < len(entries) and entries[end].at == entries[end - 1].at:
            end += 1
        part = entries[start:end]
        yield Chunk(part[0].at, part[-1].at, pack(part))
        start = end
