"""The example whole: a stream of payments through the real loop, in the stream's own time.

Payments and labels arrive one by one; a version is trained as soon as the training days have their labels; `modelway up` serves
it, and is asked of every payment of the test days as it happens; the labels of these come a week later.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import polars as pl

from examples.card_fraud import judging
from examples.card_fraud.project import MODEL, STACK, founded
from examples.card_fraud.quality import Quality
from examples.card_fraud.reckoning import Reckoning, reckon
from examples.card_fraud.setting import Setting
from examples.card_fraud.simulate import between, simulate
from examples.card_fraud.stream import Stream, payment_row, play, stream_of
from examples.live import look, up
from modelway import lifecycle
from modelway.errors import RefusedError, ServerError
from modelway.flow import frames
from modelway.records import Trigger, Version
from modelway.serving.client import infer
from modelway.state.replay_clock import set_replay_time
from modelway.testing.clock import ManualClock
from modelway.workspace import Workspace, open_workspace

Show = Callable[[str, float], None]
_AT_ONCE = 500
"""Instants in one call to a log that acknowledges each call over a network."""


@dataclass
class Asked:
    """What the outside world saw of the server; `seconds` is the time that it waited for answers."""

    requests: int = 0
    failed: int = 0
    refused: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class World:
    """The workspace with the clock that it lives by, and the stream that flows into it."""

    workspace: Workspace
    clock: ManualClock
    stream: Stream
    setting: Setting
    show: Show

    def live(self, until: datetime, at_once: int = 1) -> None:
        """Everything arrives that arrives up to that moment, and then it is that moment; `at_once`: see `stream.play`."""
        play(self.stream, until, self.workspace.log, self.clock.set, at_once)
        self.clock.set(until)

    def day(self, number: int) -> datetime:
        return self.setting.protocol.moment(self.setting.city, number)

    def ingest(self) -> None:
        lifecycle.ingest(self.workspace, self.workspace.spec(MODEL))


@dataclass(frozen=True)
class Replayed:
    """A finished replay."""

    root: Path
    setting: Setting
    version: Version
    reckoning: Reckoning
    asked: Asked
    logged: int
    """Answers to clients that are in the lake."""
    parity: tuple[int, float]
    """How many of these were computed again from the lake, and the largest difference."""
    found: judging.Weeks
    book: dict[str, Quality]
    """The book's classifiers by name, fitted on our training days."""
    shipped: Quality
    served: Quality | None
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def reconciled(self) -> bool:
        """No event lost or doubled, no request lost."""
        return self.reckoning.holds and self.asked.failed == 0 and self.logged == self.asked.requests


def replay(root: Path, setting: Setting, show: Show) -> Replayed:
    """Run it in an empty workspace at `root`; raises RefusedError when the gates refuse the first version."""
    began, seconds, asked = time.perf_counter(), {}, Asked()

    def lap(name: str) -> None:
        seconds[name] = time.perf_counter() - began - sum(seconds.values())

    city, protocol = setting.city, setting.protocol
    made = between(simulate(city, setting.seed), city, protocol.first, protocol.end)
    stream = stream_of(made, setting.faults, setting.delays, setting.seed)
    founded(root, STACK + setting.events, window=f"{protocol.train_days}d")
    clock = ManualClock(protocol.moment(city, protocol.first))
    workspace = open_workspace(root, clock=clock)
    world = World(workspace, clock, stream, setting, show)
    try:
        arrive(world)
        lap("events arrive")
        show("a version is trained", 0.5)
        version = trained(workspace)
        lap("training")
        if setting.serve:
            serve(world, made, version, asked)
            lap("service")
        show("labels of the last days arrive", 0.95)
        world.live(world.day(protocol.end))
        world.ingest()
        done = told(root, world, version, asked, seconds)
        lap("judging")
        return done
    finally:
        workspace.close()


def arrive(world: World) -> None:
    """The days before the test; what arrived is brought into the lake once a week."""
    protocol = world.setting.protocol
    at_once = _AT_ONCE if world.setting.events else 1
    for day in range(protocol.first, protocol.test_first):
        world.live(world.day(day + 1), at_once)
        if (protocol.test_first - day - 1) % 7 == 0:
            world.ingest()
            share = (day - protocol.first) / (protocol.test_first - protocol.first)
            world.show(f"{world.day(day):%d %B}: payments and labels arrive", 0.5 * share)


def trained(workspace: Workspace) -> Version:
    """The first version; raises RefusedError with what the gates said."""
    run = lifecycle.open_run(workspace, MODEL, Trigger("manual", "the first version", "example"))
    version = lifecycle.run(workspace, run)
    if not version.accepted:
        said = "; ".join(v.reason for v in version.validation.verdicts if v.outcome != "pass")
        raise RefusedError(f"{version} is not accepted: {said}", "take more days, a larger city, or another seed")
    return version


def serve(world: World, made: pl.DataFrame, version: Version, asked: Asked) -> None:
    """Every payment of the test days is asked of the running server as it happens; each night the control loop looks."""
    protocol, workspace = world.setting.protocol, world.workspace
    set_replay_time(workspace.database, world.clock.now())  # from here on other processes live in it too
    lifecycle.release(workspace, MODEL, version.number, "example", "the first version")
    with up(workspace) as url, httpx.Client(timeout=60) as client:
        for day in range(protocol.test_first, protocol.test_end):
            look(workspace, MODEL, client, url, world.clock.now())
            share = 0.55 + 0.4 * (day - protocol.test_first) / protocol.test_days
            world.show(f"{world.day(day):%d %B}: {version} answers, {asked.requests:,} payments so far", share)
            today = between(made, world.setting.city, day, day + 1)
            for row in today.iter_rows(named=True):
                world.live(row["at"])
                set_replay_time(workspace.database, row["at"])
                ask(client, url, payment_row(row), asked)
            world.live(world.day(day + 1))
            set_replay_time(workspace.database, world.clock.now())
        look(workspace, MODEL, client, url, world.clock.now())


def ask(client: httpx.Client, url: str, payment: dict[str, Any], asked: Asked) -> None:
    """Whether this payment is a fraud, asked once."""
    asked.requests += 1
    began = time.perf_counter()
    try:
        answer = infer(client, url, MODEL, [payment], request=payment["transaction_id"], tries=1)[0]
        asked.refused += answer["prediction"] is None
    except ServerError:
        asked.failed += 1
    asked.seconds += time.perf_counter() - began


def told(root: Path, world: World, version: Version, asked: Asked, seconds: dict[str, float]) -> Replayed:
    """What it came to, read back from the lake."""
    workspace, cards = world.workspace, world.setting.protocol.cards
    found = judging.weeks(workspace, MODEL, world.setting.city, world.setting.protocol)
    said = frames.predictions(workspace, workspace.spec(MODEL))
    return Replayed(
        root=root,
        setting=world.setting,
        version=version,
        reckoning=reckon(workspace.lake, world.stream.sent()),
        asked=asked,
        logged=said.filter(~pl.col("shadow")).height if said.height else 0,
        parity=judging.parity(workspace, MODEL) if said.height else (0, 0.0),
        found=found,
        book=judging.book_classifiers(found, cards),
        shipped=judging.version_quality(workspace, MODEL, version.number, found, cards),
        served=judging.served_quality(workspace, MODEL, found, cards),
        seconds=seconds,
    )
