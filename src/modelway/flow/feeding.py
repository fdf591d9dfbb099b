"""Data on their way into the lake: files to the event log, the log to tables; labels sent, refused rows replayed."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from modelway.errors import ContractError, UnreadableFileError
from modelway.flow.sources import labels_of, labels_topic, predictions_of, source_of
from modelway.ingest import quarantine
from modelway.ingest.batch import APP, Source, ingest_batch
from modelway.records import Ingested
from modelway.spec.model import Files, Spec
from modelway.state.schema import settings
from modelway.workspace import Workspace

if TYPE_CHECKING:
    import polars as pl

Tell = Callable[[str, float | None], None]
_BATCH_EVENTS = 50_000


@dataclass(frozen=True, slots=True)
class Unsent:
    """A file whose content is not in the event log yet."""

    path: Path
    digest: str
    frame: "pl.DataFrame"
    targets: "pl.Series | None"
    """Targets of the rows that the contract accepts; None where the file has no such column."""


def silent(what: str, share: float | None = None) -> None:
    """Tells nobody."""
    del what, share


def send_files(workspace: Workspace, spec: Spec, tell: Tell = silent) -> int:
    """Append the spec's files to the event log, each once for each content; returns the rows sent.

    Nothing of a file is sent that the contract refuses as a whole: a column that is gone, or no row that holds.
    """
    return send(workspace, spec, unsent(workspace, spec), tell)


def unsent(workspace: Workspace, spec: Spec) -> Iterator[Unsent]:
    """The spec's files that are new or have changed, read one by one; raises what the contract refuses as a whole."""
    from modelway.files.read import read_table
    from modelway.ingest.files import file_digest, find_files

    if not isinstance(spec.data.source, Files):
        return
    for path in find_files(spec.data.source.files, workspace.places.root):
        digest = file_digest(path)
        if _setting(workspace, _setting_of(spec, path)) != digest:
            frame = read_table(path, text=words_of(spec))
            accepted = accepted_rows(frame, spec, path.name)
            target = spec.data.target
            yield Unsent(path, digest, frame, accepted[target] if target in frame.columns else None)


def send(workspace: Workspace, spec: Spec, files: Iterable[Unsent], tell: Tell = silent) -> int:
    """Append files to the event log; returns the rows sent."""
    from modelway.ingest.files import send_rows

    sent = 0
    for file in files:

        def told(share: float, name: str = file.path.name) -> None:
            tell(f"reading {name}", share)

        sent += send_rows(workspace.log, spec.topic, file.path.name, file.frame, spec.data.key, told)
        _keep_setting(workspace, _setting_of(spec, file.path), file.digest)
    return sent


def accepted_rows(frame: "pl.DataFrame", spec: Spec, file: str) -> "pl.DataFrame":
    """What the contract accepts; raises ContractError when a column is not in the file, or when no row of the file holds."""
    gone = [name for name in spec.contract if name not in frame.columns]
    if gone:
        raise ContractError(
            f"{file} has no column {', '.join(gone)}, which the contract names (there: {listed(frame.columns)})",
            f"add the column to the file, or take it out of the contract in models/{spec.model}/modelway.yaml",
        )
    if frame.height == 0:
        raise UnreadableFileError(f"{file} has no rows", "give a file with at least one row of data")
    checked = source_of(spec).check(frame)
    if checked.accepted.height == 0:
        reasons = checked.quarantined["_reasons"].str.split("; ").explode().value_counts(sort=True)
        said = "; ".join(f"{reason} ({count} rows)" for reason, count in reasons.head(3).iter_rows())
        raise ContractError(
            f"the contract refuses every row of {file}: {said}",
            f"mend the file, or the contract in models/{spec.model}/modelway.yaml",
        )
    return checked.accepted


def words_of(spec: Spec) -> list[str]:
    """The columns that stay text when a file is read, whatever its few rows look like."""
    return [name for name, rule in spec.contract.items() if rule.type == "string"]


def listed(names: list[str]) -> str:
    return ", ".join(names[:12]) + (", …" if len(names) > 12 else "")


def ingest(workspace: Workspace, spec: Spec, tell: Tell = silent) -> list[Ingested]:
    """Bring everything new into the lake; one record a topic that had something."""
    done = []
    for source in (source_of(spec), labels_of(spec), predictions_of(spec)):
        passes = list(_passes(workspace, source, tell))
        if passes:
            done.append(_summed(passes))
    return done


def send_labels(workspace: Workspace, spec: Spec, frame: "pl.DataFrame") -> int:
    """Send outcomes to the event log; returns how many."""
    from modelway.ingest.labels import label_events

    events = label_events(frame, spec.data.key, spec.data.target, workspace.clock.now())
    if events:
        workspace.log.append(labels_topic(spec), events)
    return len(events)


def quarantined(workspace: Workspace, spec: Spec) -> list[dict[str, Any]]:
    """Refused source rows and labels, a line a reason."""
    return [line for source in (source_of(spec), labels_of(spec)) for line in quarantine.listed(workspace.lake, source)]


def replay_quarantine(workspace: Workspace, spec: Spec) -> Ingested | None:
    """Check refused source rows again under today's contract."""
    return quarantine.replay(workspace.lake, source_of(spec), workspace.clock.now())


def project_file(path: Path, root: Path) -> str:
    """The path as a spec names it: relative to the workspace where it lies in it."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _passes(workspace: Workspace, source: Source, tell: Tell) -> Iterator[Ingested]:
    """Up to where the log ends now: under steady traffic there is always something newer, and the other steps have their turn."""
    ends = workspace.log.ends(source.topic)
    while (done := ingest_batch(workspace.log, workspace.lake, source, _BATCH_EVENTS)) is not None:
        yield done
        tell(f"ingesting {source.topic}", min(1.0, done.next_offset / max([1, *ends.values()])))
        here = workspace.lake.positions(source.topic, APP)
        if all(here.get(partition, 0) >= end for partition, end in ends.items()):
            return


def _summed(passes: list[Ingested]) -> Ingested:
    first, last = passes[0], passes[-1]
    warnings: dict[str, int] = {}
    for one in passes:
        for rule, count in one.warnings.items():
            warnings[rule] = warnings.get(rule, 0) + count
    return replace(
        last,
        read=sum(p.read for p in passes),
        accepted=sum(p.accepted for p in passes),
        doubles=sum(p.doubles for p in passes),
        corrections=sum(p.corrections for p in passes),
        quarantined=sum(p.quarantined for p in passes),
        warnings=warnings,
        topic=first.topic,
    )


def _setting_of(spec: Spec, path: Path) -> str:
    return "file/" + hashlib.blake2b(f"{spec.topic}/{path.resolve()}".encode(), digest_size=16).hexdigest()


def _setting(workspace: Workspace, name: str) -> str | None:
    with workspace.database.read() as connection:
        found = connection.execute(sa.select(settings.c.value).where(settings.c.name == name)).scalar()
    return None if found is None else str(found)


def _keep_setting(workspace: Workspace, name: str, value: str) -> None:
    with workspace.database.write() as connection:
        connection.execute(settings.delete().where(settings.c.name == name))
        connection.execute(settings.insert().values(name=name, value=value))
