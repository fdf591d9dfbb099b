"""A model project around a graph that a team brings: its inputs become the contract, and nothing is left to learn."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from modelway.errors import DataError, NotFoundError, UsageError
from modelway.files.onnx import Feed, GraphInput, TeamGraph, feeds_of, read_graph, told_inputs
from modelway.records import Column, Task
from modelway.scaffold import roles
from modelway.scaffold.columns import Facts, facts_of
from modelway.scaffold.decisions import Decision, Decisions, named
from modelway.scaffold.look import Ignored, Look
from modelway.scaffold.new import Created, demand_place, named_file, write_project
from modelway.scaffold.spec_text import NOTHING_LEARNED, spec_text
from modelway.scaffold.target import Target, target_of
from modelway.scaffold.yaml_text import flow, scalar

GRAPH = "model.onnx"
_POSITIVE = {"1", "yes", "y", "true", "positive"}
_TYPES = {"string": "string", "int32": "int", "int64": "int"}


def brought_project(
    root: Path,
    model: str,
    file: Path,
    target: str,
    *,
    data: Path | None = None,
    frame: pl.DataFrame | None = None,
    output: str = "",
    overwrite: bool = False,
) -> Created:
    """Write `models/<model>/` around the graph in `file`; the contract comes from the rows of `data`, read as `frame`.

    Without them it has the graph's inputs alone, and rows are awaited on a topic of the model's name. Raises UsageError,
    UnreadableFileError for a file that is no ONNX, DataError for a graph that cannot be fed with such rows.
    """
    try:
        graph_bytes = file.read_bytes()
    except OSError as error:
        raise NotFoundError(f"{file} cannot be read: {error.strerror}", "name the graph with --onnx") from error
    graph = read_graph(graph_bytes, file.name, output)
    demand_place(root, model, overwrite)
    if data is None or frame is None:
        task, spec, decisions = _awaited(model, graph, target)
        columns, places, classes = _named_inputs(graph), None, graph.labels
    else:
        found = look_with(frame, target, graph, file.name)
        task, decisions = found.target.task, found.decisions
        spec = spec_text(model, named_file(data, root), found, brought=True)
        columns, classes = _columns(found.used), classes_of(found.target)
        places, more = _places(graph, classes)
        decisions = Decisions((*decisions.made, *more))
    texts: dict[str, str | bytes] = {
        "modelway.yaml": spec,
        "model.py": _model_text(model, task, feeds_of(graph, columns, file.name), output, places, classes),
        "tests/test_model.py": _TEST.format(model=model, graph=GRAPH, columns=_listed(columns)),
        GRAPH: graph_bytes,
    }
    write_project(root, model, texts)
    return Created(model, task, tuple(f"models/{model}/{name}" for name in texts), decisions)


def look_with(frame: pl.DataFrame, target_name: str, graph: TeamGraph, file: str) -> Look:
    """The columns that the graph takes by name, or, where it takes a tensor of many, all but key, event time and target."""
    if target_name not in frame.columns:
        raise UsageError(
            f"there is no column {target_name!r}; there are {named(frame.columns, 20)}", "name one with --target"
        )
    target = target_of(facts_of(frame[target_name]))
    columns = [facts_of(frame[name]) for name in frame.columns if name != target_name]
    wanted = {one.name for one in graph.inputs if one.columns in (1, None)}
    by_name = [c for c in columns if c.name in wanted]
    free = [c for c in columns if c not in by_name]
    found = roles.identifier(free, None)
    key = found[0] if found else None
    moment, _ = roles.event_time([c for c in free if c is not key], target)
    rest = [c for c in free if c is not key and c is not moment]
    all_named = len(by_name) == len(graph.inputs)
    used = tuple(by_name if all_named else [*by_name, *rest])
    try:
        feeds = feeds_of(graph, _columns(used), file)
    except DataError as error:
        raise DataError(
            error.problem, "leave the others out of the file, or name columns as the inputs are named"
        ) from error
    ignored = tuple(Ignored(c.name, f"{file} has no such input") for c in rest) if all_named else ()
    told = [f"{feed.input.name}: {named(feed.columns)}" for feed in feeds]
    decisions = (
        *target.decisions,
        Decision(
            "model", f"the graph of {file}, opset {graph.opset}", "it is taken as it is: nothing is learned", "--onnx"
        ),
        Decision(
            "inputs", "; ".join(told), "by name" if all_named else "in the order of the file", "the file's columns"
        ),
        Decision(
            "identifier",
            key.name if key else "none: rows are known by their content",
            found[1] if found else "",
            "data.key",
        ),
        *((Decision("event time", moment.name, "the latest rows are held out", "data.event_time"),) if moment else ()),
        *(
            (Decision(named([i.name for i in ignored]), "ignored", f"{file} has no such input", "the graph"),)
            if ignored
            else ()
        ),
    )
    return Look(target, key, moment, used, ignored, Decisions(decisions))


def classes_of(target: Target) -> tuple[str, ...]:
    """The classes in the order of a version's scores: the positive one of two is the last."""
    names = sorted(target.counts)
    if target.task == "binary":
        last = target.positive or next(name for name in names if name.casefold() in _POSITIVE)
        return (next(name for name in names if name != last), last)
    try:
        return tuple(sorted(names, key=lambda name: (float(name), name)))
    except ValueError:
        return tuple(names)


