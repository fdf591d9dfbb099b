"""Data files become events: each file once for each content, in Arrow chunks that keep their keys when a file grows."""

import glob
import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from modelway import faults
from modelway.errors import NotFoundError
from modelway.events.log import ARROW, EventLog, NewEvent
from modelway.ingest.identity import contents, numbered

CHUNK = 20_000


def find_files(patterns: tuple[str, ...], root: Path) -> list[Path]:
    """The files that the patterns name, in order of their names; raises NotFoundError for a pattern that names none."""
    found: dict[Path, None] = {}
    for pattern in patterns:
        place = pattern if Path(pattern).is_absolute() else str(root / pattern)
        matches = sorted(glob.glob(place, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        if not matches:
            raise NotFoundError(f"no file {pattern} (looked for in {root})", "mend data.source.files in modelway.yaml")
        found |= dict.fromkeys(Path(match) for match in matches)
    return list(found)


def file_digest(path: Path) -> str:
    """sha256 of the file's bytes."""
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def send_rows(
    log: EventLog, topic: str, file: str, frame: pl.DataFrame, key: str | None, tell: Callable[[float], None]
) -> int:
    """Append a file's rows to the topic; returns how many. Sent twice, they are doubles and change nothing."""
    done = 0
    for chunk in chunks(frame, key):
        faults.point("files.before-chunk")
        log.append(topic, [NewEvent(file, ipc_bytes(chunk), ARROW, {"file": file})])
        faults.point("files.after-chunk")
        done += chunk.height
        tell(done / max(1, frame.height))
    return done


def chunks(frame: pl.DataFrame, key: str | None) -> Iterator[pl.DataFrame]:
    """At most CHUNK rows each; rows without a key column are known by content and by which of equal rows they are."""
    named = frame if key else frame.with_columns(numbered(contents(frame)))
    yield from named.iter_slices(CHUNK)


def ipc_bytes(frame: pl.DataFrame) -> bytes:
    """The frame as an Arrow IPC stream."""
    out = io.BytesIO()
    frame.write_ipc_stream(out, compression="zstd")
    return out.getvalue()
