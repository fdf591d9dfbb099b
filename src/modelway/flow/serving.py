"""The server of a workspace: versions out of artefacts, routes out of the traffic port, answers into the event log.

Imports no library for tables or training, and nothing that does: the server's process stays small.
"""

import hashlib
import logging
import os
import socket
import threading
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from modelway.contracts.contract import Contract, from_plain
from modelway.contracts.row import compile_row as compile_check
from modelway.errors import EngineError, NotFoundError, SpecError
from modelway.features.plan import Plan
from modelway.features.rows import RowFeatures, compile_row, groups_of
from modelway.flow.access import access_kept
from modelway.flow.composed import waits_for
from modelway.flow.figures import figures_kept
from modelway.flow.forms import open_apart, open_run
from modelway.flow.online import FRESHNESS, Follower, follower_of
from modelway.flow.plain import plain_of
from modelway.metrics.port import Metrics
from modelway.metrics.shared import shared
from modelway.records import Manifest, dumps, loads
from modelway.serving.asking import Server
from modelway.serving.composed import MEMBER_ROWS, Composed, Heard
from modelway.serving.log import PredictionLog
from modelway.serving.measured import SWAPS
from modelway.serving.models import Models
from modelway.serving.onnxruntime import Numbers, Run
from modelway.serving.room import Room, set_aside
from modelway.serving.run import Doors, GrpcPort, bind, pid_in, serve
from modelway.serving.servable import Servable, Way, checked_columns, nowhere, open_servable, unhurried
from modelway.serving.shadow import Shadow, score_in_shadow
from modelway.serving.tls import speaking
from modelway.spec.model import Spec
from modelway.spec.stack import MOST_WORKERS
from modelway.state.withheld import Spot, withheld
from modelway.tracing.sampling import Sampler
from modelway.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ssl import SSLContext

    from grpc import ServerCredentials

    from modelway.events.log import NewEvent
    from modelway.spec.stack import Online

_log = logging.getLogger("modelway.serving")
SHADOW_ROOM = 1_000
"""Requests that may wait to be scored in shadow; more are dropped, never delayed."""


def run_server(
    workspace: Workspace, number: int = 0, listening: socket.socket | None = None, grpc_port: int | None = None
) -> None:
    """Serve until SIGTERM or SIGINT, as one of `serving.workers` processes that share a socket, and `grpc_port`.

    Without them the addresses are bound here; raises ServerError when they cannot be.
    """
    serving, places, tls = workspace.stack.serving, workspace.places, tls_of(workspace)
    shown: Metrics = workspace.metrics
    grpc = GrpcPort(serving.grpc.port, credentials=grpc_tls_of(workspace)) if serving.grpc else None
    if grpc is not None and grpc_port is not None:
        grpc = replace(grpc, number=grpc_port, shared=True)
    with ExitStack() as beside:
        if number == 0:
            beside.enter_context(figures_kept(workspace))
        if serving.workers > 1:
            shown = beside.enter_context(shared(workspace.metrics, places.figures, number))
        access = beside.enter_context(access_kept(workspace, shown))
        serve(
            server_of(workspace, number, shown),
            Doors(listening or bind(serving.host, serving.port), serving.host, tls, grpc, access=access),
            says=places.worker(number),
            fsync_ms=workspace.stack.events.folder.fsync_ms,
            alone=not any(alive(pid_in(places.worker(other))) for other in range(serving.workers)),
        )


def alive(pid: int) -> bool:
    """Whether there is such a process; none is −1."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def tls_of(workspace: Workspace) -> "SSLContext | None":
    """As stack.yaml says; None for plain text. Raises ServerError for files that cannot be used."""
    files = _tls_files(workspace)
    return None if files is None else speaking(*files)


def grpc_tls_of(workspace: Workspace) -> "ServerCredentials | None":
    """The same for gRPC, from files that `tls_of` has found to be good."""
    if (files := _tls_files(workspace)) is None:
        return None
    from modelway.serving.grpc.secure import credentials_of

    return credentials_of(*files)


def _tls_files(workspace: Workspace) -> tuple[Path, Path, str] | None:
    """Certificate, key, and the key's password, "" for none."""
    asked, root = workspace.stack.serving.tls, workspace.places.root
    if asked is None:
        return None
    password = ""
    with suppress(NotFoundError):
        password = workspace.secrets.get("serving_key_password")
    return root / asked.certificate, root / asked.key, password


def server_of(workspace: Workspace, number: int = 0, shown: Metrics | None = None) -> Server:
    """The parts of the server, over the workspace's ports; `shown` is told instead of the workspace's metrics."""

    def publish(topic: str, events: "Sequence[NewEvent]") -> None:
        workspace.request_log.append(topic, events, durable=False)

    log = PredictionLog(publish, workspace.request_log.flush)
    shadow = Shadow(lambda echo: score_in_shadow(log, echo), SHADOW_ROOM)
    metrics = shown or workspace.metrics
    memory, load = workspace.stack.serving.memory, loader(workspace, number)
    models = Models(
        load,
        workspace.traffic.routes,
        challenger=partial(load, challenger=True),
        swapped=lambda model: metrics.count(SWAPS, model=model),
        room=None if memory is None else Room(memory * 1_000_000),
        counted=metrics.count,
        observed=metrics.observe,
        set_aside=set_aside,
    )
    asked = workspace.stack.tracing
    return Server(
        models,
        log,
        shadow,
        workspace.clock,
        metrics,
        tracing=workspace.tracing,
        sampler=Sampler(asked.sample) if asked else None,
        access_log=workspace.stack.serving.access_log,
    )


