"""A graph that a team brings: what it takes, what it gives, and which columns go in where. Nothing is run here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelway.errors import DataError, UnreadableFileError
from modelway.records import Column

if TYPE_CHECKING:
    import onnx

OLDEST = 9
"""The opset from which the operators around a graph are written alike."""
ELEMENTS = {1: "float", 11: "double", 6: "int32", 7: "int64", 8: "string"}
"""Types of inputs that can be fed, by their number in ONNX."""
_FLOATS = (1, 11)


@dataclass(frozen=True, slots=True)
class GraphInput:
    """A tensor that the graph takes: so many columns (None: it does not say), or one column without a second axis (`flat`)."""

    name: str
    element: str
    columns: int | None
    flat: bool

    @property
    def kind(self) -> str:
        return "word" if self.element == "string" else "number"


@dataclass(frozen=True, slots=True)
class TeamGraph:
    """`onnx` has one output, `scores`; a ZipMap at its end is taken off. `labels` are the classes of its columns, if it says."""

    onnx: bytes
    opset: int
    inputs: tuple[GraphInput, ...]
    scores: str
    columns: int | None
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Feed:
    """Which columns, in which order, make the tensor of one input."""

    input: GraphInput
    columns: tuple[str, ...]


def read_graph(data: bytes, file: str, output: str = "") -> TeamGraph:
    """What a graph is; `output` names the one with the scores where there are several. `file` stands in errors.

    Raises UnreadableFileError when it is no ONNX, DataError when it cannot be fed with rows.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise UnreadableFileError(f"{file} is no ONNX file", "bring the file that the exporter wrote") from error
    if not model.graph.output:
        raise UnreadableFileError(f"{file} is no ONNX file: it has no output", "bring the file that the exporter wrote")
    _demand_whole(model, file)
    opset = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), OLDEST)
    if opset < OLDEST:
        raise DataError(f"{file} is of opset {opset}", f"export it with opset {OLDEST} or later")
    inputs = tuple(_inputs(model, file))
    labels = _labels(model)
    scores, columns = _cut(model, file, output)
    return TeamGraph(model.SerializeToString(), opset, inputs, scores, columns, labels)


def feeds_of(graph: TeamGraph, columns: Sequence[Column], file: str) -> tuple[Feed, ...]:
    """Each column goes into one input: by its name, else in the order of the columns, numbers and words apart.

    For those who know that order: a spec does not keep it (see `feeds_named`). Raises DataError when they do not fit.
    """
    named = {column.name: column.kind for column in columns}
    own = {i.name for i in graph.inputs if i.columns in (1, None) and named.get(i.name) == i.kind}
    left = {kind: [c.name for c in columns if c.kind == kind and c.name not in own] for kind in ("number", "word")}
    feeds = []
    for one in graph.inputs:
        if one.name in own:
            feeds.append(Feed(one, (one.name,)))
            continue
        rest = left[one.kind]
        wanted = len(rest) if one.columns is None else one.columns
        if len(rest) < wanted or not wanted:
            raise _unfitting(graph, columns, file)
        feeds.append(Feed(one, tuple(rest[:wanted])))
        left[one.kind] = rest[wanted:]
    if any(left.values()):
        raise _unfitting(graph, columns, file)
    return tuple(feeds)


def feeds_named(
    graph: TeamGraph, columns: Sequence[Column], file: str, inputs: Mapping[str, Sequence[str]]
) -> tuple[Feed, ...]:
    """The columns of each input as `inputs` names them; an input of one column need not be named. Raises DataError."""
    kinds = {column.name: column.kind for column in columns}
    if unnamed := [i.name for i in graph.inputs if i.name not in inputs and i.name not in kinds]:
        raise DataError(
            f"which columns, in which order, go into {', '.join(unnamed)} of {file}?",
            f"name them in build of model.py: inputs={{{unnamed[0]!r}: [{', '.join(map(repr, list(kinds)[:3]))}, …]}}",
        )
    feeds = tuple(Feed(i, tuple(inputs.get(i.name, (i.name,)))) for i in graph.inputs)
    taken = [(name, feed.input) for feed in feeds for name in feed.columns]
    fitting = all(kinds.get(name) == i.kind for name, i in taken)
    wide = all(feed.input.columns in (None, len(feed.columns)) for feed in feeds)
    if not (fitting and wide) or sorted(name for name, _ in taken) != sorted(kinds):
        raise _unfitting(graph, columns, file)
    return feeds


