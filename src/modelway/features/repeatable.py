"""Whether a Python feature gives the same again: what its text and its names show of memory and chance, and a trial on made rows.

Asked where a feature is declared. A version that is registered is served from the text that was looked at then.
"""

import ast
import inspect
import random
from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence, MutableSet, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from types import ModuleType
from typing import Any

from modelway.errors import DataError
from modelway.expressions.values import NAN, Nature
from modelway.features.functions import MODULES, Call, calling, fresh_space, refused
from modelway.records import Kind

MADE_ROWS = 48
_CHANCE = ("samples", "getcontext", "setcontext")
"""Names that are in modules that may be imported, and draw by chance or change what all calls share."""
_CHANGES = (
    "add append clear difference_update discard extend insert intersection_update pop popitem remove reverse setdefault sort"
    " symmetric_difference_update update"
)
"""Methods that change what they are called on."""
_CHANGEABLE = (MutableMapping, MutableSequence, MutableSet)
_ONCE = "a value that is used up or changed by one call is not the same at the next"
_POOLS: Mapping[Nature, tuple[Any, ...]] = {
    "number": (NAN, 0.0, 1.0, 2.0, 3.0, 0.5, -1.0, 10.0, 17.25, 100.0, 12345.0),
    "word": ("", "a", "b", "A", "DE", "x y", "17"),
    "moment": (
        None,
        datetime(2024, 1, 1, tzinfo=UTC),
        datetime(2024, 2, 29, 12, 30, tzinfo=UTC),
        datetime(2025, 7, 5, 23, 59, 59, 999_999, tzinfo=UTC),
    ),
}


@lru_cache(maxsize=256)
def demand_repeatable(source: str, name: str, kind: Kind, feature: str, given: tuple[tuple[Any, ...], ...]) -> None:
    """Raise SpecError for a function that cannot take as many columns, or would not give the same again; `given`: values to try."""
    tree = ast.parse(source)
    space = fresh_space(source, name, feature)
    defined = _defined(tree, name)
    _demand_arguments(space[name], defined, len(given), feature)
    for line, what, fix in _remembered(tree, space):
        raise refused(feature, line, what, fix)
    _demand_same(source, name, kind, feature, _made(given), defined.lineno)


def values_to_try(nature: Nature, least: Any = None, most: Any = None, words: Sequence[Any] = ()) -> tuple[Any, ...]:
    """Values of a nature within the bounds of its column, what is missing among them."""
    if nature == "number":
        low, high = (bound if isinstance(bound, int | float) else None for bound in (least, most))
        ends = tuple(float(bound) for bound in (low, high) if bound is not None)
        inside = (x for x in _POOLS["number"] if x != x or ((low is None or x >= low) and (high is None or x <= high)))
        return (*inside, *ends)
    if nature == "word" and (listed := tuple(word for word in words if isinstance(word, str))):
        return ("", *listed[:50])
    return _POOLS[nature]


def _defined(tree: ast.Module, name: str) -> ast.FunctionDef:
    """The last one of that name, as when the file is run."""
    return [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name][-1]


def _demand_arguments(function: Any, defined: ast.FunctionDef, count: int, feature: str) -> None:
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError as error:
        takes = f"{defined.name}({ast.unparse(defined.args)})"
        columns = "one column" if count == 1 else f"{count} columns"
        raise refused(
            feature,
            defined.lineno,
            f"{takes} is given {columns}, those of `uses`: {error}",
            "name as many columns in `uses` as the function takes, in its order",
        ) from error


def _remembered(tree: ast.Module, space: Mapping[str, Any]) -> Iterator[tuple[int, str, str]]:
    """By line what the text and the names show of memory and chance, with the way out."""
    named = _names(tree)
    for name, line in named.items():
        if hasattr(space.get(name), "__next__"):
            yield line, f"{name}: {_ONCE}", "write a tuple"
        if isinstance(module := space.get(name), ModuleType) and not _allowed(module):
            yield (
                line,
                f"{name} is the module {module.__name__}, which may not be used",
                f"allowed: {', '.join(MODULES)}",
            )
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            yield from _defaults(node, space)
        if isinstance(node, ast.Attribute):
            yield from _attribute(node, space)
        if isinstance(node, ast.ImportFrom):
            yield from (_chance(node.lineno, alias.name) for alias in node.names if alias.name in _CHANCE)
    for function in tree.body:
        if isinstance(function, ast.FunctionDef):
            yield from _writes(function, named, space)


