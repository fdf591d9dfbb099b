"""init, new, check, explain: from an empty folder to a model project."""

from pathlib import Path
from typing import Annotated

import typer

from modelway.cli.context import HERE, Json, Model, Where, opened

STACK = """\
# Which engine stands behind each port; everything that is not named is embedded in this folder.
# serving: {host: 127.0.0.1, port: 8080}      # port 0 takes a free one
# tracking: http://mlflow:5000                # an MLflow server instead of the SQLite file
# state: postgresql+psycopg://modelway@db/modelway
"""


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Example: modelway init bank")(init)
    app.command(epilog="Example: modelway new loans --data ../train.csv --target BAD [--onnx model.onnx]")(new)
    app.command(epilog="Example: modelway check loans")(check)
    app.command(epilog="Example: modelway explain loans")(explain)


def init(folder: Annotated[Path, typer.Argument(help="The folder to make.")] = HERE, json: Json = False) -> None:
    """Make a workspace: a folder that holds the models and the state of one installation."""
    from modelway.cli.output import print_json, say
    from modelway.workspace import create_workspace

    workspace = create_workspace(folder, STACK)
    workspace.close()
    if json:
        print_json({"workspace": str(workspace.places.root)})
        return
    say(f"workspace {workspace.places.root}")
    step = f"cd {folder} && " if folder != HERE else ""
    say(f"next: {step}modelway new NAME --data FILE --target COLUMN")


def new(
    model: Model,
    target: Annotated[str, typer.Option("--target", help="The column to predict.")],
    data: Annotated[Path | None, typer.Option("--data", help="CSV (also .gz), Parquet or NDJSON.")] = None,
    onnx: Annotated[Path | None, typer.Option("--onnx", help="A graph of your own, taken as it is.")] = None,
    output: Annotated[str, typer.Option("--output", help="The graph's output with the scores.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing project.")] = False,
    where: Where = HERE,
    json: Json = False,
) -> None:
    """Look at a data file, or a graph (--onnx), and write a model project: spec, model.py and a test; say what was decided."""
    from modelway.cli.output import print_json, say, table
    from modelway.errors import UsageError
    from modelway.files.heads import heads_of
    from modelway.files.read import read_table
    from modelway.scaffold.brought import brought_project
    from modelway.scaffold.new import new_project
    from modelway.workspace import find_workspace

    places = find_workspace(where.resolve())
    frame = read_table(data) if data is not None else None
    if onnx is not None:
        created = brought_project(
            places.root, model, onnx, target, data=data, frame=frame, output=output, overwrite=overwrite
        )
    elif data is None or frame is None:
        raise UsageError(
            "neither a data file nor a graph is named", "add --data FILE, or --onnx FILE for a graph of your own"
        )
    else:
        heads = heads_of(data)
        created = new_project(places.root, model, data, target, frame=frame, heads=heads, overwrite=overwrite)
    if json:
        print_json(created)
        return
    table(f"{model}: what was decided", ("about", "decision", "why", "to change it"), created.decisions.rows())
    for path in created.files:
        say(f"wrote {path}")
    say(f"next: modelway run {model}")


def check(model: Model, where: Where = HERE, json: Json = False) -> None:
    """Check the spec, its topics, the stack and model.py, and data files for the target and for columns that are there twice."""
    from modelway.cli.output import note, print_json, say
    from modelway.errors import EngineError
    from modelway.flow.absent import absent
    from modelway.flow.opening import code_of, planned
    from modelway.flow.targets import demand_single_columns, demand_there

    with opened(where) as workspace:
        spec = workspace.spec(model)
        plan = planned(workspace, model)
        code = code_of(workspace, spec)
        demand_there(workspace, spec)
        demand_single_columns(workspace, spec)
        names = [column.name for column in plan.columns]
        try:
            unsound = [f"{one.problem}\n  fix: {one.fix}" for one in absent(workspace, spec)]
        except EngineError as error:
            unsound = [f"whether its topics are there could not be seen: {error.problem}"]
    for told in unsound:
        note(told)
    if json:
        print_json({"model": model, "task": spec.task, "columns": names, "code": code})
        return
    who = f"it asks {', '.join(spec.compose.places)}" if spec.compose else "model.py builds an estimator"
    say(f"{model}: the spec is sound; {len(names)} columns enter the model; {who}")
    say(f"next: modelway run {model}")


def explain(model: Model, where: Where = HERE, json: Json = False) -> None:
    """Show every setting with its value, where it comes from, and what it means; and the margins' power calculation."""
    from modelway.cli.output import print_json, say, table
    from modelway.lifecycle import explain_margins
    from modelway.spec.explain import explain as explain_spec

    with opened(where) as workspace:
        spec = workspace.spec(model)
        rows = explain_spec(spec, workspace.places.spec(model))
        margins = explain_margins(workspace, spec)
    if json:
        print_json({"settings": rows, "margins": margins})
        return
    table(
        f"{model}: settings", ("key", "value", "from", "meaning"), [(r.key, r.value, r.origin, r.meaning) for r in rows]
    )
    for words in margins:
        say(words)
