"""Data on their way into the lake: the log to tables; labels sent, refused rows replayed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelway.errors import NotFoundError, StateError
from modelway.flow import progress
from modelway.flow.broken import tell_of_breaches
from modelway.flow.progress import added
from modelway.flow.sending import Tell, silent
from modelway.flow.sources import joined_of, labels_of, labels_topic, owner_of, predictions_of, source_of
from modelway.flow.withheld import without_erased
from modelway.ingest import quarantine
from modelway.ingest.batch import ingest_batch
from modelway.ingest.source import APP, Source
from modelway.records import Ingested
from modelway.spec.model import Spec
from modelway.workspace import Workspace

if TYPE_CHECKING:
    import polars as pl


def ingest(workspace: Workspace, spec: Spec, tell: Tell = silent) -> list[Ingested]:
    """Bring everything new into the lake; one record a topic that had something."""
    done = []
    for source in roads(workspace, spec):
        passes = list(_passes(workspace, source, tell))
        if passes:
            done.append(_summed(passes))
            if source.topic == spec.topic:
                tell_of_breaches(workspace, spec, done[-1])
            upto = workspace.lake.positions(source.topic, APP)
            progress.book(workspace.database, done[-1], upto, workspace.clock.now())
    return done


def roads(workspace: Workspace, spec: Spec) -> list[Source]:
    """Source rows, labels, predictions, and the tables that the model joins."""
    own = source_of(owner_of(workspace, spec), workspace.lake, workspace.schemas)
    found = [own, labels_of(spec), predictions_of(spec), *joined_of(spec)]
    if workspace.stack.events.kafka is None:  # a folder's events are blanked where they stand
        return found
    return [without_erased(workspace.database, source) for source in found]


def send_labels(workspace: Workspace, spec: Spec, frame: "pl.DataFrame") -> int:
    """Send outcomes to the event log; returns how many. Raises StateError for a model without a target."""
    from modelway.ingest.labels import label_events

    if not spec.data.target:
        raise StateError(f"{spec.model} has no labels", "name the column that holds them: data.target in modelway.yaml")

    events = label_events(frame, spec.data.key, spec.data.target, workspace.clock.now())
    if events:
        workspace.log.append(labels_topic(spec), events)
    return len(events)


def quarantined(workspace: Workspace, spec: Spec) -> list[dict[str, Any]]:
    """Refused source rows and labels, a line a reason."""
    return [line for source in (source_of(spec), labels_of(spec)) for line in quarantine.listed(workspace.lake, source)]


def refused(workspace: Workspace, spec: Spec, place: str) -> dict[str, Any]:
    """A refused row or event at a place, with its bytes; raises NotFoundError when none waits there."""
    for source in roads(workspace, spec)[:2]:
        if (found := quarantine.find(workspace.lake, source, place)) is not None:
            return found
    raise NotFoundError(
        f"{spec.model}: nothing waits in the quarantine at {place}", f"modelway quarantine list {spec.model}"
    )


def replay_quarantine(workspace: Workspace, spec: Spec) -> Ingested | None:
    """Check refused source rows again under today's contract."""
    source = source_of(owner_of(workspace, spec), workspace.lake, workspace.schemas)
    known = workspace.known(source.topic, source.doubles_within)
    return quarantine.replay(workspace.lake, source, workspace.clock.now(), known)


def project_file(path: Path, root: Path) -> str:
    """The path as a spec names it: relative to the workspace where it lies in it."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _passes(workspace: Workspace, source: Source, tell: Tell) -> Iterator[Ingested]:
    """Up to where the log ends now: under steady traffic there is always something newer, and the other steps have their turn."""
    log, lake, known = workspace.log, workspace.lake, workspace.known(source.topic, source.doubles_within)
    ends = log.ends(source.topic)
    while (done := ingest_batch(log, lake, source, known, workspace.stack.ingestion.rows)) is not None:
        here = lake.positions(source.topic, APP)
        yield done
        tell(f"ingesting {source.topic}", min(1.0, sum(here.values()) / max([1, sum(ends.values())])))
        if all(here.get(partition, 0) >= end for partition, end in ends.items()):
            return


def _summed(passes: list[Ingested]) -> Ingested:
    first, last = passes[0], passes[-1]
    return replace(
        last,
        read=sum(p.read for p in passes),
        accepted=sum(p.accepted for p in passes),
        doubles=sum(p.doubles for p in passes),
        corrections=sum(p.corrections for p in passes),
        quarantined=sum(p.quarantined for p in passes),
        warnings=added(one.warnings for one in passes),
        breaches=added(one.breaches for one in passes),
        events=sum(p.events for p in passes),
        tombstones=sum(p.tombstones for p in passes),
        topic=first.topic,
    )
