"""up, renew, predict, labels, status, doctor, maintain, mlflow: what runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelway.cli.context import HERE, Json, Model, Where, opened

if TYPE_CHECKING:
    from modelway.workspace import Workspace


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Example: modelway up")(up)
    app.command(epilog="Example: modelway renew")(renew)
    app.command(epilog="Example: modelway predict loans --data ../score.csv --out ../pred.csv")(predict)
    app.command(epilog="Example: modelway labels loans --data ../outcomes.csv")(labels)
    app.command(epilog="Example: modelway status --json")(status)
    app.command(epilog="Example: modelway doctor")(doctor)
    app.command(epilog="Example: modelway maintain")(maintain)
    app.command(epilog="Example: modelway mlflow")(mlflow)


def up(where: Where = HERE) -> None:
    """Run the server and the control loop until Ctrl-C."""
    from modelway.cli.output import say
    from modelway.control.supervisor import up as supervise
    from modelway.workspace import find_workspace

    def announce(text: str) -> None:
        say(f"ready at {text}   (Ctrl-C stops it)" if text.startswith("http") else text)

    supervise(find_workspace(where.resolve()), announce)
    say("stopped")


def renew(where: Where = HERE) -> None:
    """Put new serving processes in the place of the running ones, one by one; no request is refused."""
    from modelway.cli.output import say
    from modelway.control.supervisor import renew as ask
    from modelway.workspace import find_workspace

    count = ask(find_workspace(where.resolve()))
    say(f"{count} serving process{'es were' if count > 1 else ' was'} renewed")


def predict(
    model: Model,
    data: Annotated[Path, typer.Option("--data", help="Rows to predict: CSV, Parquet or NDJSON.")],
    out: Annotated[Path, typer.Option("--out", help="Where the predictions go (CSV).")],
    where: Where = HERE,
    json: Json = False,
) -> None:
    """Ask the server for every row of a file; with none running, answer from the same graph and say so."""
    from modelway.cli.output import note, print_json, progress, say
    from modelway.files.read import read_table
    from modelway.files.write import write_csv
    from modelway.flow.predicting import predict_rows
    from modelway.flow.sending import words_of

    with opened(where) as workspace, progress(not json) as tell:
        rows = read_table(data, text=words_of(workspace.spec(model)))
        answers = predict_rows(workspace, model, rows, tell)
        write_csv(out, answers.rows)
    if json:
        print_json(answers.summary())
        return
    if answers.local:
        note("no server is running: answered from the same graph in this process (not logged)")
    say(f"{answers.rows.height} rows, {answers.refused} refused with a reason, by {model}@{answers.version} → {out}")


def labels(
    model: Model,
    data: Annotated[
        Path, typer.Option("--data", help="Columns: the model's key, label, and at (when it became known).")
    ],
    where: Where = HERE,
    json: Json = False,
) -> None:
    """Send outcomes that have become known; they take the same road as every event."""
    from modelway import lifecycle
    from modelway.cli.output import print_json, say
    from modelway.files.read import read_table

    with opened(where) as workspace:
        sent = lifecycle.send_labels(workspace, workspace.spec(model), read_table(data))
    if json:
        print_json({"sent": sent})
    else:
        say(f"{sent} labels sent")


def status(
    model: Annotated[str, typer.Argument(help="Name of the model; absent: all.")] = "*",
    following: Annotated[bool, typer.Option("--follow", help="Show the model's release until it is over.")] = False,
    where: Where = HERE,
    json: Json = False,
) -> None:
    """What serves, what is being released, what is wrong."""
    from modelway.cli.following import follow_latest
    from modelway.cli.output import print_json
    from modelway.cli.reports import show_status
    from modelway.flow.reporting import status as look

    with opened(where) as workspace:
        workspace.demand_model(model)
        if following:
            follow_latest(workspace, model, json=json)
            return
        found = look(workspace, None if model == "*" else model)
    if json:
        print_json(found)
    else:
        show_status(found)


def doctor(where: Where = HERE, json: Json = False) -> None:
    """Ping every engine behind this workspace, and look for the topics that its models name."""
    from modelway.cli.output import print_json, table
    from modelway.errors import ModelwayError
    from modelway.workspace import Workspace, find_workspace

    workspace = Workspace(find_workspace(where.resolve()))
    rows = []
    for name, ping in workspace.pings():
        try:
            ping()
            rows.append((name, "answers", ""))
        except ModelwayError as error:
            rows.append((name, error.problem, error.fix))
    rows += _topics(workspace) if ("event log", "answers", "") in rows else []
    workspace.close()
    if json:
        print_json([{"engine": n, "found": f, "fix": x} for n, f, x in rows])
    else:
        table("doctor", ("engine", "found", "fix"), rows)
    if any(found != "answers" for _, found, _ in rows):
        raise typer.Exit(8)


def _topics(workspace: "Workspace") -> list[tuple[str, str, str]]:
    """What is wrong with the topics that specs name; a broken spec is told as such."""
    from modelway.errors import ModelwayError
    from modelway.flow.absent import absent

    rows = []
    for model in workspace.models():
        try:
            rows += [(f"topic {one.topic}", one.problem, one.fix) for one in absent(workspace, workspace.spec(model))]
        except ModelwayError as error:
            rows.append((f"model {model}", error.problem, error.fix))
    return rows


def maintain(where: Where = HERE, json: Json = False) -> None:
    """Compact the lake's files and remove what no version needs; the control loop does so once a day."""
    from modelway import lifecycle
    from modelway.cli.output import print_json, table

    with opened(where) as workspace:
        done = lifecycle.maintain(workspace)
    if json:
        print_json(done)
        return
    heads = ("table", "files before", "files after", "files removed")
    table("maintained", heads, [(name, *counts.values()) for name, counts in done.items()])


def mlflow(
    port: Annotated[int, typer.Option("--port", help="Where the UI listens.")] = 5000, where: Where = HERE
) -> None:
    """Open MLflow's own UI on this workspace's runs (needs the extra `mlflow`)."""
    import importlib.util
    import subprocess
    import sys

    from modelway.cli.output import say
    from modelway.errors import MissingExtraError
    from modelway.workspace import find_workspace

    if importlib.util.find_spec("flask") is None or importlib.util.find_spec("mlflow") is None:
        raise MissingExtraError("MLflow's UI", "mlflow")
    place = find_workspace(where.resolve()).inner / "mlflow" / "mlflow.db"
    say(f"MLflow at http://127.0.0.1:{port}   (Ctrl-C stops it)")
    command = [
        "-m",
        "mlflow",
        "ui",
        "--backend-store-uri",
        f"sqlite:///{place}",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    raise typer.Exit(subprocess.run([sys.executable, *command], check=False).returncode)
