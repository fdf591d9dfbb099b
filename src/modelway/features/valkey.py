"""Online values in Valkey (or Redis): packed as in `past.py`, one hash of chunks an entity; several servers share them.

All that one `put` changes is one MULTI/EXEC, with the log position in it, guarded by WATCH on the position's key: of two writers
the later one reads again. One look is one round trip, whatever the number of windows. Numbers are little-endian doubles.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any

from modelway import faults
from modelway.errors import EngineError, MissingExtraError
from modelway.expressions.values import microseconds
from modelway.features.erased import is_of, is_theirs, without
from modelway.features.forgotten import demand_kept
from modelway.features.keeping import (
    REFERENCE,
    Chunk,
    Edits,
    Place,
    Record,
    absorbed,
    demand_group,
    entity_name,
    group_name,
    keys_of,
    pack_record,
    read_record,
    rewritten,
    superseded,
)
from modelway.features.online import EVENTS, LABELS, Group, Look, OnlineValues, PastEvent, PastLabel
from modelway.features.past import Past, keys_in, read
from modelway.features.valkey_line import Lines

_FORGOTTEN = "forgotten"
_MANY = 1_000


class ValkeyOnlineValues(OnlineValues):
    """The values of one plan, under keys that begin with its `name`.

    `ttl_seconds`: what was not written for so long expires (statements of joined tables never do); no shorter than the widest
    window and the lateness together, or windows would be too small. The server must not evict keys: `ping` looks.
    """

    def __init__(
        self,
        url: str,
        name: str,
        groups: Sequence[Group],
        *,
        password: str | None = None,
        ttl_seconds: int | None = None,
    ) -> None:
        try:
            import redis
        except ImportError as error:
            raise MissingExtraError("redis", "valkey") from error
        self._name, self._ttl = name, ttl_seconds
        self._groups = {group: group_name(group) for group in groups}
        self._prefix, self._upto = f"modelway:{name}:", f"modelway:{name}:upto"
        with self._mapped():
            secret = {} if password is None else {"password": password}
            self._client: Any = redis.Redis.from_url(
                url, protocol=2, socket_timeout=30, socket_connect_timeout=10, **secret
            )
        self._lines = Lines(self._client.connection_pool)

    def put(self, events: Sequence[PastEvent], upto: Mapping[int, int], stream: str = EVENTS) -> None:
        self._take(events, [], upto, stream)

    def label(self, labels: Sequence[PastLabel], upto: Mapping[int, int]) -> None:
        self._take([], labels, upto, LABELS)

    def look(self, looks: Sequence[Look], known: int | None) -> list[Past]:
        places = [(demand_group(look.group, self._groups), entity_name(look.entity)) for look in looks]
        asked = [("HGETALL", self._place(place)) for place in places]
        with self._mapped():
            *hashes, kept = self._lines.ask([*asked, ("HGET", self._upto, f"{_FORGOTTEN}/0")])
        found = []
        for look, there in zip(looks, hashes, strict=True):
            demand_kept(look, None if kept is None else int(kept))
            chunks = _chunks(dict(zip(there[::2], there[1::2], strict=True)))
            near = [chunk for chunk in chunks if chunk.first <= look.until and chunk.last > look.since]
            found.append(read([chunk.content for chunk in near], look.since, look.until, known))
        return found

    def upto(self, stream: str = EVENTS) -> dict[int, int]:
        with self._mapped():
            return _positions(self._client.hgetall(self._upto), stream)

    def forget(self, before: datetime) -> int:
        moment = microseconds(before)
        gone = 0
        with self._mapped():
            self._guarded(lambda pipe: lambda multi: multi.hset(self._upto, f"{_FORGOTTEN}/0", moment))
            faults.point("online.after-forgotten")
            while names := self._client.zrange(
                self._key("old"), "-inf", f"({moment}", byscore=True, offset=0, num=_MANY
            ):
                gone += sum(len(_record(content).versions) for content in self._client.mget(names))
                self._client.pipeline().delete(*names).zrem(self._key("old"), *names).execute()
            for name in self._client.zrange(self._key("places"), "-inf", f"({moment}", byscore=True):
                self._guarded(self._forgetting(name, moment))
        return gone

    def erase(self, keys: Collection[str], entities: Mapping[str, str]) -> int:
        with self._mapped():
            gone = self._theirs(keys, entities)
            places = [self._place_of(name) for name in self._names("c/")]
            theirs = [place for place in places if is_theirs(place, entities)]
            for place in places:
                if place not in theirs:
                    self._guarded(self._erasing(place, gone))
            faults.point("online.after-chunks")  # places and records tell the keys: they go last
            for place in theirs:
                self._guarded(self._dropping(place))
            for names in _hundreds(self._record(key).encode() for key in gone):
                self._client.pipeline().delete(*names).zrem(self._key("old"), *names).execute()
        return sum(gone.values())

    def clear(self) -> None:
        with self._mapped():
            self._client.delete(self._upto)  # first: what is left without a position is put again, and doubles nothing
            faults.point("online.after-position")
            for names in _hundreds(self._client.scan_iter(f"{_literal(self._prefix)}*", count=_MANY)):
                self._client.delete(*names)

    def ping(self) -> None:
        with self._mapped():
            told = self._client.info("memory")
        policy, most = told.get("maxmemory_policy", "noeviction"), int(told.get("maxmemory", 0))
        if most and policy != "noeviction":
            raise EngineError(
                f"online values in Valkey: its maxmemory-policy is {policy}, so windows would lose events without a word",
                "set maxmemory-policy noeviction",
            )

    def close(self) -> None:
        self._lines.close()
        self._client.close()

    def _take(
        self, events: Sequence[PastEvent], labels: Sequence[PastLabel], upto: Mapping[int, int], stream: str
    ) -> None:
        keys = keys_of(events, labels)

        def write(pipe: Any) -> Callable[[Any], None]:
            there = pipe.mget([self._record(key) for key in keys]) if keys else []
            known = {key: read_record(one) for key, one in zip(keys, there, strict=True) if one is not None}
            changed, edits = absorbed(known, events, labels, self._groups)
            chunks = dict(zip(edits, self._read(list(edits)), strict=True))
            here = _positions(pipe.hgetall(self._upto), stream)
            new = {f"{stream}/{p}": max(offset, here.get(p, 0)) for p, offset in upto.items()}

            def queue(multi: Any) -> None:
                for key, record in changed.items():
                    multi.set(self._record(key), pack_record(record), ex=self._ttl)
                    multi.zadd(self._key("old"), {self._record(key): record.at})
                for place, edit in edits.items():
                    self._rewrite(multi, place, chunks[place], edit)
                if new:
                    multi.hset(self._upto, mapping=new)

            return queue

        with self._mapped():
            self._guarded(write)

    def _guarded(self, write: Callable[[Any], Callable[[Any], Any]]) -> None:
        """Read and write as one: when another writer came in between, all is read again."""
        import redis

        while True:
            with self._client.pipeline() as pipe:
                try:
                    pipe.watch(self._upto)
                    queue = write(pipe)
                    pipe.multi()
                    queue(pipe)
                    pipe.hincrby(self._upto, "writes/0", 1)  # every writer is seen by the others
                    faults.point("online.before-commit")
                    pipe.execute()
                    faults.point("online.after-commit")
                except redis.WatchError:
                    continue
                return

    def _read(self, places: Sequence[Place]) -> list[list[Chunk]]:
        pipe = self._client.pipeline(transaction=False)
        for place in places:
            pipe.hgetall(self._place(place))
        return [_chunks(there) for there in pipe.execute()] if places else []

    def _rewrite(self, multi: Any, place: Place, chunks: Sequence[Chunk], edits: Edits) -> None:
        named = {chunk.first: chunk for chunk in chunks}

        def find(at: int) -> tuple[int, bytes] | None:
            before = [chunk for chunk in chunks if chunk.first <= at]
            found = before[-1] if before else chunks[0] if chunks else None
            return None if found is None else (found.first, found.content)

        gone, new = rewritten(edits, find)
        self._replace(multi, place, [named[first] for first in gone], new)
        left = [chunk.first for chunk in chunks if chunk.first not in gone] + [chunk.first for chunk in new]
        self._list(multi, place, left)

    def _replace(self, multi: Any, place: Place, gone: Sequence[Chunk], new: Sequence[Chunk]) -> None:
        name = self._place(place)
        if gone:
            multi.hdel(name, *(_field(chunk) for chunk in gone))
        if new:
            multi.hset(name, mapping={_field(chunk): chunk.content for chunk in new})
        if self._ttl is not None and REFERENCE not in place[0]:
            multi.expire(name, self._ttl)

    def _list(self, multi: Any, place: Place, firsts: Sequence[int]) -> None:
        """Keep the place where `forget` finds it, by its oldest event."""
        if firsts:
            multi.zadd(self._key("places"), {self._place(place): min(firsts)})
        else:
            multi.zrem(self._key("places"), self._place(place))

    def _forgetting(self, name: bytes, moment: int) -> Callable[[Any], Callable[[Any], None]]:
        by, entity = self._place_of(name)

        def write(pipe: Any) -> Callable[[Any], None]:
            chunks = list(_chunks(pipe.hgetall(name)))
            if REFERENCE in by:
                left = superseded([chunk.content for chunk in chunks], moment)
                gone = chunks
            else:
                left = [chunk for chunk in chunks if chunk.last >= moment]
                gone = [chunk for chunk in chunks if chunk.last < moment]

            def queue(multi: Any) -> None:
                self._replace(multi, (by, entity), gone, left if REFERENCE in by else [])
                self._list(multi, (by, entity), [chunk.first for chunk in left])

            return queue

        return write

    def _theirs(self, keys: Collection[str], entities: Mapping[str, str]) -> dict[str, int]:
        """Each key that is to go, with the number of its versions; a chunk may outlive the records of its keys (see `forget`)."""
        found = dict.fromkeys(keys, 0)
        for name in self._names("c/") if entities else ():
            if is_theirs(self._place_of(name), entities):
                found |= {key: 0 for content in self._client.hvals(name) for key in keys_in(content)}
        for names in _hundreds(self._names("r/")):
            for name, content in zip(names, self._client.mget(names), strict=True):
                key, record = name.decode().removeprefix(self._key("r/")), _record(content)
                if key in found or is_of(record, entities):
                    found[key] = len(record.versions)
        return found

    def _erasing(self, place: Place, keys: Collection[str]) -> Callable[[Any], Callable[[Any], None]]:
        def write(pipe: Any) -> Callable[[Any], None]:
            there = _chunks(pipe.hgetall(self._place(place)))
            left = {chunk: rest for chunk in there if (rest := without(chunk.content, keys)) is not None}
            new = [part for rest in left.values() for part in rest]

            def queue(multi: Any) -> None:
                if left:
                    self._replace(multi, place, list(left), new)
                    self._list(multi, place, [chunk.first for chunk in (*there, *new) if chunk not in left])

            return queue

        return write

    def _dropping(self, place: Place) -> Callable[[Any], Callable[[Any], None]]:
        def queue(multi: Any) -> None:
            multi.delete(self._place(place))
            self._list(multi, place, [])

        return lambda pipe: queue

    def _names(self, kind: str) -> Iterator[bytes]:
        names: Iterator[bytes] = self._client.scan_iter(f"{_literal(self._key(kind))}*", count=_MANY)
        return names

    def _place_of(self, name: bytes) -> Place:
        by, _, entity = name.decode().removeprefix(self._key("c/")).partition("\0")
        return by, entity

    def _key(self, name: str) -> str:
        return f"{self._prefix}{name}"

    def _record(self, key: str) -> str:
        return f"{self._prefix}r/{key}"

    def _place(self, place: Place) -> str:
        return f"{self._prefix}c/{place[0]}\0{place[1]}"

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        """The client's errors as ours; no address with a password in it is told."""
        import redis

        try:
            yield
        except redis.AuthenticationError as error:
            raise EngineError(
                f"online values {self._name} in Valkey: {error}", "check online.valkey in stack.yaml and its secret"
            ) from error
        except (redis.RedisError, OSError, ValueError) as error:
            passing = isinstance(error, redis.ConnectionError | redis.TimeoutError | OSError)
            raise EngineError(
                f"online values {self._name} in Valkey: {error}",
                "modelway doctor, and look at the server",
                transient=passing,
            ) from error


def _hundreds(names: Iterable[bytes]) -> Iterator[list[bytes]]:
    there = iter(names)
    while part := list(islice(there, 100)):
        yield part


def _literal(name: str) -> str:
    """A name in a pattern of SCAN."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _field(chunk: Chunk) -> str:
    return f"{chunk.first}:{chunk.last}"


def _chunks(there: Mapping[bytes, bytes]) -> list[Chunk]:
    """A hash's chunks in the order of their times."""
    found = []
    for field, content in there.items():
        first, _, last = field.partition(b":")
        found.append(Chunk(int(first), int(last), content))
    found.sort(key=lambda chunk: chunk.first)
    return found


def _positions(there: Mapping[bytes, bytes], stream: str) -> dict[int, int]:
    pairs = ((*name.decode().rpartition("/"), offset) for name, offset in there.items())
    return {int(partition): int(offset) for name, _, partition, offset in pairs if name == stream}


def _record(content: bytes | None) -> Record:
    return read_record(content) if content is not None else Record()
