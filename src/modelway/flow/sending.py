"""Files on their way into the event log, piece by piece: each once for each content, and on from where a dead process stopped.

A large file is read to its end before anything of it is sent: its types are those of the whole file, and a broken one is refused.
How far a file is in the log is noted behind each chunk. A chunk that was appended and not noted is appended again: its rows have
the keys that they had, and are doubles.

Files that are sent together arrive at one moment, however long it takes and however often it is begun again: of their rows none
was known before another (see `features/engine.py`).
"""

import hashlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from modelway import faults
from modelway.errors import ContractError, UnreadableFileError
from modelway.expressions.values import microseconds
from modelway.flow.columns import demand_columns, demand_single, named_columns
from modelway.flow.sources import source_of
from modelway.spec.model import Files, Spec
from modelway.state.schema import settings
from modelway.workspace import Workspace

if TYPE_CHECKING:
    import polars as pl

    from modelway.files.pieces import Piece, Plan

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Tell = Callable[[str, float | None], None]
_SETTLED_NS = 2_000_000_000
"""A file that was written so long before it was noted is known by size and time alone."""
_FIRST_ROWS = 1_000
_KEPT_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Note:
    """How far a file's content is in the event log: whole pieces, and rows of the next one."""

    digest: str
    size: int
    written_ns: int
    pieces: int = 0
    rows: int = 0
    whole: bool = False
    settled: bool = False
    room: int = 32 * 1024 * 1024
    """Bytes of a piece, as they were when the file was cut."""


@dataclass(frozen=True, slots=True)
class Unsent:
    """A file whose content is not, or not wholly, in the event log yet."""

    path: Path
    note: Note
    columns: list[str]
    targets: "pl.DataFrame | None"
    """Values of the target among rows that the contract accepts, and how often each came: all rows, or up to where two values were
    seen; None where the file has no such column."""
    plan: "Plan | None"
    """How its pieces are read; None where it is one piece."""
    frame: "pl.DataFrame | None"
    """Its rows, where they are one piece and memory had room for them."""


def silent(what: str, share: float | None = None) -> None:
    """Tells nobody."""
    del what, share


def send_files(workspace: Workspace, spec: Spec, tell: Tell = silent) -> int:
    """Append the spec's files to the event log, each once for each content; returns the rows sent.

    Nothing of a file is sent that the contract refuses as a whole: a column that is gone, or no row that holds.
    """
    paths = list(_changed(workspace, spec))
    return send(workspace, spec, _unsent(workspace, spec, paths, tell), paths, tell)


def unsent(workspace: Workspace, spec: Spec, tell: Tell = silent) -> list[Unsent]:
    """The spec's files that are new or have changed; raises what the contract refuses as a whole."""
    found, held = [], 0
    for file in _unsent(workspace, spec, _changed(workspace, spec), tell):
        held += 0 if file.frame is None else int(file.frame.estimated_size())
        found.append(file if held <= _KEPT_BYTES else replace(file, frame=None))
    return found


def send(workspace: Workspace, spec: Spec, files: Iterable[Unsent], paths: Sequence[Path], tell: Tell) -> int:
    """Append files to the event log; returns the rows sent. `paths`: all that are to be looked at."""
    sent, before, arrivals = 0, 0, _arrivals(workspace, spec, paths)
    total = sum(path.stat().st_size for path in paths)
    for file in files:

        def told(share: float, name: str = file.path.name, size: int = file.note.size, start: int = before) -> None:
            tell(f"reading files: {name}", min(1.0, (start + share * size) / max(1, total)))

        sent += _send(workspace, spec, file, arrivals[file.path], told)
        before += file.note.size
    return sent


def words_of(spec: Spec) -> list[str]:
    """The columns that stay text when a file is read, whatever its few rows look like."""
    return [name for name, rule in spec.contract.items() if rule.type == "string"]