def _places(graph: TeamGraph, classes: Sequence[str]) -> tuple[list[int] | None, list[Decision]]:
    """The graph's column of each class; None where they are in the same order, or there is one column."""
    if not classes or graph.columns == 1:
        return None, []
    known = set(graph.labels) == set(classes)
    order = graph.labels if known else _sorted(classes)
    places = [order.index(name) for name in classes]
    why = "the graph names them so" if known else "assumed: the graph does not name them, and exporters sort them"
    told = ", ".join(f"column {order.index(name)} is {name}" for name in order)
    return places, [Decision("scores", told, why, "scores=[…] in build of model.py")]


def _sorted(names: Sequence[str]) -> tuple[str, ...]:
    try:
        return tuple(sorted(names, key=float))
    except ValueError:
        return tuple(sorted(names))


def _columns(used: Sequence[Facts]) -> tuple[Column, ...]:
    return tuple(Column(c.name, "word" if c.word else "number") for c in used)


def _named_inputs(graph: TeamGraph) -> tuple[Column, ...]:
    return tuple(Column(name, "word" if i.kind == "word" else "number") for i in graph.inputs for name in _names(i))


def _names(one: GraphInput) -> list[str]:
    if one.columns == 1:
        return [one.name]
    if one.columns is None:
        raise DataError(
            f"the graph does not say how many columns its input {one.name} has: {one.element} of any number",
            "give rows with --data FILE, or export it with a fixed number of columns",
        )
    return [f"{one.name}_{place + 1}" for place in range(one.columns)]


def _awaited(model: str, graph: TeamGraph, target: str) -> tuple[Task, str, Decisions]:
    """A spec without rows: they are to come, with their target, on the topic of the model's name."""
    width = len(graph.labels) or graph.columns or 1
    task: Task = "regression" if width == 1 else "binary" if width == 2 else "multiclass"
    rule: Mapping[str, object] = {"type": "float"} if task == "regression" else {"type": "string"}
    types = {name: _TYPES.get(i.element, "float") for i in graph.inputs for name in _names(i)}
    lines = [
        f"# Written by `modelway new` from the graph's inputs alone. `modelway run {model}` needs rows with their target:",
        f"# send them to the topic {model}, or name files: source: {{files: [FILE]}}.",
        f"model: {model}",
        f"task: {task}",
        f"data: {flow({'source': model, 'target': target})}",
        "",
        "contract:",
        *(f"  {scalar(name)}: {flow({'type': kind})}" for name, kind in types.items()),
        f"  {scalar(target)}: {flow(rule)}",
        "",
        *NOTHING_LEARNED,
    ]
    decision = Decision(
        "task", task, f"the graph gives {width} score{'' if width == 1 else 's'} a row", "task in modelway.yaml"
    )
    inputs = Decision("inputs", told_inputs(graph), "they are the contract", "contract in modelway.yaml")
    return task, "\n".join(lines) + "\n", Decisions((decision, inputs))


def _listed(columns: Sequence[Column]) -> str:
    return repr([(column.name, column.kind) for column in columns])


def _model_text(
    model: str, task: Task, feeds: Sequence[Feed], output: str, places: list[int] | None, classes: Sequence[str]
) -> str:
    name = "BroughtRegressor" if task == "regression" else "BroughtClassifier"
    wide = {feed.input.name: list(feed.columns) for feed in feeds if feed.columns != (feed.input.name,)}
    lines = [f"    {_quoted(place)}: [{', '.join(map(_quoted, columns))}]," for place, columns in wide.items()]
    listed = "\n".join(["INPUTS = {", *lines, "}"]) if wide else "INPUTS = {}"
    more = f", output={_quoted(output)}" if output else ""
    more += f", scores={places}" if places is not None else ""
    told = f"  # the graph's column of each class: {', '.join(classes)}" if places is not None else ""
    return _MODEL.format(model=model, name=name, graph=GRAPH, inputs=listed, more=more, told=told)


def _quoted(text: str) -> str:
    """As Python reads it, in double quotes."""
    return json.dumps(text, ensure_ascii=False)


_MODEL = '''\
"""{model}: a graph that was brought, taken as it is: `fit` learns nothing, it sees whether the graph can answer such rows."""

from pathlib import Path

from modelway.training.brought import {name}

GRAPH = Path(__file__).with_name("{graph}")
{inputs}


def build(params):
    return {name}(GRAPH, INPUTS{more}){told}
'''

_TEST = '''\
"""pytest models/{model}: the graph can be read, and takes the columns of the contract."""

from pathlib import Path
from runpy import run_path

from modelway.files.onnx import feeds_named, read_graph
from modelway.records import Column

GRAPH = Path(__file__).parents[1] / "{graph}"
INPUTS = run_path(str(Path(__file__).parents[1] / "model.py"))["INPUTS"]
COLUMNS = [Column(*one) for one in {columns}]


def test_each_column_has_its_input():
    feeds = feeds_named(read_graph(GRAPH.read_bytes(), GRAPH.name), COLUMNS, GRAPH.name, INPUTS)
    assert sorted(name for feed in feeds for name in feed.columns) == sorted(column.name for column in COLUMNS)
'''
