"""A YAML file with the line of every key: YAML 1.2's core, in which `on`, `yes` and `2024-01-01` are text.

Keys are always text, as written; a key that is there twice is a mistake. Numbers with leading zeros are text too: they are codes.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from modelway.errors import NotFoundError, SpecError

Place = tuple[str | int, ...]
"""Where a value stands: `("gates", 0, "metric")`."""
_TAG = "tag:yaml.org,2002:"
_RESOLVED = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)\.[0-9]*|(?:0|[1-9][0-9]*)(?=[eE]))(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)",
        list("-+.0123456789"),
    ),
)


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong at a place of the file, and what to write instead."""

    place: Place
    what: str
    fix: str = ""


@dataclass(frozen=True)
class Document:
    """`value` in plain Python; line (from 1) and, for scalars, text as written by place."""

    path: Path
    value: Any
    lines: dict[Place, int] = field(default_factory=dict)
    texts: dict[Place, str] = field(default_factory=dict)
    mistakes: tuple[Mistake, ...] = ()

    def line(self, place: Place) -> int:
        """The line of the place, or of what holds it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


class _Loader(yaml.SafeLoader):
    """SafeLoader's grammar with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012


for _name, _form, _first in _RESOLVED:
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_form})$"), _first)


def read_document(path: Path) -> Document:
    """The file; raises NotFoundError, and SpecError with the line for what is no YAML."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"{path} does not exist", "modelway new NAME --data FILE --target COLUMN") from error
    except OSError as error:
        raise SpecError(f"{shown(path)}:1: cannot be read: {error.strerror}", "check who may read the file") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{shown(path)}:1: not UTF-8 at byte {error.start}", "save the file as UTF-8") from error
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise SpecError(f"{shown(path)}:{line}: not YAML: {_told(error)}", _fix(error)) from error
    except yaml.YAMLError as error:
        raise SpecError(f"{shown(path)}:1: not YAML: {error}", "save the file as plain text") from error
    return Document(path, None) if root is None else _Reading(path).document(root)


def shown(path: Path) -> str:
    """The path from the working folder where it lies beneath it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path)


def refusal(document: Document, mistakes: Sequence[Mistake]) -> SpecError:
    """All mistakes as one error, a line each, in the order of the file."""
    placed = sorted(dict.fromkeys(mistakes), key=lambda m: document.line(m.place))
    name = shown(document.path)
    told = [f"{name}:{document.line(m.place)}: {_dotted(m.place)}{m.what}" for m in placed]
    if len(placed) == 1:
        return SpecError(told[0], placed[0].fix or f"mend that line of {name}")
    lines = [f"{line}; {m.fix}" if m.fix else line for line, m in zip(told, placed, strict=True)]
    return SpecError("\n".join(lines), f"mend these {len(lines)} mistakes in {name}, each as its line says")


def with_line(error: SpecError, path: Path) -> SpecError:
    """A refusal that names a place in words (`features.x: …`, `contract.x.min: …`), with file and line before it."""
    named = error.problem.removeprefix(f"{path.name}: ")
    document = read_document(path)
    steps = re.findall(r"\[(\d+)\]|([^.\[\]]+)", named.partition(": ")[0])
    place = tuple(int(number) if number else key for number, key in steps)
    return SpecError(f"{shown(path)}:{document.line(place)}: {named}", error.fix)


def dotted(place: Place) -> str:
    """`gates[0].metric`."""
    made = ""
    for part in place:
        made += f"[{part}]" if isinstance(part, int) else f".{part}" if made else part
    return made


def _dotted(place: Place) -> str:
    return f"{dotted(place)}: " if place else ""


def _told(error: yaml.MarkedYAMLError) -> str:
    return " ".join(part for part in (error.context, error.problem) if part)


def _fix(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or ""
    if r"'\t'" in problem or "tab" in problem:
        return "indent with blanks, not with tabs"
    if "mapping values" in problem:
        return 'write each key on a line of its own, and text that holds a colon in quotes: "a: b"'
    return "check quotes, brackets and indentation on that line and the one before"


class _Reading:
    """One pass over the tree of nodes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Place, int] = {}
        self.texts: dict[Place, str] = {}
        self.mistakes: list[Mistake] = []
        self.open: list[yaml.Node] = []

    def document(self, root: yaml.Node) -> Document:
        value = self._value(root, ())
        return Document(self.path, value, self.lines, self.texts, tuple(self.mistakes))

    def _value(self, node: yaml.Node, place: Place) -> Any:
        self.lines.setdefault(place, node.start_mark.line + 1)
        if any(node is other for other in self.open):
            self.mistakes.append(Mistake(place, "an alias that holds itself", "write the value out"))
            return None
        self.open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return dict(self._pairs(node, place))
            if isinstance(node, yaml.ScalarNode):
                return self._scalar(node, place)
            return [self._value(item, (*place, i)) for i, item in enumerate(node.value)]
        finally:
            self.open.pop()

    def _pairs(self, node: yaml.MappingNode, place: Place) -> Iterator[tuple[str, Any]]:
        first: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self.mistakes.append(Mistake(place, f"line {line}: a key must be text", "write KEY: VALUE"))
                continue
            name = key.value
            here = (*place, name)
            if name in first:
                again = f"is there twice, in lines {first[name]} and {line}"
                self.mistakes.append(Mistake(here, again, "keep one of them"))
                continue
            first[name] = line
            self.lines[here] = line
            yield name, self._value(value, here)

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Any:
        self.texts[place] = node.value
        match node.tag.removeprefix(_TAG):
            case "null":
                return None
            case "bool":
                return node.value.lower() == "true"
            case "int" if re.fullmatch(_RESOLVED[2][1], node.value):
                return int(node.value)
            case "float" if re.fullmatch(_RESOLVED[3][1], node.value):
                return float(node.value.lower().replace(".inf", "inf"))
            case "str":
                return node.value
        self.mistakes.append(Mistake(place, f"the tag {node.tag} is not read here", "leave the tag out"))
        return None
