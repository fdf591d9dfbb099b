"""positions show, positions set: where tables stand in their topics."""

from collections.abc import Sequence
from typing import Annotated

import typer

from modelway.cli.context import HERE, Json, Reason, Where, opened, who

Topic = Annotated[str, typer.Argument(help="Name of the topic, which is the table's too.")]
_HEADS = ("partition", "position", "oldest", "newest", "state")


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Where tables stand in their topics: show, set.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("show", epilog="Example: modelway positions show transactions")(show)
    group.command("set", epilog="Example: modelway positions set transactions --to oldest --reason 'topic made anew'")(
        set_
    )
    app.add_typer(group, name="positions")


def show(topic: Topic, where: Where = HERE, json: Json = False) -> None:
    """The position by partition, and what the event log keeps."""
    from modelway.lifecycle import positions

    with opened(where) as workspace:
        _tell(topic, positions(workspace, topic), json)


def set_(
    topic: Topic,
    to: Annotated[str, typer.Option("--to", help="oldest, newest, or an offset.")],
    reason: Reason,
    partition: Annotated[int | None, typer.Option("--partition", help="One partition; absent: all.")] = None,
    where: Where = HERE,
    json: Json = False,
) -> None:
    """Go on from elsewhere. Rows that are read again are known; events that are passed over never come in."""
    from modelway.lifecycle import set_positions

    with opened(where) as workspace:
        _tell(topic, set_positions(workspace, topic, to, who(), reason, partition), json)


def _tell(topic: str, found: Sequence[object], json: bool) -> None:
    from modelway.cli.output import print_json, table

    if json:
        print_json(found)
    else:
        table(f"{topic}: positions", _HEADS, [[getattr(one, name) for name in _HEADS] for one in found])
