"""Experiments: asked for by a person, looked at by the control loop, reported when they are over."""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from modelway.errors import RefusedError, StateError, UsageError
from modelway.flow.routing import apply_route, champion_of, end_experiment
from modelway.records import Experiment, plain
from modelway.registry import versions
from modelway.rollout import experiments, store
from modelway.rollout.evidence import Turn
from modelway.rollout.standing import lacks_people, watched
from modelway.state import freezes
from modelway.state.leases import Lease
from modelway.workspace import Workspace

if TYPE_CHECKING:
    from modelway.spec.model import Spec

_ARRIVING = timedelta(seconds=5)
"""How long the last answers may be on their way to the lake."""


def start(
    workspace: Workspace,
    model: str,
    arms: Mapping[int, float],
    lasts: timedelta,
    requests: int | None,
    who: str,
    reason: str,
) -> Experiment:
    """A person asks for an experiment: `arms` are shares of the requests (0–1) by version, the champion keeps the rest.

    Raises RefusedError for a version that failed a gate, UsageError for shares that leave nothing to the champion, StateError
    while a release, its watch or another experiment is on.
    """
    workspace.spec(model)
    database, champion = workspace.database, champion_of(workspace, model)
    if champion is None:
        raise StateError(f"{model} has no champion to compare with", f"modelway release {model}")
    if not arms or any(share <= 0 for share in arms.values()) or sum(arms.values()) >= 1 - 1e-9:
        raise UsageError(
            "the arms' shares must be above 0 and leave some of the requests to the champion", "--arm 3=20% --arm 4=20%"
        )
    for number in arms:
        version = versions.get(database, model, number)
        if number == champion:
            raise UsageError(f"{version} is the champion, which has what the arms leave", "name other versions")
        if not version.accepted:
            raise RefusedError(
                f"{version} did not pass its gates and cannot be an arm", f"see the verdicts: modelway history {model}"
            )
    if (standing := store.judged_release(database, model)) is not None and watched(standing):
        raise StateError(
            f"{model}@{standing.version} is full and still watched until {standing.evidence['watch']:.16} UTC",
            "wait for that, or set release.watch in modelway.yaml",
        )
    latest = experiments.latest(database, model)
    name = f"{model}/{latest.id if latest else 0}/{champion}/{sorted(arms.items())}/{lasts}/{requests}"
    request = "by-hand/" + hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
    return experiments.ask(
        database, model, champion, arms, lasts, requests, workspace.clock.now(), who, reason, request
    )


def stop(workspace: Workspace, model: str, who: str, reason: str) -> Experiment:
    """A person ends the experiment that is on; all goes back to the champion at once. Raises StateError when none is."""
    workspace.demand_model(model)
    standing = experiments.on(workspace.database, model)
    if standing is None:
        raise StateError(f"no experiment of {model} is on", f"modelway experiment start {model} --arm VERSION=SHARE")
    done = end_experiment(workspace, standing, who, reason)
    apply_route(workspace, model)
    return done


def latest(workspace: Workspace, model: str) -> Experiment:
    """The one that was asked for last. Raises StateError before there is one."""
    workspace.demand_model(model)
    found = experiments.latest(workspace.database, model)
    if found is None:
        raise StateError(f"{model} has had no experiment", f"modelway experiment start {model} --arm VERSION=SHARE")
    return found


def look(workspace: Workspace, spec: "Spec", lease: Lease | None = None) -> bool:
    """One safe step of the model's last experiment: whether it goes on."""
    standing = experiments.latest(workspace.database, spec.model)
    if standing is None:
        return False
    now = workspace.clock.now()
    if standing.state in experiments.ON:
        step = _next(workspace, spec, standing)
        done = experiments.turn(workspace.database, standing, step, now, store.OURSELVES, lease)
        return done.state in experiments.ON
    if _lacks_report(standing) and now >= standing.moved + _waits(spec):
        _report(workspace, spec, standing, lease)
    return False


def report_due(workspace: Workspace, standing: Experiment) -> bool:
    """Whether the report of one that is over is to be expected at any moment."""
    due = standing.moved + _waits(workspace.spec(standing.model))
    return _lacks_report(standing) and workspace.clock.now() >= due - timedelta(minutes=1)


def _waits(spec: "Spec") -> timedelta:
    """How long after the end the report is made: when the labels of the last answers are final."""
    return max(_ARRIVING, spec.data.labels.matured_after if spec.data.labels else timedelta(0))


def _lacks_report(standing: Experiment) -> bool:
    return "stretches" in standing.evidence and "report" not in standing.evidence


def _next(workspace: Workspace, spec: "Spec", standing: Experiment) -> Turn:
    from modelway.flow.experiment_rows import seen
    from modelway.flow.release_rows import looked_at_for, requests_per_day
    from modelway.rollout.experiment import answering, begun, held, judged

    now = workspace.clock.now()
    if champion_of(workspace, spec.model) != standing.champion:
        return Turn("stopped", standing.stopped, "failed", "another version has become champion", standing.evidence)
    if standing.state != "waiting":
        ask = answering if standing.state == "starting" else judged
        return ask(standing, seen(workspace, spec, standing), now)
    if lacking := lacks_people(spec.release.approval, experiments.approvers(standing), spec.model):
        return held(standing, lacking)
    if frozen := freezes.frozen(workspace.database, spec.model):
        return held(standing, f"frozen: {frozen}")
    per_day = requests_per_day(workspace, spec, now)
    return begun(standing, looked_at_for(per_day, standing.lasts / 86_400), spec.release.alpha)


def _report(workspace: Workspace, spec: "Spec", standing: Experiment, lease: Lease | None) -> None:
    from modelway.flow.experiment_rows import reported

    void = ""
    if standing.state == "stopped":
        void = "stopped before its end: nothing is concluded"
    elif standing.evidence.get("split", {}).get("broken"):
        void = "routing broken: nothing is concluded"
    found = plain(reported(workspace, spec, standing, void))
    experiments.keep_report(workspace.database, standing, found, workspace.clock.now(), store.OURSELVES, lease)
