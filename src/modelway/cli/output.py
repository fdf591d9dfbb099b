"""How commands speak: tables and progress on a terminal, JSON records with `--json`."""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from modelway.cli.time_left import TimeLeft, spoken

_TELL_SECONDS = 10.0
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


class Progress(Protocol):
    """Called with what is being done and the share that is done (None: unknown)."""

    def __call__(self, what: str, share: float | None = None) -> None: ...


def print_json(record: Any) -> None:
    """One JSON document on standard output."""
    from modelway.records import plain

    sys.stdout.write(json.dumps(plain(record), ensure_ascii=False, indent=2, default=str) + "\n")


def say(text: str = "") -> None:
    """A line for people, on standard output."""
    sys.stdout.write(harmless(text) + "\n")


def note(text: str) -> None:
    """A line beside the result, on standard error."""
    sys.stderr.write(harmless(text) + "\n")


def harmless(text: str) -> str:
    """Control characters as they are written in code: a value that came from outside would clear the terminal, or title it."""
    return text.translate(_CONTROLS)


def brief(value: Any, most: int = 300) -> Any:
    """The beginning of a long text."""
    return f"{value[:most]} … ({len(value):,} characters)" if isinstance(value, str) and len(value) > most else value


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table; on a narrow or captured output too, no cell is cut."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=harmless(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        shown.add_column(head, overflow="fold")
    for row in rows:
        shown.add_row(*(cell(value) for value in row))
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False, markup=False, emoji=False)
    console.print(shown)


def cell(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if hasattr(value, "strftime"):
        return str(value.strftime("%Y-%m-%d %H:%M"))
    return harmless(str(value))


@contextmanager
def progress(show: bool = True) -> Iterator[Progress]:
    """A line that moves on a terminal; one line a stage where nobody watches; nothing with `--json`."""
    if not show:
        yield _silent
    elif sys.stderr.isatty():
        with _live() as step:
            yield step
    else:
        yield _lines()


def _silent(what: str, share: float | None = None) -> None:
    del what, share


def _lines() -> Progress:
    """A line a stage; of a long one a line now and then, with the time that is left."""
    last, left, told_at = "", TimeLeft(), time.monotonic()

    def step(what: str, share: float | None = None) -> None:
        nonlocal last, left, told_at
        stage, now = what.split(":")[0], time.monotonic()
        if stage != last:
            last, left, told_at = stage, TimeLeft(), now
            if share is None:
                note(f"  {what}")
        seconds = left.seconds(share, now) if share is not None else None
        if share is not None and now - told_at >= _TELL_SECONDS:
            told_at = now
            note(f"  {what}, {share:.0%}" + (f", {spoken(seconds)} left" if seconds is not None else ""))

    return step


@contextmanager
def _live() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    stage, left = "", TimeLeft()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, left="")

        def step(what: str, share: float | None = None) -> None:
            nonlocal stage, left
            if what.split(":")[0] != stage:
                stage, left = what.split(":")[0], TimeLeft()
            seconds = left.seconds(share, time.monotonic()) if share is not None else None
            told = f"{spoken(seconds)} left" if seconds is not None else ""
            bar.update(task, description=what, total=None if share is None else 1.0, completed=share or 0.0, left=told)

        yield step
