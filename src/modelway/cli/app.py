"""The `modelway` command: its groups, and the one edge at which errors become words and exit codes."""

import os
import sys
from typing import Annotated

import typer

from modelway import __version__
from modelway.cli import (
    build,
    contract,
    erase,
    experimenting,
    features,
    operate,
    positions,
    releasing,
    start,
    tables,
    tokens,
)
from modelway.cli.interrupt import Interrupt, Interrupted, leave
from modelway.cli.main import STOPPED
from modelway.errors import ModelwayError, of_system

app = typer.Typer(
    name="modelway",
    help="From a data file to a served, watched and self-renewing model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
    epilog="First steps: modelway init bank && cd bank && modelway new loans --data ../train.csv --target BAD",
)
for group in (start, build, contract, releasing, experimenting, features, operate, positions, tables, tokens, erase):
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


def main() -> None:
    """Run a command; a ModelwayError is printed as problem and fix, Ctrl-C ends with 130."""
    interrupt = Interrupt()
    try:
        app()
    except BaseException as error:  # noqa: BLE001 - the edge: whatever it is becomes words and a code
        interrupt.over()
        code = _ended(error, interrupted=interrupt.seen)
        if interrupt.seen:
            leave(130)
        sys.exit(code)


def _ended(error: BaseException, *, interrupted: bool) -> int | str | None:
    """Say why the command ended; the exit code. No traceback of ours reaches a user unless asked for."""
    if interrupted or isinstance(error, Interrupted | KeyboardInterrupt):
        typer.secho(STOPPED, err=True)
        return 130
    if isinstance(error, SystemExit):
        return error.code
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()
        return 141
    if _debugging():
        raise error
    if isinstance(error, OSError):
        error = of_system(error) or error
    if isinstance(error, ModelwayError):
        _say(error)
        return error.exit_code
    typer.secho(f"modelway failed unexpectedly: {type(error).__name__}: {error}", err=True, fg="red")
    typer.secho("  fix: run it again with `modelway --debug …` and send us what it prints", err=True)
    return 70


def _debugging() -> bool:
    return bool(os.environ.get("MODELWAY_DEBUG"))


def _say(error: ModelwayError) -> None:
    from modelway.cli.output import harmless

    typer.secho(harmless(error.problem), err=True, fg="red")
    if error.fix:
        typer.secho(f"  fix: {harmless(error.fix)}", err=True)
