"""A person erased (GDPR, article 17): from the event log, the tables and their pinned versions, the training sets, online values.

Each step is repeatable and is noted in the request when it is done, so a process may be killed anywhere: the same command, or
the control loop, goes on. What the log holds is brought into the tables first, so that all of the person's keys are known and
nobody reads those events again; the log comes before the tables, the tables before what is built from them. The model's lease is
held meanwhile.
"""

import io
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import polars as pl
import sqlalchemy as sa

from modelway import faults
from modelway.errors import StateError, UsageError
from modelway.events.erasing import blank
from modelway.events.kafka import KafkaEventLog
from modelway.flow.erasing_kafka import from_kafka
from modelway.flow.erasing_online import from_online_values
from modelway.flow.erasing_texts import from_texts
from modelway.flow.feeding import ingest
from modelway.flow.holding import hold, holder_name
from modelway.flow.persons import Person, tables_of, topics_of
from modelway.flow.pins import pinned
from modelway.flow.runs import record
from modelway.flow.sources import sharing_topic
from modelway.records import TrainingSet
from modelway.spec.model import Spec
from modelway.state import erasures
from modelway.state.erasures import Request
from modelway.state.schema import runs, steps
from modelway.training.frames import parquet_bytes
from modelway.workspace import Workspace


def ask(
    workspace: Workspace, model: str, person: Person, who: str, reason: str, within: timedelta = timedelta(days=30)
) -> Request:
    """The request about this person: the open one, else a new one, due `within`. Raises UsageError, NotFoundError."""
    spec = workspace.spec(model)
    if not reason.strip():
        raise UsageError("no reason given", "say why with --reason; it stands in the ledger")
    if not person.keys and not person.column:
        raise UsageError("nobody is named", "give --key KEY, or --entity COLUMN=VALUE")
    if person.column and person.column not in spec.data.entities and person.column != spec.data.key:
        raise UsageError(
            f"{person.column} is no entity of {model}", f"its entities: {', '.join(spec.data.entities) or 'none'}"
        )
    now = workspace.clock.now()
    return erasures.open_request(workspace.database, model, asdict(person), now, now + within, who, reason)


def work_off(workspace: Workspace, request: Request) -> Request:
    """Do what is left of a request. Raises StateError when a step must wait; all others are done then."""
    with hold(workspace, f"model/{request.model}", holder_name()) as lease:
        if lease is None:
            raise StateError(
                f"request {request.id} is open, and {request.model} is being worked on by another process",
                "`modelway up` goes on with it as soon as that is done; or run the same command again",
            )
        return _work_off(workspace, request)


def resume(workspace: Workspace) -> None:
    """Go on with open requests, where nobody else does: what the control loop calls."""
    for request in erasures.requests(workspace.database, still_open=True):
        with hold(workspace, f"model/{request.model}", holder_name()) as lease:
            if lease is not None:
                _work_off(workspace, request)


def _work_off(workspace: Workspace, request: Request) -> Request:
    request = erasures.get(workspace.database, request.id)
    if request.done:
        return request
    spec = workspace.spec(request.model)
    sharing = sharing_topic(workspace, spec)
    work: dict[str, Callable[[], Any]] = {
        "ingestion": lambda: _brought_in(workspace, sharing),
        "keys": lambda: _keys(workspace, request, spec),
    }
    for one in sharing:
        for topic in topics_of(one):
            work[f"log {topic}"] = lambda one=one, topic=topic: _from_log(workspace, request, one, topic)  # type: ignore[misc]
    work["ingestion since"] = lambda: _brought_in(workspace, sharing)
    for one in sharing:
        for table in tables_of(one):
            work[f"table {table}"] = lambda one=one, table=table: _from_table(workspace, request, one, table)  # type: ignore[misc]
    work["training sets"] = lambda: _from_training_sets(workspace, request, [one.model for one in sharing])
    work["online values"] = lambda: from_online_values(
        workspace, [one.model for one in sharing], _person(workspace, request)
    )
    work["texts"] = lambda: from_texts(workspace, _person(workspace, request))
    for name, do in work.items():
        if name not in erasures.get(workspace.database, request.id).report:
            told = do()
            faults.point("erase.before-note")
            erasures.note(workspace.database, request.id, name, told)
            faults.point("erase.after-note")
    erasures.forget_subject(workspace.database, request.id)
    workspace.database.wipe()
    faults.point("erase.after-wipe")
    report = erasures.get(workspace.database, request.id).report
    erasures.close(workspace.database, request, workspace.clock.now(), {"report": report})
    return erasures.get(workspace.database, request.id)


