"""The policy's facts, read from the control database; its decision becomes a run, or a refusal in the ledger."""

from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from modelway.monitoring import looks
from modelway.monitoring.look import Look, drift_words
from modelway.records import Composition, Manifest, loads
from modelway.registry import versions
from modelway.retraining.policy import Decision, Facts, LastLook, PastRun, budget, decide
from modelway.rollout import store
from modelway.spec.model import Files
from modelway.state import champions, freezes, leases, ledger, runs
from modelway.state.leases import Lease
from modelway.state.runs import OPEN, Run
from modelway.state.schema import ledger as ledger_table
from modelway.workspace import Workspace

if TYPE_CHECKING:
    from modelway.spec.model import Spec

_RUNS = 50
"""Runs that are looked at, the latest; more when the budget counts further."""


def retrain(workspace: Workspace, spec: "Spec", lease: Lease | None = None) -> None:
    """Open the run that the policy decides on; a refusal stands in the ledger once for each cause and obstacle."""
    if not spec.retraining.on:
        return
    now = workspace.clock.now()
    facts = facts_of(workspace, spec)
    decision = decide(spec.retraining, facts, now)
    if decision.answer == "start":
        runs.open_run(workspace.database, f"{spec.model}-{decision.key}", spec.model, decision.trigger, now, lease)
    elif decision.answer == "refuse":
        _keep_refusal(workspace, spec, decision, facts, now, lease)


def facts_of(workspace: Workspace, spec: "Spec") -> Facts:
    """What the policy is decided on."""
    database = workspace.database
    with database.read() as connection:
        champion = champions.champion(connection, spec.model)
    if champion is None:
        return Facts(None)
    releasing = store.open_release(database, spec.model)
    words = (
        f"{spec.model}@{releasing.version} is being released since {releasing.started:%Y-%m-%d}" if releasing else ""
    )
    past = runs.recent(database, spec.model, max(_RUNS, 2 * budget(spec.retraining)[0]))
    told = _told(looks.last(database, spec.model), champion)
    return Facts(
        champion=champion,
        look=told,
        runs=tuple(PastRun(run.id, run.trigger.kind, run.created, _is_open(run)) for run in past),
        frozen=freezes.frozen(database, spec.model) or "",
        releasing=words,
        members=_members(workspace, spec, champion),
        nothing_new=told is not None and told.labels == 0 and not isinstance(spec.data.source, Files),
    )


def _members(workspace: Workspace, spec: "Spec", champion: int) -> tuple[str, ...]:
    """Of a composition's members the versions that serve now, and that its champion does not ask."""
    if spec.compose is None or "members" not in spec.retraining.on:
        return ()
    manifest = loads(Manifest, workspace.artifacts.get(versions.get(workspace.database, spec.model, champion).digest))
    if manifest.form != "composed":
        return ()
    made = loads(Composition, workspace.artifacts.get(manifest.graph))
    with workspace.database.read() as connection:
        serving = {one.model: champions.champion(connection, one.model) for one in made.members}
    return tuple(f"{one.model}@{now}" for one in made.members if (now := serving[one.model]) not in (None, one.version))


def _told(look: Look | None, champion: int) -> LastLook | None:
    """A look at a former champion says nothing of the present one."""
    if look is None or look.version != champion:
        return None
    worse = look.performance.reason if look.performance.answer == "worse" else ""
    return LastLook(look.at, drift_words(look) if look.drifted else "", worse, look.labels)


def _is_open(run: Run) -> bool:
    """A person's run that was never begun may never be: its command died before."""
    return run.state in OPEN and (run.trigger.kind != "manual" or run.attempts > 0)


def _keep_refusal(
    workspace: Workspace, spec: "Spec", decision: Decision, facts: Facts, now: datetime, lease: Lease | None
) -> None:
    """Once for each cause and obstacle until a run changes what is: a drift that lasts is refused once, not at every look."""
    since = max((run.created for run in facts.runs), default=None)
    name = f"{spec.model}-{decision.key}"
    request = f"retraining/{spec.model}/{decision.kind}/{decision.obstacle}/{since.isoformat() if since else ''}"
    with workspace.database.read() as connection:
        if connection.execute(sa.select(ledger_table.c.number).where(ledger_table.c.request == request)).scalar():
            return
    with workspace.database.write() as connection:
        leases.check(connection, lease)
        ledger.write(
            connection,
            at=now,
            who=store.OURSELVES,
            action="retraining_refused",
            model=spec.model,
            subject=name,
            reason=decision.reason,
            data={"trigger": decision.kind, "obstacle": decision.obstacle},
            request=request,
        )
