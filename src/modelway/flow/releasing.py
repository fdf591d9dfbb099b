"""From an accepted version to the champion: what is desired, one safe step at a time, and the mirror that others look at."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from modelway.errors import StateError
from modelway.flow.experimenting import look
from modelway.flow.routing import apply_route, champion_of
from modelway.flow.runs import REFIT
from modelway.records import Experiment, Release, Version
from modelway.registry import versions
from modelway.rollout import experiments, store
from modelway.rollout.evidence import Evidence, Move
from modelway.rollout.release import next_move, promising
from modelway.rollout.standing import watched
from modelway.state import freezes, runs
from modelway.state.leases import Lease
from modelway.state.runs import Run
from modelway.state.schema import settings
from modelway.workspace import Workspace

if TYPE_CHECKING:
    from modelway.spec.model import Spec

_MIRROR_EVERY = timedelta(seconds=60)
"""How often the mirror is compared when nothing of ours has changed; wall time, a replay's too."""


def release(workspace: Workspace, model: str, version: int | None, who: str, reason: str) -> Release:
    """A person asks for a version, by default the newest accepted one; asking again for what is on its way changes nothing.

    Raises RefusedError for a version that failed a gate, StateError when there is none, or when it is the champion already.
    """
    workspace.spec(model)
    database = workspace.database
    wanted = versions.newest_accepted(database, model) if version is None else versions.get(database, model, version)
    if wanted is None:
        raise no_accepted_version(workspace, model)
    champion, standing = champion_of(workspace, model), store.open_release(database, model)
    if standing is not None and standing.version == wanted.number:
        return standing
    if champion == wanted.number:
        fix = (
            f"modelway rollback {model} ends the open release" if standing else f"modelway run {model} makes a new one"
        )
        raise StateError(f"{wanted} is the champion already", fix)
    number = len(store.history_of(database, model)) + 1
    request = "by-hand/" + hashlib.blake2b(f"{model}/{number}".encode(), digest_size=16).hexdigest()
    return store.ask(
        database,
        model,
        wanted.number,
        champion,
        workspace.clock.now(),
        who,
        reason,
        request,
        accepted=wanted.accepted,
    )


def no_accepted_version(workspace: Workspace, model: str) -> StateError:
    """Why there is nothing to release: no run yet, or the last candidate was refused, by which gates."""
    known = versions.all_versions(workspace.database, model)
    if not known:
        return StateError(f"{model} has no version yet", f"modelway run {model}")
    last = known[-1]
    return StateError(
        f"no version of {model} was accepted; the last, {last}, was refused: {versions.why(last.validation)}",
        f"change models/{model}/, then modelway run {model}",
    )


def approve(workspace: Workspace, model: str, who: str) -> Release | Experiment:
    """A person stands behind the open release, or the experiment that waits."""
    workspace.spec(model)
    if (waiting := experiments.on(workspace.database, model)) is not None:
        return experiments.approve(workspace.database, waiting, who, workspace.clock.now())
    return store.approve(workspace.database, model, who, workspace.clock.now())


def roll_out(workspace: Workspace, spec: "Spec", lease: Lease | None = None) -> None:
    """One safe step of the experiment, or of the open or watched release, and the routes as they must be, whatever became."""
    _ask_for_own(workspace, spec, lease)
    experimenting = look(workspace, spec, lease)
    standing = store.judged_release(workspace.database, spec.model)
    if standing is None and not experimenting:
        _forget(workspace, spec.model)
    elif standing is not None:
        now = workspace.clock.now()
        move = next_move(standing, _evidence(workspace, spec, standing), spec.release, now)
        frozen = freezes.frozen(workspace.database, spec.model)
        if frozen and move.verdict == "passed":
            move = _held(standing, frozen)
        store.move(workspace.database, standing, move, now, lease)
    apply_route(workspace, spec.model)


def release_own(
    workspace: Workspace, spec: "Spec", run: Run, version: Version, lease: Lease | None = None
) -> Release | None:
    """An automatic run asks for the release of the version that it made; None when it may not.

    Of a run that is fitted again on all rows, the refitted version is the one.
    A freeze, an experiment, a promising open release or one that is watched only delay it: `roll_out` asks again.
    """
    if not _may_ask(workspace, spec, version):
        return None
    base = runs.get(workspace.database, run.id.removesuffix(REFIT))
    return store.ask(
        workspace.database,
        spec.model,
        version.number,
        champion_of(workspace, spec.model),
        workspace.clock.now(),
        store.OURSELVES,
        f"{base.trigger.kind}: {base.trigger.reason}",
        base.id,
        lease,
        accepted=version.accepted,
    )


def mirror(workspace: Workspace, spec: "Spec") -> None:
    """The registry's aliases as the control database says; compared at once after a change, else once a minute."""
    champion, standing = champion_of(workspace, spec.model), store.open_release(workspace.database, spec.model)
    if champion is None and standing is None:
        return
    aliases = {"champion": champion, "challenger": standing.version if standing else None}
    name = "mirror/" + hashlib.blake2b(spec.model.encode(), digest_size=16).hexdigest()
    now = datetime.now(UTC)
    kept = _kept_mirror(workspace, name)
    if kept and kept["aliases"] == aliases and now - datetime.fromisoformat(kept["at"]) < _MIRROR_EVERY:
        return
    workspace.tracking.mirror(spec.model, aliases)
    with workspace.database.write() as connection:
        connection.execute(settings.delete().where(settings.c.name == name))
        connection.execute(
            settings.insert().values(name=name, value=json.dumps({"aliases": aliases, "at": now.isoformat()}))
        )


def _ask_for_own(workspace: Workspace, spec: "Spec", lease: Lease | None) -> None:
    """What a run asked for, or died before it could: the request's id is the run's, so that it is one release."""
    newest = versions.newest_accepted(workspace.database, spec.model)
    if newest is None:
        return
    release_own(workspace, spec, runs.get(workspace.database, newest.run), newest, lease)


def _may_ask(workspace: Workspace, spec: "Spec", version: Version) -> bool:
    """Whether automation made this version, and may release it now: what is open and promising is not cut short by it."""
    if not (spec.retraining.release and version.accepted):
        return False
    champion = champion_of(workspace, spec.model)
    if champion is not None and version.number <= champion:
        return False
    if experiments.on(workspace.database, spec.model) is not None:
        return False
    standing = store.judged_release(workspace.database, spec.model)
    if standing is not None and standing.version != version.number and (promising(standing) or watched(standing)):
        return False
    made, base = (runs.get(workspace.database, name) for name in (version.run, version.run.removesuffix(REFIT)))
    unfinished = made.state != "done" or (spec.training.refit and made.id == base.id)
    return not unfinished and base.trigger.kind != "manual" and not freezes.frozen(workspace.database, spec.model)


def _evidence(workspace: Workspace, spec: "Spec", standing: Release) -> Evidence:
    from modelway.flow.pairs import evidence_of

    if standing.champion is None:
        return Evidence(approved=store.approvers(standing))
    return evidence_of(workspace, spec, standing, store.approvers(standing))


def _forget(workspace: Workspace, model: str) -> None:
    from modelway.flow.gathered import forget

    forget(workspace, model)


def _held(standing: Release, frozen: str) -> Move:
    return Move(standing.state, standing.step, standing.weight, "undecided", f"frozen: {frozen}", standing.evidence)


def _kept_mirror(workspace: Workspace, name: str) -> dict[str, Any] | None:
    with workspace.database.read() as connection:
        found = connection.execute(sa.select(settings.c.value).where(settings.c.name == name)).scalar()
    return None if found is None else json.loads(found)
