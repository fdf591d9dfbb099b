"""token new, list, revoke: who may ask the server, where stack.yaml says `serving: {access: tokens}`."""

from enum import StrEnum
from typing import Annotated

import typer

from modelway.cli.context import HERE, Json, Reason, Where, opened, who

Name = Annotated[str, typer.Argument(help="Name of the token: who or what uses it.")]

group = typer.Typer(help="Tokens with which clients ask the server.", no_args_is_help=True, rich_markup_mode=None)


class Role(StrEnum):
    INFER = "infer"
    OPERATE = "operate"


def add_to(app: typer.Typer) -> None:
    app.add_typer(group, name="token")
    group.command(epilog="Example: modelway token new checkout --role infer")(new)
    group.command("list", epilog="Example: modelway token list")(list_tokens)
    group.command(epilog="Example: modelway token revoke checkout --reason 'the laptop was lost'")(revoke)


def new(
    name: Name,
    role: Annotated[Role, typer.Option("--role", help="infer: ask models; operate: figures and the repository too.")],
    reason: Reason = "asked for by hand",
    where: Where = HERE,
) -> None:
    """Make a token and print it, this once; running servers know it within seconds."""
    from modelway.cli.output import note, say
    from modelway.secrets.tokens import digest_of, make_token
    from modelway.state import tokens

    token = make_token()
    with opened(where) as workspace:
        digest = digest_of(token.encode()).hex()
        made = tokens.Token(name, role.value, digest, who(), workspace.clock.now())
        tokens.add(workspace.database, made, reason)
        asked = workspace.stack.serving.access == "tokens"
    say(token)
    note(f"{name} may {role.value}; the token is kept nowhere, and is not shown again")
    if not asked:
        note("stack.yaml asks nobody for a token yet: serving: {access: tokens}")


def list_tokens(where: Where = HERE, json: Json = False) -> None:
    """The tokens that hold, without themselves: name, role, who made them and when."""
    from modelway.cli.output import print_json, table
    from modelway.state import tokens

    with opened(where) as workspace:
        found = tokens.every(workspace.database)
    told = [{"name": t.name, "role": t.role, "made": t.made, "who": t.who} for t in found]
    if json:
        print_json(told)
    else:
        table("tokens", ("token", "role", "made", "by"), [tuple(one.values()) for one in told])


def revoke(name: Name, reason: Reason = "asked for by hand", where: Where = HERE, json: Json = False) -> None:
    """End a token; running servers refuse it within seconds."""
    from modelway.cli.output import print_json, say
    from modelway.state import tokens

    with opened(where) as workspace:
        ended = tokens.revoke(workspace.database, name, who(), reason, workspace.clock.now())
    if json:
        print_json({"name": ended.name, "role": ended.role, "revoked": True})
    else:
        say(f"revoked: {name} may {ended.role} no more")
