"""What every command shares: the options `--json` and `--workspace`, the workspace it opens, and who types."""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from modelway.workspace import Workspace

Json = Annotated[bool, typer.Option("--json", help="Print records for machines instead of tables.")]
Where = Annotated[Path, typer.Option("--workspace", "-w", help="A folder inside the workspace.", show_default="here")]
Model = Annotated[str, typer.Argument(help="Name of the model.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the ledger.")]
HERE = Path()


@contextmanager
def opened(where: Path) -> Iterator["Workspace"]:
    """The workspace, closed again whatever happens."""
    from modelway.workspace import open_workspace

    workspace = open_workspace(where)
    try:
        yield workspace
    finally:
        workspace.close()


def who() -> str:
    """The person at the keyboard, for the ledger: MODELWAY_USER, else the login name."""
    return os.environ.get("MODELWAY_USER") or getpass.getuser()
