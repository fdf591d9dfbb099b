"""Who answers: routes as the control database has it, and a person's way back; few imports, since somebody waits for it."""

from modelway.records import Release
from modelway.registry import versions
from modelway.rollout import store
from modelway.rollout.routes import route_for
from modelway.rollout.standing import watched
from modelway.state import champions
from modelway.workspace import Workspace


def rollback(workspace: Workspace, model: str, who: str, reason: str) -> Release:
    """End the open release, or go back to the former champion; the routes follow at once. A spec that is broken is not read."""
    workspace.demand_model(model)
    done = store.rollback(workspace.database, model, who, reason, workspace.clock.now())
    apply_route(workspace, model)
    return done


def apply_route(workspace: Workspace, model: str) -> None:
    """Make the routes what the latest release and the champion ask for."""
    database = workspace.database
    champion, latest = champion_of(workspace, model), store.latest(database, model)
    if champion is None:
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
