"""What `python -m examples.card_fraud` does with its arguments."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from examples.card_fraud.broker import on_kafka
from examples.card_fraud.project import MODEL
from examples.card_fraud.replay import Replayed, replay
from examples.card_fraud.report import apart, summary, table, write_report
from examples.card_fraud.setting import FULL, QUICK, SMALL, Setting
from examples.card_fraud.stream import DRAWN_DELAYS
from modelway.errors import ModelwayError

if TYPE_CHECKING:
    from rich.console import Console


def asked_for(argv: Sequence[str] | None) -> tuple[Path, Setting, str | None]:
    """The folder, the setting, and the address of Kafka, as the arguments name them."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.card_fraud", description="Card payments as a stream, through the whole loop."
    )
    parser.add_argument("--root", type=Path, default=Path("fraud"), help="where the workspace and the report go")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--book", action="store_true", help="the size and the days of the book, without the server")
    size.add_argument(
        "--quick", action="store_true", help="a village, and two days of service: the whole loop, no figures"
    )
    parser.add_argument("--seed", type=int, help="another city")
    parser.add_argument(
        "--labels", choices=["book", "drawn"], default="book", help="after 7 days, or 1 to 60, some never"
    )
    parser.add_argument("--cents", type=float, default=0.0, help="share of payments whose amount comes in cents")
    parser.add_argument("--kafka", metavar="HOST:PORT", help="the event log is Kafka's")
    given = parser.parse_args(argv)
    setting = FULL if given.book else QUICK if given.quick else SMALL
    if given.seed is not None:
        setting = replace(setting, seed=given.seed)
    if given.labels == "drawn":
        setting = replace(setting, delays=DRAWN_DELAYS)
    if given.cents:
        setting = replace(setting, faults=replace(setting.faults, in_cents=given.cents))
    return given.root, setting, given.kafka


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code says whether everything reconciles."""
    root, setting, kafka = asked_for(argv)
    if (root / ".modelway").is_dir():
        shutil.rmtree(root)  # a former replay; anything else is left alone
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 130)
    try:
        done = shown(root, replace(setting, events=on_kafka(kafka)) if kafka else setting, console)
    except ModelwayError as error:
        console.print(str(error), markup=False)
        return error.exit_code
    report = write_report(done, root / "report.html")
    console.print(table(done))
    for line in [*summary(done), "", *apart(done)]:
        console.print(line)
    console.print(f"\nLook at the report: {report}")
    console.print(f"Look around: modelway status -w {root}, modelway quarantine list {MODEL} -w {root}")
    return 0 if done.reconciled else 1


def shown(root: Path, setting: Setting, console: "Console") -> Replayed:
    """The replay, with its progress on the terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    city = setting.city
    console.print(f"{city.customers:,} customers pay at {city.terminals:,} terminals: which payments are frauds?")
    columns = (TextColumn("{task.description:58}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("a city is made", total=1.0)

        def show(what: str, share: float) -> None:
            progress.update(task, description=what, completed=share)

        done = replay(root.resolve(), setting, show)
        show("done", 1.0)
    return done
