"""Data files become events: each file once for each content, in Arrow chunks that keep their keys when a file grows."""

import glob
import hashlib
import io
from collections.abc import Callable, Iterator
from datetime import datetime
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
    for done in send_frame(log, topic, file, frame if key else Numbers().named(frame)):
        tell(done / max(1, frame.height))
    return frame.height


def send_frame(
    log: EventLog, topic: str, file: str, frame: pl.DataFrame, start: int = 0, arrived: datetime | None = None
) -> Iterator[int]:
    """Append rows from the `start`-th on, CHUNK by CHUNK; yields how many of the frame are in the log, each time it has more.

    All have `arrived` then (None: each chunk when it is appended).
    """
    for chunk in frame.slice(start).iter_slices(CHUNK):
        for value in fitted(chunk, log.largest):
            faults.point("files.before-chunk")
            log.append(topic, [NewEvent(file, value, ARROW, {"file": file}, arrived)])
            faults.point("files.after-chunk")
        start += chunk.height
        yield start


class Numbers:
    """Names the rows of a file without a key, over all its pieces: by content, and by which of equal rows they are."""

    def __init__(self) -> None:
        self._seen = pl.DataFrame(schema={"hash": pl.UInt64, "count": pl.UInt32})

    def named(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The next piece's rows with their `_key`."""
        content = contents(frame)
        hashes = content.str.slice(0, 16).str.to_integer(base=16, dtype=pl.UInt64).alias("hash").to_frame()
        before = (
            hashes.join(self._seen, on="hash", how="left", maintain_order="left")["count"].fill_null(0).cast(pl.Int64)
        )
        counts = hashes.group_by("hash").agg(pl.len().alias("count"))
        self._seen = pl.concat([self._seen, counts]).group_by("hash").agg(pl.col("count").sum())
        return frame.with_columns(_behind(content, before))


def _behind(content: pl.Series, before: pl.Series) -> pl.Series:
    """`numbered`, where so many equals of each row came before."""
    if not before.max():
        return numbered(content)
    again = pl.DataFrame({"content": content}).select(pl.int_range(pl.len()).over("content")).to_series() + before
    return pl.select(pl.lit(content) + pl.lit("#") + pl.lit(again).cast(pl.String)).to_series().alias("_key")


def fitted(chunk: pl.DataFrame, largest: int) -> Iterator[bytes]:
    """The chunk as Arrow streams of at most `largest` bytes; a single row goes as it is, and the log says if it is too much."""
    value = ipc_bytes(chunk)
    if len(value) <= largest or chunk.height == 1:
        yield value
        return
    half = chunk.height // 2
    for part in (chunk.head(half), chunk.tail(chunk.height - half)):
        yield from fitted(part, largest)


def ipc_bytes(frame: pl.DataFrame) -> bytes:
    """The frame as an Arrow IPC stream."""
    out = io.BytesIO()
    frame.write_ipc_stream(out, compression="zstd")
    return out.getvalue()