def _person(workspace: Workspace, request: Request) -> Person:
    told = erasures.get(workspace.database, request.id).subject
    return Person(tuple(told["keys"]), told["column"], told["value"])


def _keys(workspace: Workspace, request: Request, spec: Spec) -> dict[str, int]:
    """The keys of the entity's rows, kept with the request until it is done: labels and training sets know a row by its key."""
    person = _person(workspace, request)
    found = set(person.keys)
    if person.column:
        for table, column in ((spec.topic, "_key"), (f"{spec.model}_predictions", "key")):
            if workspace.lake.version(table) is not None:
                where = tables_of(spec)[table](person, spec)
                there = workspace.lake.scan(table)
                lacking = [n for n in where.meta.root_names() if n not in there.collect_schema()]
                known = there.with_columns(pl.lit(None, pl.String).alias(name) for name in lacking)
                found |= set(known.filter(where).select(column).collect().to_series().drop_nulls())
    subject = {"keys": sorted(found), "column": person.column, "value": person.value}
    erasures.note(workspace.database, request.id, "named", {"keys": len(found)}, subject)
    return {"keys": len(found)}


def _brought_in(workspace: Workspace, sharing: list[Spec]) -> dict[str, int]:
    """Up to where the log ends: an ingester that is late with those events will find them read."""
    return {"read": sum(done.read for spec in sharing for done in ingest(workspace, spec))}


def _from_log(workspace: Workspace, request: Request, spec: Spec, topic: str) -> dict[str, Any]:
    """Blanked where they stand in a folder, the log's or the spool's; withheld, and told until when, where an engine keeps them."""
    person, log, asked = _person(workspace, request), workspace.log, workspace.stack.events.kafka
    holds = topics_of(spec)[topic](person, spec)
    waiting = blank(workspace.places.spool, topic, holds, person.words) if workspace.spool else 0
    if isinstance(log, KafkaEventLog):
        told = from_kafka(workspace, log, topic, holds, person.words, tombstones=asked is not None and asked.tombstones)
    else:
        told = {"rows": blank(workspace.places.inner / "events", topic, holds, person.words)}
    return {**told, "rows": told["rows"] + waiting}


def _from_table(workspace: Workspace, request: Request, spec: Spec, table: str) -> dict[str, Any]:
    if workspace.lake.version(table) is None:
        return {"rows": 0}
    where = tables_of(spec)[table](_person(workspace, request), spec)
    done = workspace.upkeep.erase(table, where, pinned(workspace.database, table), {"request": request.id})
    left, files = workspace.upkeep.holds(table, where)
    if left:
        raise StateError(
            f"table {table}: {left} such rows are in files that no version refers to and that are less than a day old",
            "run the same command again tomorrow; with `modelway up` it goes on by itself",
        )
    told: dict[str, Any] = {"rows": done.rows, "pinned": {str(v): n for v, n in done.pinned.items()}, "files": files}
    return {**told, "version": done.table.version, "states": {str(v): digest for v, digest in done.states.items()}}


def _from_training_sets(workspace: Workspace, request: Request, models: list[str]) -> dict[str, int]:
    for digest in erasures.replaced_by(
        workspace.database, request.id
    ):  # by a call that was killed before it removed it
        workspace.artifacts.remove(digest)
    keys, gone, sets = set(_person(workspace, request).keys), 0, 0
    asked = sa.select(steps.c.run).join(runs, runs.c.id == steps.c.run)
    with workspace.database.read() as connection:
        named = connection.execute(asked.where(steps.c.name == "prepare", runs.c.model.in_(models))).scalars().all()
    for run in named:
        made: TrainingSet = record(workspace, run, "prepare")
        for digest in filter(None, (made.data, made.audit)):
            rows = _without(workspace, digest, keys, request.id)
            gone += rows if digest == made.data else 0
            sets += bool(rows)
    return {"rows": gone, "artefacts": sets}


def _without(workspace: Workspace, digest: str, keys: set[str], request: str) -> int:
    """Put the artefact without these rows, record that it stands for the old one, and remove that."""
    store = workspace.artifacts
    frame = pl.read_parquet(io.BytesIO(store.get(digest)))
    left = frame.filter(~pl.col("_key").is_in(sorted(keys)))
    if left.height == frame.height:
        return 0
    new = store.put(parquet_bytes(left))
    erasures.replace_artefact(workspace.database, digest, new, frame.height - left.height, request)
    faults.point("erase.before-remove")
    store.remove(digest)
    faults.point("erase.after-remove")
    return frame.height - left.height


def told(request: Request) -> dict[str, Any]:
    """A request for a person to read: nobody is named."""
    shown = {name: value for name, value in asdict(request).items() if name != "subject"}
    return json.loads(json.dumps(shown, default=str))
