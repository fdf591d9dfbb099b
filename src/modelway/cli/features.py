"""features rebuild, features table: the server's online values again from the lake; the training rows on Spark."""

from pathlib import Path
from typing import Annotated

import typer

from modelway.cli.context import HERE, Json, Model, Where, opened


def add_to(app: typer.Typer) -> None:
    told = "Features: rebuild the server's values; make the training rows at scale."
    features = typer.Typer(help=told, no_args_is_help=True, rich_markup_mode=None)
    features.command("rebuild", epilog="Example: modelway features rebuild loans")(rebuild)
    features.command("table", epilog="Example: modelway features table loans --out rows")(table)
    app.add_typer(features, name="features")


def rebuild(model: Model, where: Where = HERE, json: Json = False) -> None:
    """Build the online values of the version that serves again, from the lake; the server must not run."""
    from modelway import lifecycle
    from modelway.cli.output import print_json, say

    with opened(where) as workspace:
        done = lifecycle.rebuild_features(workspace, model)
    if json:
        print_json(done)
    else:
        say(
            f"{done.version}: {done.events} events, {done.labels} labels, {done.statements} statements, up to {dict(done.upto)}"
        )


def table(model: Model, out: Annotated[Path, typer.Option(help="The folder to make.")], where: Where = HERE) -> None:
    """Make the training rows with their features on the engine that stack.yaml names (Spark), as a folder of Parquet files."""
    from modelway import lifecycle
    from modelway.cli.output import say

    with opened(where) as workspace:
        say(f"{lifecycle.features_table(workspace, workspace.spec(model), out)}")