def _arrivals(workspace: Workspace, spec: Spec, paths: Sequence[Path]) -> dict[Path, datetime]:
    """When each file arrives: now, or when a sending of it was begun that has not come to its end. Noted before the first row."""
    if not paths:
        return {}
    name, now, signs = _setting_of(spec, Path("*")), workspace.clock.now(), {path: _sign(path) for path in paths}
    with workspace.database.read() as connection:
        found = connection.execute(sa.select(settings.c.value).where(settings.c.name == name)).scalar()
    begun = orjson.loads(str(found)) if found else {}
    arrivals = {path: begun.get(sign, microseconds(now)) for path, sign in signs.items()}
    _keep(workspace, name, {signs[path]: arrived for path, arrived in arrivals.items()})
    return {path: _EPOCH + timedelta(microseconds=arrived) for path, arrived in arrivals.items()}


def _sign(path: Path) -> str:
    now = path.stat()
    return f"{path.resolve()} {now.st_size} {now.st_mtime_ns}"


def _send(workspace: Workspace, spec: Spec, file: Unsent, arrived: datetime, tell: Callable[[float], None]) -> int:
    from modelway.ingest.files import Numbers, send_frame

    note, name, sent, begun = file.note, _setting_of(spec, file.path), 0, 0.0
    numbers = None if spec.data.key else Numbers()
    for place, piece in enumerate(_pieces(file, spec)):
        if place < note.pieces and numbers is None:
            begun = piece.share
            continue
        frame = numbers.named(piece.read()) if numbers else piece.read()
        start = note.rows if place == note.pieces else 0
        if place >= note.pieces:
            for rows in send_frame(workspace.log, spec.topic, file.path.name, frame, start, arrived):
                sent, start = sent + rows - start, rows
                tell(begun + (piece.share - begun) * rows / frame.height)
                if rows < frame.height or piece.share < 1.0:
                    faults.point("files.before-note")
                    _keep(workspace, name, asdict(replace(note, pieces=place, rows=rows)))
                    faults.point("files.after-note")
        begun = piece.share
    _keep(workspace, name, asdict(replace(note, pieces=0, rows=0, whole=True)))
    return sent


def _pieces(file: Unsent, spec: Spec) -> "Iterator[Piece]":
    from modelway.files.pieces import Piece, pieces_of

    frame = file.frame
    if frame is None:
        return pieces_of(file.path, file.plan, text=words_of(spec))
    return iter([Piece(lambda: frame, 1.0)])


def _changed(workspace: Workspace, spec: Spec) -> Iterator[Path]:
    """The spec's files that do not look as when they were sent."""
    from modelway.ingest.files import find_files

    if not isinstance(spec.data.source, Files):
        return
    for path in find_files(spec.data.source.files, workspace.places.root):
        note, now = _note(workspace, _setting_of(spec, path)), path.stat()
        if (
            note is None
            or not (note.whole and note.settled)
            or (note.size, note.written_ns) != (now.st_size, now.st_mtime_ns)
        ):
            yield path


def _unsent(workspace: Workspace, spec: Spec, paths: Iterable[Path], tell: Tell) -> Iterator[Unsent]:
    from modelway.files import pieces
    from modelway.ingest.files import file_digest

    for path in paths:
        now, name, note = path.stat(), _setting_of(spec, path), _note(workspace, _setting_of(spec, path))
        fresh = Note(file_digest(path), now.st_size, now.st_mtime_ns, room=pieces.PIECE)
        fresh = replace(fresh, settled=time.time_ns() - fresh.written_ns > _SETTLED_NS)  # the file system's clock
        if note is not None and note.digest == fresh.digest:
            fresh = replace(fresh, whole=note.whole)
            if note.room == fresh.room:
                fresh = replace(fresh, pieces=note.pieces, rows=note.rows)
        if fresh.whole:
            _keep(workspace, name, asdict(fresh))
        else:

            def told(share: float, what: str = f"reading ahead: {path.name}") -> None:
                tell(what, share)

            yield _looked_at(path, fresh, spec, told)


