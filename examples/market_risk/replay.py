"""Twenty years of daily bars through the real loop, in event time: `python -m examples.market_risk` (`make demo`).

What runs is what a team would run: `modelway up` with its server and control loop, each a process of its own. This script is
the outside world: it moves the replay's clock from close to close, sends each day's bar to the event log, asks the server over
HTTP what it expects, and sends the outcome five trading days later. Every five weeks the control loop gets a look.
"""

import argparse
import random
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import orjson

from examples.live import look, up
from examples.market_risk import bars
from examples.market_risk.bars import AHEAD, Day
from examples.market_risk.report import write_report
from examples.market_risk.story import Told, told
from modelway import lifecycle
from modelway.errors import ServerError
from modelway.events.log import NewEvent
from modelway.records import Trigger
from modelway.serving.client import infer
from modelway.state.replay_clock import set_replay_time
from modelway.workspace import Workspace, create_workspace, open_workspace

MODEL = "market-risk"
PROJECT = Path(__file__).parent / "model"
STACK = "serving: {port: 0}\ntick_seconds: 0.05\n"
FIRST_YEARS = 1250
"""Trading days before the first training: five years."""
LOOK_EVERY = timedelta(days=35)

Show = Callable[[str, float], None]


@dataclass
class Asked:
    """What the outside world saw: requests sent, answers by version, failures."""

    requests: int = 0
    failed: int = 0
    refused: int = 0
    looks: int = 0
    versions: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Replayed:
    """A finished replay."""

    root: Path
    asked: Asked
    story: Told
    seconds: dict[str, float]


def replay(
    root: Path, days: Sequence[Day], show: Show, *, first: int = FIRST_YEARS, project: Path = PROJECT
) -> Replayed:
    """Run the loop over the days in an empty workspace at `root`."""
    began = time.perf_counter()
    create_workspace(root, STACK).close()
    shutil.copytree(project, root / "models" / MODEL, dirs_exist_ok=True)
    workspace = open_workspace(root)
    set_replay_time(workspace.database, days[0].close)
    workspace.close()
    workspace = open_workspace(root)  # from here on it lives in the replay's time
    seconds: dict[str, float] = {}
    asked = Asked()
    try:
        for place in range(first):
            _send(workspace, days, place)
        show(f"{days[first].close:%Y}: the first champion is trained", first / len(days))
        run = lifecycle.open_run(workspace, MODEL, Trigger("manual", "the first champion", "demo"))
        version = lifecycle.run(workspace, run)
        lifecycle.release(workspace, MODEL, version.number, "demo", "the first champion")
        seconds["first champion"] = time.perf_counter() - began
        with up(workspace) as url, httpx.Client(timeout=60) as client:
            _live(workspace, days, first, url, client, asked, show)
        seconds["years of service"] = time.perf_counter() - began - sum(seconds.values())
        show("reading the ledger and the lake", 1.0)
        story = told(workspace, MODEL)
    finally:
        workspace.close()
    seconds["whole replay"] = time.perf_counter() - began
    return Replayed(root, asked, story, seconds)


def _live(
    workspace: Workspace, days: Sequence[Day], first: int, url: str, client: httpx.Client, asked: Asked, show: Show
) -> None:
    look_at = days[first].close
    _look(workspace, client, url, days[first].close, asked)
    for place in range(first, len(days)):
        day = days[place]
        _send(workspace, days, place)
        _ask(client, url, day, asked)
        if day.close >= look_at + LOOK_EVERY:
            look_at = day.close
            _look(workspace, client, url, day.close, asked)
            show(f"{day.close:%Y-%m}: {asked.requests} requests, version {max(asked.versions)}", place / len(days))
    _look(workspace, client, url, days[-1].close, asked)


def _send(workspace: Workspace, days: Sequence[Day], place: int) -> None:
    """The day's bar, and the outcome of the day whose five days are over now."""
    day = days[place]
    set_replay_time(workspace.database, day.close)
    workspace.log.append("bars", [NewEvent(day.key, orjson.dumps(day.row))], durable=False)
    if place >= AHEAD:
        matured = days[place - AHEAD]
        body = {"key": matured.key, "label": matured.label, "at": day.close.isoformat()}
        workspace.log.append(f"{MODEL}-outcomes", [NewEvent(matured.key, orjson.dumps(body))], durable=False)


def _ask(client: httpx.Client, url: str, day: Day, asked: Asked) -> None:
    asked.requests += 1
    try:
        answer = infer(client, url, MODEL, [day.row], request=f"day-{day.key}", tries=1)[0]
    except ServerError:
        asked.failed += 1
        return
    asked.versions[answer["version"]] = asked.versions.get(answer["version"], 0) + 1
    asked.refused += answer["prediction"] is None


def _look(workspace: Workspace, client: httpx.Client, url: str, now: datetime, asked: Asked) -> None:
    asked.looks += 1
    look(workspace, MODEL, client, url, now)


def planted(days: Sequence[Day], at: int, scale: float = 2.5, noise_at: int | None = None) -> list[Day]:
    """The same days with planted breaks: from day `at` on the index moves `scale` times as much, outcomes with it.

    From `noise_at` on outcomes are coins: nothing is left to learn.
    """
    coins = random.Random(1)
    factors = [1.0 if place < at else scale for place in range(len(days))]
    rows = [
        {k: v * f if k.endswith(("return", "range")) and isinstance(v, float) else v for k, v in day.row.items()}
        for day, f in zip(days, factors, strict=True)
    ]
    made = []
    for place, day in enumerate(days):
        coming = [abs(float(row["sp_return"])) for row in rows[place + 1 : place + 1 + AHEAD]]
        outcome = (
            max(coming, default=0.0) >= bars.MOVE if noise_at is None or place < noise_at else coins.random() < 0.5
        )
        label = str(int(outcome)) if len(coming) == AHEAD else None
        made.append(Day(day.key, day.close, rows[place], label))
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """What `make demo` does; the exit code says whether all of it reconciles."""
    parser = argparse.ArgumentParser(description="Replay twenty years of the market example through the whole loop.")
    parser.add_argument("--root", type=Path, default=Path("demo"), help="where the workspace and the report go")
    parser.add_argument("--days", type=int, default=None, help="replay only the first so many days")
    given = parser.parse_args(argv)
    if (given.root / ".modelway").is_dir():
        shutil.rmtree(given.root)  # a former replay; anything else is left alone
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(width=None if sys.stdout.isatty() else 130)
    console.print("S&P 500 and NASDAQ, day by day from 1999 to 2018: will the coming five days be turbulent?")
    columns = (TextColumn("{task.description:58}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("1999: bars arrive", total=1.0)
        done = replay(
            given.root.resolve(),
            list(bars.days())[: given.days],
            lambda what, share: progress.update(task, description=what, completed=share),
        )
        progress.update(task, description="done", completed=1.0)
    report = write_report(done.story, done.asked, done.seconds, given.root / "report.html")
    for line in done.story.lines(done.asked, done.seconds):
        console.print(line)
    console.print(f"\nLook at the report: {report}")
    console.print(f"Look around: modelway status -w {given.root}, modelway history {MODEL} -w {given.root}")
    return 0 if done.asked.failed == 0 and done.story.reconciled(done.asked) else 1
