"""Whether files can teach what the spec's target names, asked before anything of them is written.

Nothing is refused where the target may come from elsewhere: declared labels, labels that were sent, rows of other producers.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from modelway.errors import DataError, NotFoundError, SpecError, TooLittleDataError, UnreadableFileError
from modelway.flow.columns import demand_single, listed, named_columns
from modelway.flow.sending import Unsent, counted, words_of
from modelway.flow.sources import labels_topic
from modelway.spec.document import with_line
from modelway.spec.fields import meant
from modelway.spec.model import Files, Spec
from modelway.workspace import Workspace

if TYPE_CHECKING:
    import polars as pl


def demand_learnable(workspace: Workspace, spec: Spec, files: Sequence[Unsent]) -> None:
    """Raises SpecError when no file has the target, TooLittleDataError when the first rows of all have one value of it."""
    if not _only_files_tell(workspace, spec):
        return
    stored = _stored(workspace, spec)
    _demand_among(workspace, spec, [*stored, *(name for file in files for name in file.columns)])
    values = [file.targets for file in files if file.targets is not None]
    if not stored and values and spec.task != "anomaly":
        _demand_two_values(spec, values, ", ".join(file.path.name for file in files))


def demand_there(workspace: Workspace, spec: Spec) -> None:
    """Raises SpecError when no file has the target; files that cannot be read are left to the run, which says why."""
    if not _only_files_tell(workspace, spec):
        return
    known: list[str] = []
    try:
        for columns in _columns(workspace, spec):
            if spec.data.target in columns:
                return
            known += columns
    except (NotFoundError, DataError):
        return
    _demand_among(workspace, spec, known)


def demand_single_columns(workspace: Workspace, spec: Spec) -> None:
    """Raises ContractError when a file has a column twice that the spec names; files that cannot be read are left to the run."""
    from modelway.ingest.files import find_files

    if not isinstance(spec.data.source, Files):
        return
    wanted = [*named_columns(spec, spec.contract), *([spec.data.target] if spec.data.target else [])]
    try:
        for path in find_files(spec.data.source.files, workspace.places.root):
            demand_single(path, wanted, spec)
    except (NotFoundError, UnreadableFileError):
        return


def _only_files_tell(workspace: Workspace, spec: Spec) -> bool:
    if not isinstance(spec.data.source, Files) or spec.data.labels is not None or not spec.data.target:
        return False
    if any(workspace.log.ends(labels_topic(spec)).values()):
        return False
    return bool(_stored(workspace, spec)) or not any(workspace.log.ends(spec.topic).values())


def _stored(workspace: Workspace, spec: Spec) -> list[str]:
    """The columns of the model's table; [] before there is one."""
    if workspace.lake.version(spec.topic) is None:
        return []
    return workspace.lake.scan(spec.topic).collect_schema().names()


def _columns(workspace: Workspace, spec: Spec) -> Iterator[list[str]]:
    """The columns of the table, then those of each file: it is read only when it is asked for."""
    from modelway.files.read import read_table
    from modelway.ingest.files import find_files

    yield _stored(workspace, spec)
    if isinstance(spec.data.source, Files):
        for path in find_files(spec.data.source.files, workspace.places.root):
            yield read_table(path, text=words_of(spec)).columns


def _demand_among(workspace: Workspace, spec: Spec, known: Sequence[str]) -> None:
    target = spec.data.target
    names = [name for name in dict.fromkeys(known) if not name.startswith("_")]
    if target in known or not names:
        return
    error = SpecError(
        f"data.target: the files have no column {target!r} (there: {listed(names)}){meant(target, names)}",
        f"name the column to predict; or, if its values come later, send them first: modelway labels {spec.model} --data FILE",
    )
    raise with_line(error, workspace.places.spec(spec.model))


def _demand_two_values(spec: Spec, values: "Sequence[pl.DataFrame]", file: str) -> None:
    counts = counted(*values)
    if counts.height > 1:
        return
    target = spec.data.target
    if counts.height == 0:
        raise TooLittleDataError(
            f"the target {target!r} is missing in every row of {file}",
            f"fill it in; or, if its values come later, send them first: modelway labels {spec.model} --data FILE",
        )
    value, rows = counts.row(0)
    if spec.task == "regression":
        raise TooLittleDataError(
            f"the target {target!r} is the same number in all {rows} rows of {file}: {value}",
            "bring in rows with other values, or check data.target in modelway.yaml",
        )
    raise TooLittleDataError(
        f"the target {target!r} has only one class in {file}: {value} ({rows} rows)",
        "a model needs rows of at least two classes; bring in more rows, or check data.target in modelway.yaml",
    )
