"""Who answers: routes as the control database has it, and a person's way back; few imports, since somebody waits for it."""

from modelway.records import Experiment, Release
from modelway.registry import versions
from modelway.rollout import experiments, store
from modelway.rollout.evidence import Turn
from modelway.rollout.routes import experiment_route, route_for
from modelway.rollout.standing import watched
from modelway.state import champions
from modelway.workspace import Workspace


def rollback(workspace: Workspace, model: str, who: str, reason: str) -> Release | Experiment:
    """End the experiment that is on, or the open release, or go back to the former champion; the routes follow at once.

    A spec that is broken is not read.
    """
    workspace.demand_model(model)
    done: Release | Experiment
    if (standing := experiments.on(workspace.database, model)) is not None:
        done = end_experiment(workspace, standing, who, reason)
    else:
        done = store.rollback(workspace.database, model, who, reason, workspace.clock.now())
    apply_route(workspace, model)
    return done


def end_experiment(workspace: Workspace, standing: Experiment, who: str, reason: str) -> Experiment:
    """A person ends it, however it stands by now; the routes are left to the caller."""
    while standing.state in experiments.ON:  # a look may have stopped an arm meanwhile
        step = Turn("stopped", standing.stopped, "passed", reason, standing.evidence)
        standing = experiments.turn(workspace.database, standing, step, workspace.clock.now(), who)
    return standing


def apply_route(workspace: Workspace, model: str) -> None:
    """Make the routes what the experiment that runs, or else the latest release, and the champion ask for."""
    database = workspace.database
    champion, latest = champion_of(workspace, model), store.latest(database, model)
    if champion is None:
        return
    running = experiments.on(database, model)
    if running is not None and running.state != "waiting" and running.champion == champion:
        arms = {champion, *(int(name) for name in running.shares)}
        of = {number: versions.get(database, model, number).digest for number in arms}
        workspace.traffic.apply(experiment_route(running, of))
        return
    named = {champion} | ({latest.version} if latest else set())
    if latest is not None and watched(latest) and latest.champion is not None:
        named |= {latest.champion}
    digests = {number: versions.get(database, model, number).digest for number in named}
    route = route_for(model, latest, champion, digests)
    if route is not None:
        workspace.traffic.apply(route)


def champion_of(workspace: Workspace, model: str) -> int | None:
    """The champion's number; None before there is one."""
    with workspace.database.read() as connection:
        return champions.champion(connection, model)