def told_inputs(graph: TeamGraph) -> str:
    """`amount (double), country (string), x (30 of float)`."""
    shown = (
        f"{i.name} ({i.element})" if i.columns == 1 else f"{i.name} ({i.columns or 'any number'} of {i.element})"
        for i in graph.inputs
    )
    return ", ".join(shown)


def _unfitting(graph: TeamGraph, columns: Sequence[Column], file: str) -> DataError:
    there = ", ".join(f"{c.name} ({c.kind})" for c in columns[:40])
    return DataError(
        f"the columns do not fit {file}: it takes {told_inputs(graph)}; there are {there}",
        "leave out columns with data.ignore, or name them as the graph's inputs are named",
    )


def _demand_whole(model: "onnx.ModelProto", file: str) -> None:
    if any(tensor.data_location == 1 for tensor in model.graph.initializer):
        raise DataError(f"{file} keeps its weights in another file", "save it as one file: save_as_external_data=False")


def _inputs(model: "onnx.ModelProto", file: str) -> Iterator[GraphInput]:
    held = {tensor.name for tensor in model.graph.initializer}
    for one in model.graph.input:
        if one.name in held:
            continue
        tensor = one.type.tensor_type
        element = ELEMENTS.get(tensor.elem_type)
        if element is None:
            raise DataError(
                f"the input {one.name} of {file} is of a type that rows cannot have (number {tensor.elem_type} in ONNX)",
                f"export it with inputs of {', '.join(ELEMENTS.values())}",
            )
        sizes = _sizes(tensor)
        if len(sizes) not in (1, 2) or sizes[0] is not None:
            shape = f"[{', '.join('?' if size is None else str(size) for size in sizes)}]"
            raise DataError(
                f"the input {one.name} of {file} has the shape {shape}: a row is one of any number",
                "export it with the shape [any, columns]: dynamic_axes={'x': {0: 'rows'}} in PyTorch",
            )
        yield GraphInput(one.name, element, 1 if len(sizes) == 1 else sizes[1], len(sizes) == 1)


def _sizes(tensor: Any) -> list[int | None]:
    """The axes; None for one of any length."""
    return [axis.dim_value if axis.HasField("dim_value") and axis.dim_value > 0 else None for axis in tensor.shape.dim]


def _cut(model: "onnx.ModelProto", file: str, output: str) -> tuple[str, int | None]:
    """Leave the output with the scores alone; returns its name and its columns."""
    import onnx

    makers = {name: node for node in model.graph.node for name in node.output}
    usable: dict[str, tuple[str, int | None]] = {}
    for one in model.graph.output:
        maker = makers.get(one.name)
        if maker is not None and maker.op_type == "ZipMap":
            usable[one.name] = (maker.input[0], None)
        elif one.type.tensor_type.elem_type in _FLOATS:
            sizes = _sizes(one.type.tensor_type)
            usable[one.name] = (one.name, 1 if len(sizes) == 1 else sizes[1] if len(sizes) == 2 else None)
    chosen = [output] if output else [*usable] if len(usable) == 1 else [n for n in usable if "prob" in n.lower()]
    if len(chosen) != 1 or chosen[0] not in usable:
        there = ", ".join(one.name for one in model.graph.output)
        problem = f"which output of {file} are the scores? It has {there}; numbers are {', '.join(usable) or 'none'}"
        raise DataError(problem, "name it: output='…' in build of model.py, or --output")
    scores, columns = usable[chosen[0]]
    element = next((o.type.tensor_type.elem_type for o in model.graph.output if o.name == scores), 1)
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info(scores, element, None))
    kept = [node for node in model.graph.node if node.op_type != "ZipMap"]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return scores, columns


def _labels(model: "onnx.ModelProto") -> tuple[str, ...]:
    """The classes that a classifier of ai.onnx.ml names, if all that do name the same."""
    found = set()
    for node in model.graph.node:
        for one in node.attribute:
            if one.name == "classlabels_int64s" and one.ints:
                found.add(tuple(str(label) for label in one.ints))
            elif one.name == "classlabels_strings" and one.strings:
                found.add(tuple(label.decode() for label in one.strings))
    return found.pop() if len(found) == 1 else ()