@dataclass(frozen=True, slots=True)
class _Look:
    """What the contract makes of rows: how many it takes, how often each target among them, and each reason of a refusal."""

    accepted: int
    targets: "pl.DataFrame | None"
    reasons: "pl.DataFrame"

    @property
    def enough(self) -> bool:
        return self.accepted > 0 and (self.targets is None or self.targets.height > 1)

    def more(self, other: "_Look") -> "_Look":
        targets = (
            self.targets if other.targets is None or self.targets is None else counted(self.targets, other.targets)
        )
        return _Look(self.accepted + other.accepted, targets, counted(self.reasons, other.reasons))


def counted(*parts: "pl.DataFrame") -> "pl.DataFrame":
    """Counts by value, summed."""
    import polars as pl

    return pl.concat(parts).group_by("value", maintain_order=True).agg(pl.col("count").sum())


def _looked_at(path: Path, note: Note, spec: Spec, tell: Callable[[float], None]) -> Unsent:
    """Reads the whole file for its types, then on until a row holds and two values of the target were seen: mostly the first rows
    suffice.

    Raises UnreadableFileError, and ContractError when a column is not in the file, or when no row of it holds.
    """
    from modelway.files.pieces import pieces_of, plan_of

    words = words_of(spec)
    plan = plan_of(path, text=words, tell=tell)
    found = pieces_of(path, plan, text=words)
    first = next(found).read()
    wanted = named_columns(spec, spec.contract)
    demand_columns(first.columns, wanted, spec, path.name)
    demand_single(path, wanted, spec)
    if first.height == 0:
        raise UnreadableFileError(f"{path.name} has no rows", "give a file with at least one row of data")
    second = next(found, None)
    look = _look(first.head(_FIRST_ROWS), spec)
    if not look.enough and first.height > _FIRST_ROWS:
        look = _look(first, spec)
    for piece in itertools.chain([] if second is None else [second], found):
        if look.enough:
            break
        look = look.more(_look(piece.read(), spec))
    if not look.accepted:
        worst = look.reasons.sort("count", descending=True).head(3)
        said = "; ".join(f"{reason} ({count} rows)" for reason, count in worst.iter_rows())
        raise ContractError(
            f"the contract refuses every row of {path.name}: {said}",
            f"mend the file, or the contract in models/{spec.model}/modelway.yaml",
        )
    return Unsent(path, note, first.columns, look.targets, plan, first if plan is None else None)


def _look(frame: "pl.DataFrame", spec: Spec) -> _Look:
    from modelway.training.classes import target_text

    source, target = source_of(spec), spec.data.target
    checked = (source.recheck or source.check)(frame)  # a file is no batch: it enters the log in parts
    reasons = checked.quarantined["_reasons"].str.split("; ").explode().alias("value").value_counts()
    values = None
    if target in frame.columns:
        values = target_text(checked.accepted[target]).drop_nulls().alias("value").value_counts()
    return _Look(checked.accepted.height, values, reasons)


def _setting_of(spec: Spec, path: Path) -> str:
    return "file/" + hashlib.blake2b(f"{spec.topic}/{path.resolve()}".encode(), digest_size=16).hexdigest()


def _note(workspace: Workspace, name: str) -> Note | None:
    with workspace.database.read() as connection:
        found = connection.execute(sa.select(settings.c.value).where(settings.c.name == name)).scalar()
    if found is None:
        return None
    told = str(found)
    return (
        Note(**orjson.loads(told)) if told.startswith("{") else Note(told, 0, 0, whole=True)
    )  # a digest alone, from before


def _keep(workspace: Workspace, name: str, note: Mapping[str, Any]) -> None:
    with workspace.database.write() as connection:
        connection.execute(settings.delete().where(settings.c.name == name))
        connection.execute(settings.insert().values(name=name, value=orjson.dumps(note).decode()))
