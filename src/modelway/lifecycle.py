"""READ FIRST. The loop as code: from data to a registered version, from a version to the champion, and round again.

Every edge (command line, control loop, orchestrator's task, replay) calls this module and nothing below it. Each function
may be killed at any line and called again: what a step made stands in the control database, and is never made twice.

    run        ingest → prepare → train → export → validate → register         one model, one pass
    rehearse   a version on the answers of the last days, off line, before any client hears it
    release    what is desired: this version, for all requests
    roll_out   one safe step towards it, on evidence: shadow → canary → full, or rolled back
    watch      drift, performance, quality, volume: one look, and the alerts that follow
    retrain    a policy's decision becomes the next run, and its version the next release
"""

from typing import TYPE_CHECKING

from modelway.errors import EngineError, GraphError, ModelwayError, unforeseen
from modelway.flow import making, opening, releasing, runs
from modelway.flow.absent import absent, tell_of_absent
from modelway.flow.at_scale import features_table
from modelway.flow.erasing import resume as erase_what_is_due
from modelway.flow.feeding import ingest, quarantined, refused, replay_quarantine, send_labels
from modelway.flow.holding import hold, holder_name, insist
from modelway.flow.pins import maintain, maintain_when_due
from modelway.flow.positions import positions, set_positions
from modelway.flow.rebuilding import rebuild as rebuild_features
from modelway.flow.rehearsing import rehearse
from modelway.flow.releasing import approve, mirror, release, roll_out
from modelway.flow.reporting import explain_margins, run_report
from modelway.flow.retraining import retrain
from modelway.flow.routing import rollback
from modelway.flow.runs import REFIT, STEPS, Tell, Work
from modelway.flow.sending import send_files, silent
from modelway.flow.watching import trouble, watch
from modelway.records import Trigger, Version
from modelway.state import runs as store

if TYPE_CHECKING:
    from modelway.spec.model import Spec
    from modelway.state.leases import Lease
    from modelway.workspace import Workspace

__all__ = [
    "absent",
    "approve",
    "erase_what_is_due",
    "explain_margins",
    "features_table",
    "ingest",
    "maintain",
    "maintain_when_due",
    "mirror",
    "one_step",
    "open_run",
    "positions",
    "quarantined",
    "rebuild_features",
    "refused",
    "rehearse",
    "release",
    "replay_quarantine",
    "retrain",
    "roll_out",
    "rollback",
    "run",
    "run_report",
    "send_files",
    "send_labels",
    "set_positions",
    "tend",
    "trouble",
    "watch",
    "work_off",
]


def tend(workspace: "Workspace", model: str, lease: "Lease | None" = None) -> None:
    """Everything that one model needs now, in the order in which the data flow: what the control loop does at each tick."""
    spec = workspace.spec(model)
    if not workspace.stack.ingestion.processes:  # else processes of their own do nothing but that
        ingest(workspace, spec)
    work_off(workspace, spec, lease)
    roll_out(workspace, spec, lease)
    watch(workspace, spec, lease)
    retrain(workspace, spec, lease)
    work_off(workspace, spec, lease)
    roll_out(workspace, spec, lease)
    mirror(workspace, spec)
    tell_of_absent(workspace, spec)  # last: a log that is away must not keep back a rollback


def open_run(workspace: "Workspace", model: str, trigger: Trigger, tell: Tell = silent) -> str:
    """The id of the run that a person asks for; automatic runs are named by the decision that they follow from."""
    return opening.open_manual(workspace, model, trigger, tell)


def run(workspace: "Workspace", run_id: str, tell: Tell = silent) -> Version:
    """One pass of the lifecycle; what is done already is not done again. A refused candidate is registered too."""
    with insist(workspace, f"run/{run_id}", holder_name()) as lease:
        return _run(workspace, run_id, lease, tell)


def one_step(workspace: "Workspace", run_id: str, name: str) -> object:
    """One step of a run, and its record: what an orchestrator's task calls."""
    with insist(workspace, f"run/{run_id}", holder_name()) as lease:
        work = Work(workspace, store.start(workspace.database, run_id, lease), lease)
        return runs.step(work, name, making.DO[name])


def work_off(workspace: "Workspace", spec: "Spec", lease: "Lease | None" = None) -> None:
    """Do the runs that are open: asked for by a policy, or left by a process that died."""
    del lease  # a run has a lease of its own, which a person's command takes too
    for waiting in store.pending(workspace.database, spec.model):
        if waiting.trigger.kind == "manual" and waiting.attempts == 0:
            continue  # the command that opened it is about to start it
        with hold(workspace, f"run/{waiting.id}", holder_name()) as mine:
            if mine is not None:
                version = _run(workspace, waiting.id, mine, silent)
                releasing.release_own(workspace, spec, waiting, version)


def _run(workspace: "Workspace", run_id: str, lease: "Lease", tell: Tell) -> Version:
    work = Work(workspace, store.start(workspace.database, run_id, lease), lease, tell)
    try:
        for name in STEPS:
            version = runs.step(work, name, making.DO[name])
        making.tell_tracking(work)
    except ModelwayError as error:
        if not (isinstance(error, EngineError) and error.transient):
            _fail(workspace, run_id, error, lease)
        raise
    except Exception as error:
        _fail(workspace, run_id, unforeseen(error), lease)
        raise
    store.finish(workspace.database, run_id, workspace.clock.now(), lease=lease)
    if work.spec.training.refit and version.accepted and not run_id.endswith(REFIT):
        again = Trigger("refit", f"{version} passed its gates; the same on all matured rows", work.run.trigger.who)
        store.open_run(workspace.database, run_id + REFIT, work.model, again, workspace.clock.now(), lease)
        return _run(workspace, run_id + REFIT, lease, tell)
    return version


def _fail(workspace: "Workspace", run_id: str, error: ModelwayError, lease: "Lease") -> None:
    now, kind = workspace.clock.now(), type(error).__name__
    told = error.problem if isinstance(error, GraphError) else ""  # which quotes no cell
    store.finish(workspace.database, run_id, now, error=error.problem, kind=kind, told=told, lease=lease)
