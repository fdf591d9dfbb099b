"""Frames to files, whole or not at all."""

import errno
import gzip
import os
from pathlib import Path
from typing import IO, cast

import polars as pl

from modelway import faults
from modelway.errors import DiskFullError, ModelwayError, NotFoundError, UsageError


def write_csv(path: Path, frame: pl.DataFrame) -> None:
    """Write UTF-8 CSV (gzipped when the name ends in .gz): beside the place, then renamed, so that no half file is seen.

    Raises NotFoundError for a missing folder, DiskFullError, UsageError for what may not be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    place = path if path.exists() and not path.is_file() else beside
    try:
        with place.open("wb") as out:
            if path.suffix == ".gz":
                with gzip.GzipFile(fileobj=out, mode="wb", filename="", mtime=0) as packed:
                    frame.write_csv(cast("IO[bytes]", packed))
            else:
                frame.write_csv(out)
            out.flush()
            if place == beside:
                os.fsync(out.fileno())
        faults.point("files.before-rename")
        if place == beside:
            beside.replace(path)
        faults.point("files.after-rename")
    except OSError as error:
        raise _told(path, error) from error
    finally:
        if place == beside:
            beside.unlink(missing_ok=True)


def _told(path: Path, error: OSError) -> ModelwayError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(f"the disk is full: {path} was not written", "make room, then run the command again")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return NotFoundError(f"the folder {path.parent} does not exist", f"mkdir -p {path.parent}")
    return UsageError(f"{path} cannot be written: {error.strerror or error}", "choose a place that you can write to")