class Loader(Protocol):
    """Digest, model, number → the version in memory. A challenger's graph answers in a process of its own, and one that cannot be
    loaded fails on every request, so that its release ends."""

    def __call__(self, digest: str, model: str, number: int, *, challenger: bool = False) -> Servable: ...


def loader(workspace: Workspace, worker: int = 0) -> Loader:
    """What loads versions. Those with equal features and contract share their online values.

    Each of several serving processes has values of its own: a vector must not hold more than the position that it names.
    """
    followers: dict[str, Follower] = {}
    one_at_a_time = threading.Lock()

    def erased(topic: str) -> frozenset[Spot]:
        """What a folder's log holds of the erased is blank."""
        return withheld(workspace.database, topic) if workspace.stack.events.kafka else frozenset()

    def followed(manifest: Manifest, spec: Spec, plan: Plan, contract: Contract, row: RowFeatures) -> Follower:
        name = copy_of(values_name(manifest), worker)
        with one_at_a_time:
            if name not in followers:
                demand_time_to_live(workspace.stack.online, plan)
                followers[name] = follower_of(
                    workspace.request_log,
                    workspace.online(name, groups_of(plan)),
                    spec,
                    plan,
                    compile_check(contract),
                    row,
                    clock=workspace.clock,
                    late=workspace.stack.online.late,
                    observe=lambda seconds: workspace.metrics.observe(FRESHNESS, seconds, model=manifest.model),
                    erased=erased,
                )
            return followers[name]

    def load(digest: str, model: str, number: int, *, challenger: bool = False) -> Servable:
        manifest = loads(Manifest, workspace.artifacts.get(digest))
        contract, plan = from_plain(manifest.contract), Plan.from_plain(manifest.features)
        row = compile_row(plan)
        spec = Spec.model_validate_json(workspace.artifacts.get(manifest.spec))
        follower = followed(manifest, spec, plan, contract, row) if plan.looks_back else None
        if follower:
            follower.catch_up()
        past = follower.values if follower else None
        names = checked_columns(manifest)
        asked = contract.only(names)
        here, named = manifest.form == "graph", f"{model}@{number}"
        promised = spec.monitoring.slo
        apart = challenger and here and workspace.stack.serving.challengers == "apart"
        run, way = _opened(
            workspace, manifest, named, promised.latency_p99_ms / 1000, challenger=challenger, apart=apart
        )
        if isinstance(run, Composed):
            run = replace(run, heard=heard_by(workspace.metrics, model, number))
        return open_servable(
            manifest,
            digest,
            number,
            run,
            check=compile_check(asked),
            features=lambda typed, key, at, served: row(typed, key, at, past, served),
            upto=follower.catch_up if follower else unhurried if way or waits_for(manifest, run) else nowhere,
            plain=plain_of(asked, plan, names),
            sticky=spec.sticky or "",
            serves_unlogged=spec.serving.unlogged == "serve",
            longest_wait=promised.longest_wait_ms / 1000,
            way=way,
        )

    return load


def heard_by(metrics: Metrics, model: str, number: int) -> Heard:
    """Who answers for a composition is counted, in shadow too."""

    def heard(member: str, fallback: bool, rows: int) -> None:
        labels = {"model": model, "version": str(number), "member": member, "fallback": str(fallback).lower()}
        metrics.count(MEMBER_ROWS, rows, **labels)

    return heard


def _opened(
    workspace: Workspace, manifest: Manifest, name: str, row_seconds: float, *, challenger: bool, apart: bool
) -> tuple[Run, Way | None]:
    """What answers for a version, and the way to it where only a challenger has one."""
    try:
        if not apart:
            return open_run(workspace, manifest, name), None
        process = open_apart(workspace, manifest, name, row_seconds)
        return process, process.way
    except EngineError as error:
        if error.transient or not challenger:
            raise
        _log.error("%s fails on every request: %s", name, error.problem)
        return _failing(error), lambda: 0.0


def _failing(error: EngineError) -> Run:
    def run(numbers: Numbers, words: "Sequence[Sequence[str]]") -> list[list[float]]:
        del numbers, words
        raise EngineError(error.problem, error.fix)

    return run


def demand_time_to_live(online: "Online", plan: Plan) -> None:
    """Raise SpecError when values would expire that a window can still reach."""
    if online.valkey is None or online.valkey.ttl is None:
        return
    widest = timedelta(microseconds=max((window.reach_us for window in plan.windows), default=0) + plan.lag_us)
    if online.valkey.ttl < widest + (online.late or timedelta()):
        raise SpecError(
            f"stack.yaml: online.valkey.ttl of {online.valkey.ttl} is shorter than a window of {widest} and online.late together",
            "lengthen ttl: windows would be too small without a word",
        )


def copy_of(name: str, worker: int) -> str:
    """The name of one serving process's own online values."""
    return f"{name}.{worker}" if worker else name


def copies(workspace: Workspace, name: str) -> list[str]:
    """The names under which serving processes keep, or may have kept, these values."""
    named = [copy_of(name, worker) for worker in range(MOST_WORKERS)]
    return [one for worker, one in enumerate(named) if worker < workspace.stack.serving.workers or workspace.kept(one)]


def values_name(manifest: Manifest) -> str:
    """The name of a version's online values: other windows, columns or rules remember other things."""
    told = dumps([manifest.features, manifest.contract, manifest.key, manifest.event_time])
    return f"{manifest.model}-{hashlib.blake2b(told, digest_size=6).hexdigest()}"
