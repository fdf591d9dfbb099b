"""A release as it goes: a table that is drawn anew on a terminal, a line a change elsewhere, JSON lines with `--json`."""

import json as text
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from modelway.cli.output import harmless, note, say

if TYPE_CHECKING:
    from modelway.records import Release
    from modelway.rollout.telling import Told
    from modelway.workspace import Workspace

Show = Callable[["Told"], None]
_LOOK_SECONDS = 0.5


def follow(workspace: "Workspace", number: int, *, json: bool) -> "Release":
    """Show the release of this number until it is over; Ctrl-C ends the showing, and the release goes on."""
    from modelway.cli.interrupt import Interrupted
    from modelway.rollout import store
    from modelway.rollout.telling import told_of

    with _json_lines() if json else _on_terminal() if sys.stdout.isatty() else _lines() as show:
        try:
            while True:
                release = store.get(workspace.database, number)
                told = told_of(release)
                show(told)
                if told.over:
                    return release
                time.sleep(_LOOK_SECONDS)
        except Interrupted:
            note(f"the release goes on; modelway status {release.model} --follow shows it again")
            raise


def follow_latest(workspace: "Workspace", model: str, *, json: bool) -> "Release":
    """The same of the model's release that changed last. Raises UsageError for all models, StateError before there is one."""
    from modelway.errors import StateError, UsageError
    from modelway.rollout import store

    if model == "*":
        raise UsageError("--follow needs one model", "modelway status MODEL --follow")
    latest = store.latest(workspace.database, model)
    if latest is None:
        raise StateError(f"{model} has had no release", f"modelway release {model}")
    return follow(workspace, latest.id, json=json)


@contextmanager
def _json_lines() -> Iterator[Show]:
    """A line for each look that found something new."""
    from modelway.records import plain

    last: list[Any] = [None]

    def show(told: "Told") -> None:
        if told != last[0]:
            last[0] = told
            sys.stdout.write(text.dumps(plain(told), ensure_ascii=False) + "\n")
            sys.stdout.flush()

    yield show


@contextmanager
def _lines() -> Iterator[Show]:
    last = [""]

    def show(told: "Told") -> None:
        line = f"{told.model}@{told.version}: {told.state} {told.share:.0%}; {told.reason}"
        if line != last[0]:
            last[0] = line
            say(line)
            sys.stdout.flush()

    yield show


@contextmanager
def _on_terminal() -> Iterator[Show]:
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False, markup=False, emoji=False)
    with Live(console=console, auto_refresh=False) as live:
        yield lambda told: live.update(shown(told), refresh=True)


def shown(told: "Told") -> Any:
    """What is drawn: where it stands, the evidence against each guard, the verdict, and what is missing."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from modelway.rollout.telling import e_text

    share = (
        f"{told.share:.3g} of the requests" if told.seen is None else f"{told.share:.0%} asked, {told.seen:.2%} came"
    )
    share += ", ROUTING BROKEN" if told.broken else ""
    against = "" if told.champion is None else f" against @{told.champion}"
    head = f"{told.model}@{told.version}{against}: {told.state}, {share}"
    heads = ("guard", f"@{told.version}", f"@{told.champion}", "evidence against it")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in heads:
        table.add_column(name, overflow="fold")
    for one in told.guards:
        table.add_row(one.guard, one.challenger, one.champion, e_text(one.e))
    if told.e is not None:
        stops_at = "" if told.stops_at is None else f" (stops at {told.stops_at:.3g})"
        table.add_row("together", "", "", f"{e_text(told.e)}{stops_at}")
    lines = [Text(harmless(f"{told.verdict}: {told.reason.removeprefix('undecided: ')}"))]
    lines += [Text(harmless(f"  missing: {what}")) for what in told.missing] if len(told.missing) > 1 else []
    return Group(Text(harmless(head), style="bold"), *([table] if told.guards else []), *lines)