def _names(tree: ast.Module) -> dict[str, int]:
    """The names that the file gives, with their lines; what stands in a function is not among them."""
    found: dict[str, int] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            found |= {(one.asname or one.name).partition(".")[0]: statement.lineno for one in statement.names}
        elif isinstance(statement, ast.FunctionDef):
            found[statement.name] = statement.lineno
        else:
            stored = (n for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
            found |= {node.id: node.lineno for node in stored}
    return found


def _defaults(node: ast.FunctionDef | ast.Lambda, space: Mapping[str, Any]) -> Iterator[tuple[int, str, str]]:
    for default in (*node.args.defaults, *(one for one in node.args.kw_defaults if one is not None)):
        held = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp)
        makers = ("list", "dict", "set", "iter", "enumerate", "filter", "map", "reversed", "zip")
        called = default.func if isinstance(default, ast.Call) else None
        shared = isinstance(default, ast.Name) and isinstance(space.get(default.id), _CHANGEABLE)
        if isinstance(default, held) or shared or (isinstance(called, ast.Name) and called.id in makers):
            yield (
                default.lineno,
                f"the default {ast.unparse(default)} is one and the same for all calls: the next one sees what a call leaves in it",
                "write None, and make it in the function",
            )


def _attribute(node: ast.Attribute, space: Mapping[str, Any]) -> Iterator[tuple[int, str, str]]:
    if node.attr in _CHANCE:
        yield _chance(node.lineno, node.attr)
    owner = space.get(node.value.id) if isinstance(node.value, ast.Name) else None
    held = getattr(owner, node.attr, None) if isinstance(owner, ModuleType) else None
    if isinstance(held, ModuleType) and not _allowed(held):
        told = f"{ast.unparse(node)} is the module {held.__name__}, which may not be used"
        yield node.lineno, told, f"allowed: {', '.join(MODULES)}"


def _chance(line: int, name: str) -> tuple[int, str, str]:
    return line, f"{name} is not allowed: the result would not be the same again", "take it out"


def _allowed(module: ModuleType) -> bool:
    return module.__name__ in MODULES


def _writes(
    function: ast.FunctionDef, named: Mapping[str, int], space: Mapping[str, Any]
) -> Iterator[tuple[int, str, str]]:
    """Where a function changes what a name of the file holds."""
    own = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    own |= {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            root = _root(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES.split():
            root = _root(node.func)
            root = root if isinstance(space.get(root), _CHANGEABLE) else ""
        else:
            continue
        if root in named and root not in own:
            told = f"{ast.unparse(node)} changes {root}, which all calls share"
            yield (
                node.lineno,
                f"{told}: the result would depend on earlier calls",
                f"leave {root} as it is, or take a copy",
            )


def _root(node: ast.expr) -> str:
    """The name that `name.a[0].b` begins with; "" for another thing."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _made(given: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Rows of values to try, the same each time; some are there twice."""
    draw = random.Random(0)
    rows = [tuple(draw.choice(values) for values in given) for _ in range(MADE_ROWS)]
    return [*rows, *rows[: MADE_ROWS // 4]]


def _demand_same(source: str, name: str, kind: Kind, feature: str, rows: Sequence[tuple[Any, ...]], line: int) -> None:
    """Raise when two computations of the rows differ: the second backwards, by a function that is made anew."""
    first, second = (calling(fresh_space(source, name, feature)[name], name, kind, feature) for _ in range(2))
    forth = [_outcome(first, row) for row in rows]
    back = [_outcome(second, row) for row in reversed(rows)][::-1]
    for row, one, other in zip(rows, forth, back, strict=True):
        if one != other:
            told = ", ".join("None" if cell != cell or cell == "" else repr(cell) for cell in row)
            raise refused(
                feature,
                line,
                f"{name}({told}) gave {one}, and {other} when the same rows were computed again in another order",
                "let it depend on its arguments alone: no memory of earlier calls, no chance",
            )


def _outcome(call: Call, row: Sequence[Any]) -> str:
    """What comes of a call, in words; a made row may be one that the function has no answer for."""
    try:
        return repr(call(row))
    except DataError as error:
        return type(error.__cause__).__name__
