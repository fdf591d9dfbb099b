"""The server of a workspace: versions out of artefacts, routes out of the traffic port, answers into the event log.

Imports no library for tables or training, and nothing that does: the server's process stays small.
"""

import hashlib
from typing import TYPE_CHECKING

from modelway.contracts.contract import from_plain
from modelway.contracts.row import compile_row as compile_check
from modelway.features.plan import Plan
from modelway.features.rows import compile_row
from modelway.flow.online import Follower, follower_of
from modelway.records import Manifest, dumps, loads
from modelway.serving.app import Server
from modelway.serving.log import PredictionLog
from modelway.serving.measured import SWAPS
from modelway.serving.models import Load, Models
from modelway.serving.run import serve
from modelway.serving.servable import Servable, checked_columns, nowhere, open_servable
from modelway.serving.shadow import Shadow, score_in_shadow
from modelway.spec.model import Spec
from modelway.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelway.events.log import NewEvent

SHADOW_ROOM = 1_000
"""Requests that may wait to be scored in shadow; more are dropped, never delayed."""


def run_server(workspace: Workspace) -> None:
    """Serve until SIGTERM or SIGINT. Raises ServerError when the address cannot be bound."""
    serving = workspace.stack.serving
    serve(
        server_of(workspace),
        serving.host,
        serving.port,
        says=workspace.places.server,
        fsync_ms=workspace.stack.events.fsync_ms,
    )


def server_of(workspace: Workspace) -> Server:
    """The parts of the server, over the workspace's ports."""

    def publish(topic: str, events: "Sequence[NewEvent]") -> None:
        workspace.log.append(topic, events, durable=False)

    log = PredictionLog(publish, workspace.log.flush)
    shadow = Shadow(lambda echo: score_in_shadow(log, echo), SHADOW_ROOM)
    metrics = workspace.metrics
    models = Models(
        loader(workspace), workspace.traffic.routes, swapped=lambda model: metrics.count(SWAPS, model=model)
    )
    return Server(models, log, shadow, workspace.clock, metrics)


def loader(workspace: Workspace) -> Load:
    """Digest, model, number → the version in memory. Versions with equal features and contract share their online values."""
    followers: dict[str, Follower] = {}

    def load(digest: str, model: str, number: int) -> Servable:
        del model  # the manifest says it
        manifest = loads(Manifest, workspace.artifacts.get(digest))
        contract, plan = from_plain(manifest.contract), Plan.from_plain(manifest.features)
        row = compile_row(plan)
        follower = None
        if plan.windows:
            name = values_name(manifest)
            if name not in followers:
                spec = Spec.model_validate_json(workspace.artifacts.get(manifest.spec))
                values = workspace.online(name)
                followers[name] = follower_of(workspace.log, values, spec, plan, compile_check(contract), row)
            follower = followers[name]
            follower.catch_up()
        past = follower.values if follower else None
        return open_servable(
            manifest,
            digest,
            number,
            workspace.artifacts.get(manifest.graph),
            check=compile_check(contract.only(checked_columns(manifest))),
            features=lambda typed, key, at, served: row(typed, key, at, past, served),
            upto=follower.catch_up if follower else nowhere,
        )

    return load


def values_name(manifest: Manifest) -> str:
    """The name of a version's online values: other windows, columns or rules remember other things."""
    told = dumps([manifest.features, manifest.contract, manifest.key, manifest.event_time])
    return f"{manifest.model}-{hashlib.blake2b(told, digest_size=6).hexdigest()}"
