"""The `modelway` command: its groups, and the one edge at which errors become words and exit codes."""

import os
import signal
import sys
import threading
from typing import Annotated, NoReturn

import typer

from modelway import __version__
from modelway.cli import build, operate, releasing, start
from modelway.errors import ModelwayError

app = typer.Typer(
    name="modelway",
    help="From a data file to a served, watched and self-renewing model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
    epilog="First steps: modelway init bank && cd bank && modelway new loans --data ../train.csv --target BAD",
)
for group in (start, build, releasing, operate):
    group.add_to(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show our own traceback when something fails.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    del version
    if debug:
        os.environ["MODELWAY_DEBUG"] = "1"


class Interrupted(BaseException):
    """Ctrl-C; no KeyboardInterrupt, which Typer would turn into words of its own."""


def main() -> None:
    """Run a command; a ModelwayError is printed as problem and fix, Ctrl-C ends with 130."""
    interrupted = _on_interrupt()
    try:
        app()
    except ModelwayError as error:
        if interrupted.is_set():
            _stopped()
        _say(error)
        sys.exit(error.exit_code)
    except (Interrupted, KeyboardInterrupt):
        _stopped()
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except Exception as error:
        if interrupted.is_set():
            _stopped()
        if _debugging():
            raise
        typer.secho(f"modelway failed unexpectedly: {type(error).__name__}: {error}", err=True, fg="red")
        typer.secho("  fix: run it again with `modelway --debug …` and send us what it prints", err=True)
        sys.exit(70)


def _on_interrupt() -> threading.Event:
    """Remembers Ctrl-C: within the import of a library it may come out as another exception."""
    seen = threading.Event()

    def interrupt(number: int, frame: object) -> None:
        del number, frame
        seen.set()
        raise Interrupted

    signal.signal(signal.SIGINT, interrupt)
    return seen


def _stopped() -> NoReturn:
    typer.secho("stopped; nothing is half done: the same command goes on from here", err=True)
    sys.exit(130)


def _debugging() -> bool:
    return bool(os.environ.get("MODELWAY_DEBUG"))


def _say(error: ModelwayError) -> None:
    if _debugging():
        raise error
    typer.secho(error.problem, err=True, fg="red")
    if error.fix:
        typer.secho(f"  fix: {error.fix}", err=True)
