"""`new_project`: a model project from a data file, whole or not at all."""

import difflib
import errno
import glob
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from modelway import faults
from modelway.errors import DataError, DiskFullError, ModelwayError, UsageError
from modelway.files.header import again
from modelway.records import Task
from modelway.scaffold.decisions import Decision, Decisions, named
from modelway.scaffold.look import look
from modelway.scaffold.model_text import model_text
from modelway.scaffold.spec_text import spec_text
from modelway.scaffold.test_text import test_text
from modelway.spec.load import load_spec

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_OURS = {
    "_key",
    "_at",
    "_part",
    "_target",
    "_content",
    "_arrived",
    "_partition",
    "_offset",
    "_index",
    "_reasons",
    "_raw",
}
_STAGE = ".new-"


@dataclass(frozen=True, slots=True)
class Created:
    """A project as written: paths relative to the workspace, and what was decided."""

    model: str
    task: Task
    files: tuple[str, ...]
    decisions: Decisions


def new_project(
    root: Path,
    model: str,
    data: Path,
    target: str,
    *,
    frame: pl.DataFrame,
    heads: Sequence[str] = (),
    overwrite: bool = False,
) -> Created:
    """Write `models/<model>/` in the workspace `root` from the rows of `data`, read as `frame`; `heads`: the header as it stands.

    With `overwrite` the three files are written anew and others of the folder are kept. Raises UsageError for a name, a
    target or a place that cannot be, DataError and TooLittleDataError for data from which no model can come.
    """
    demand_place(root, model, overwrite)
    demand_target(frame, target, data)
    found = look(frame, target)
    texts = {
        "modelway.yaml": spec_text(model, named_file(data, root), found),
        "model.py": model_text(model, found),
        "tests/test_model.py": test_text(model, found),
    }
    write_project(root, model, texts)
    decisions = Decisions((*found.decisions.made, *_twice(heads, data.name)))
    return Created(model, found.target.task, tuple(f"models/{model}/{name}" for name in texts), decisions)


def demand_place(root: Path, model: str, overwrite: bool) -> None:
    """Raises UsageError for a name that no model can have, or that is taken."""
    _demand_name(model)
    _demand_free(root, model, overwrite)


def write_project(root: Path, model: str, files: Mapping[str, str | bytes]) -> None:
    """The files of `models/<model>/`, all or none. Raises DiskFullError, ModelwayError."""
    place = root / "models" / model
    try:
        _write(place, files)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"the disk is full: {place} was not written", "make room, then run it again") from error
        raise ModelwayError(
            f"cannot write {place}: {error.strerror or error}", "make the workspace's models/ writable"
        ) from error


def _twice(heads: Sequence[str], file: str) -> Iterator[Decision]:
    """Columns that have one name in the file, which nobody may have meant."""
    for name, others in again(heads).items():
        why = f"the header of {file} has {name} {len(others) + 1} times"
        yield Decision(
            name, f"the later ones are called {named(others)}", why, "rename them in the file, then --overwrite"
        )


def _demand_name(model: str) -> None:
    if NAME.fullmatch(model):
        return
    better = re.sub(r"[^a-z0-9_-]+", "-", model.lower()).strip("-_")
    better = (better if better[:1].isalpha() else f"model-{better}".rstrip("-"))[:63]
    raise UsageError(
        f"{model!r} cannot be the name of a model: lower-case letters, digits, - and _, a letter first, at most 63",
        f"take for example {better}",
    )


def _demand_free(root: Path, model: str, overwrite: bool) -> None:
    place = root / "models" / model
    _mend(place)
    if place.exists() and not overwrite:
        raise UsageError(f"the model {model!r} exists already: {place}", "choose another name, or add --overwrite")


def demand_target(frame: pl.DataFrame, target: str, data: Path) -> None:
    ours = [name for name in frame.columns if name in _OURS]
    if ours:
        raise DataError(
            f"{data} has columns with names that Modelway uses: {', '.join(ours)}", "rename them in the file"
        )
    if target in frame.columns and not target.startswith("_"):
        return
    if target in frame.columns:
        raise UsageError(f"the target {target!r} starts with _, as Modelway's own columns do", "rename it in the file")
    folded = {name.casefold(): name for name in reversed(frame.columns)}
    close = difflib.get_close_matches(target.casefold().strip(), list(folded), n=1, cutoff=0.6)
    fix = f"did you mean --target {folded[close[0]]!r}?" if close else "name one of them with --target"
    raise UsageError(f"{data} has no column {target!r}; it has {named(frame.columns, 20)}", fix)


def named_file(data: Path, root: Path) -> str:
    """Relative to the workspace when it lies in it or beside it; characters that a pattern would read otherwise are escaped."""
    full, home = data.resolve(), root.resolve()
    near = full.is_relative_to(home.parent) and home.parent != home.parent.parent
    return glob.escape(Path(os.path.relpath(full, home)).as_posix() if near else full.as_posix())


def _write(place: Path, files: Mapping[str, str | bytes]) -> None:
    """Into a folder beside, then renamed: a crash leaves the old project, the new one, or what `_mend` mends."""
    place.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=f"{_STAGE}{place.name}-", dir=place.parent))
    try:
        fresh = stage / "new"
        if place.exists():
            shutil.copytree(place, fresh)
        for name, content in files.items():
            file = fresh / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        load_spec(fresh / "modelway.yaml")  # read as any other spec: no project is left that `run` would refuse
        _sync(fresh)
        faults.point("scaffold.before-rename")
        if place.exists():
            place.rename(stage / "old")
            faults.point("scaffold.between-renames")
        fresh.rename(place)
        faults.point("scaffold.after-rename")
    finally:
        _mend(place)


def _mend(place: Path) -> None:
    """What a crash left: an old project that was set aside comes back, half-written ones go."""
    for stage in sorted(place.parent.glob(f"{_STAGE}{place.name}-*")):
        if not re.fullmatch(r"[a-z0-9_]{8}", stage.name.removeprefix(f"{_STAGE}{place.name}-")):
            continue
        if (stage / "old").exists() and not place.exists():
            (stage / "old").rename(place)
        shutil.rmtree(stage, ignore_errors=True)


def _sync(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
