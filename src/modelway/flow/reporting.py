"""What a person is told: about a run, about a workspace, about the margins that gates use."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from modelway.errors import EngineError
from modelway.flow.runs import STEPS
from modelway.records import Alert, TrainingSet, Version
from modelway.registry import versions
from modelway.rollout import experiments, store
from modelway.spec.model import Spec
from modelway.state import champions, erasures, freezes, runs
from modelway.state.schema import alerts, steps
from modelway.workspace import Workspace


def run_report(workspace: Workspace, run: str) -> dict[str, Any]:
    """A run with its steps, their records and seconds, and the version that it made."""
    from modelway.flow.progress import progress
    from modelway.flow.sources import source_of
    from modelway.ingest import quarantine

    found = runs.get(workspace.database, run)
    with workspace.database.read() as connection:
        rows = connection.execute(sa.select(steps).where(steps.c.run == run)).all()
    version = versions.of_run(workspace.database, run)
    told = progress(workspace.database, workspace.spec(found.model).topic)
    refused = quarantine.waiting(workspace.lake, source_of(workspace.spec(found.model))).height
    return {
        "quarantined": refused,
        "breaches": dict(told.breaches) if told else {},
        "run": found,
        "version": version,
        "steps": {
            row.name: {"seconds": row.seconds, "record": json.loads(row.record)}
            for row in sorted(rows, key=lambda row: STEPS.index(row.name))
        },
    }


def status(workspace: Workspace, only: str | None = None) -> dict[str, Any]:
    """By model, or of one: who serves, what is released, the last run, open alerts; whether the server lives; the tables."""
    return {
        "server": server_address(workspace),
        "grpc": grpc_address(workspace),
        "models": {model: model_status(workspace, model) for model in ([only] if only else workspace.models())},
        "topics": topics_status(workspace, only),
        "spool": spool_status(workspace),
        "erasures": [] if only else open_erasures(workspace),
        "tables": [] if only else [workspace.upkeep.facts(name) for name in workspace.lake.tables()],
    }


def topics_status(workspace: Workspace, only: str | None = None) -> dict[str, Any]:
    """By topic: how far its table is behind in events and seconds, events a second, and the share that was refused."""
    from modelway.flow.feeding import roads
    from modelway.flow.progress import Lag, answers, lag, progress, rate_now
    from modelway.ingest.source import APP

    now, found = workspace.clock.now(), dict[str, Any]()
    there = answers(workspace.log)
    for model in [only] if only else workspace.models():
        spec = workspace.spec(model)
        missing = _missing(workspace, spec) if there else frozenset()
        for source in roads(workspace, spec):
            told = progress(workspace.database, source.topic)
            behind = Lag(None, None)
            if there:
                with suppress(EngineError):
                    behind = lag(workspace.log, source.topic, workspace.lake.positions(source.topic, APP), now)
            if there and told is None and not behind.rows and source.topic not in missing:
                continue
            found[source.topic] = {
                "model": model,
                "absent": source.topic in missing,
                "lag_rows": behind.rows,
                "lag_seconds": behind.seconds,
                "per_second": rate_now(told, now) if told else 0.0,
                "quarantine_share": told.quarantine_share if told else 0.0,
                "breaches": dict(told.breaches) if told else {},
                "events": told.events if told else 0,
                "last": told.at if told else None,
            }
    return found


def _missing(workspace: Workspace, spec: Spec) -> frozenset[str]:
    """Topics that the spec names and the log does not have, as far as the log says."""
    from modelway.flow.absent import absent

    with suppress(EngineError):
        return frozenset(one.topic for one in absent(workspace, spec))
    return frozenset()


def spool_status(workspace: Workspace) -> dict[str, Any] | None:
    """What of this machine's predictions the brokers have not taken yet; None where nothing waits for brokers."""
    spool, now = workspace.spool, workspace.clock.now()
    if spool is None:
        return None
    waiting = {
        one.topic: {"events": one.events, "seconds": max(0.0, (now - one.since).total_seconds())}
        for one in spool.waiting()
    }
    return {"waiting": waiting, "bytes": spool.size(), "limit": spool.limit}


def model_status(workspace: Workspace, model: str) -> dict[str, Any]:
    """What stands for one model now."""
    database = workspace.database
    with database.read() as connection:
        champion = champions.champion(connection, model)
    latest, last = store.latest(database, model), runs.recent(database, model, 1)
    return {
        "champion": champion,
        "versions": len(versions.all_versions(database, model)),
        "release": latest,
        "experiment": experiments.latest(database, model),
        "run": last[0] if last else None,
        "frozen": freezes.frozen(database, model),
        "alerts": open_alerts(workspace, model),
    }


def open_erasures(workspace: Workspace) -> list[dict[str, Any]]:
    """Requests to erase a person that are not done: nobody is named."""
    now = workspace.clock.now()
    return [
        {"id": one.id, "model": one.model, "due": one.due, "overdue": one.due < now, "steps": len(one.report)}
        for one in erasures.requests(workspace.database, still_open=True)
    ]


def open_alerts(workspace: Workspace, model: str) -> list[Alert]:
    """Alerts whose cause is not over."""
    with workspace.database.read() as connection:
        asked = sa.select(alerts).where(alerts.c.model == model, alerts.c.closed.is_(None)).order_by(alerts.c.id)
        rows = connection.execute(asked).all()
    return [Alert(row.model, row.cause, row.severity, row.text, row.opened, row.closed) for row in rows]


def server_address(workspace: Workspace) -> str | None:
    """Where the running server answers; None when none runs. Any of several processes that lives says where."""
    found = _server(workspace)
    return str(found["url"]) if found else None


def grpc_address(workspace: Workspace) -> str | None:
    """HOST:PORT where the running server answers gRPC; None when it does not, or none runs."""
    found = _server(workspace)
    return str(found["grpc"]) if found and "grpc" in found else None


def _server(workspace: Workspace) -> dict[str, Any] | None:
    for number in range(workspace.stack.serving.workers):
        try:
            found: dict[str, Any] = json.loads(workspace.places.worker(number).read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            continue
        if alive(found):
            return found
    return None


def alive(server: Mapping[str, Any]) -> bool:
    """Whether the process that wrote `server.json` still lives."""
    import os

    try:
        os.kill(int(server["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def explain_margins(workspace: Workspace, spec: Spec) -> list[str]:
    """The power calculation behind the margins, from the newest version's holdout; before there is one, how to get it."""
    from modelway.validation.margins import margins

    made = newest_training_set(workspace, spec.model)
    return margins(spec, made.holdout_rows if made else None)


def newest_training_set(workspace: Workspace, model: str) -> TrainingSet | None:
    """Of the newest registered version."""
    from modelway.flow.runs import record

    registered: tuple[Version, ...] = tuple(versions.all_versions(workspace.database, model))
    return record(workspace, registered[-1].run, "prepare") if registered else None
