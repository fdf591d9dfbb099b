"""Python functions as features: checked to be pure as far as can be seen, and called row by row, for tables and for servers alike.

The source is part of the plan, so it is versioned with the model by content. The checks guard against mistakes, such as reading
the clock or a file; they are no wall against malice: whoever writes models/ runs code of theirs anyway. Memory and chance are
looked for where a feature is declared (`repeatable.py`).
"""

import ast
import builtins
import math
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from modelway.errors import DataError, SpecError
from modelway.expressions.values import NAN
from modelway.records import Kind

MODULES = (
    "datetime",
    "decimal",
    "fractions",
    "math",
    "re",
    "statistics",
    "string",
    "typing",
    "unicodedata",
    "__future__",
)
_BUILTINS = (
    "abs all any bool bytes chr dict divmod enumerate filter float format frozenset int isinstance iter len list map max min next"
    " ord pow range repr reversed round set slice sorted str sum tuple zip ArithmeticError Exception IndexError KeyError"
    " OverflowError TypeError ValueError ZeroDivisionError True False None"
)
_CLOCK = ("now", "utcnow", "today", "localtime")

Call = Callable[[Sequence[Any]], Any]


def compile_function(source: str, name: str, kind: Kind, feature: str) -> Call:
    """From cells (missing NaN, "" or None) to a cell; raises SpecError for a source that is not pure, with its line.

    The result raises DataError when the function fails, or gives what is no `kind`.
    """
    return calling(_load(source, name, feature), name, kind, feature)


def calling(called: Callable[..., Any], name: str, kind: Kind, feature: str) -> Call:
    """From cells to a cell, by a function that is given None for what is missing."""

    def call(cells: Sequence[Any]) -> Any:
        try:
            return _cell(called(*map(_given, cells)), kind)
        except Exception as error:
            raise DataError(
                f"features.{feature}: {name}({', '.join(repr(_given(cell)) for cell in cells)}): {type(error).__name__}: {error}",
                "let the function give None where it has no answer",
            ) from error

    return call


@lru_cache(maxsize=256)
def _load(source: str, name: str, feature: str) -> Callable[..., Any]:
    found: Callable[..., Any] = fresh_space(source, name, feature)[name]
    return found


def fresh_space(source: str, name: str, feature: str) -> dict[str, Any]:
    """What the names of the source stand for, made anew; raises SpecError unless `name` is a function in it, and all are pure."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise refused(feature, error.lineno or 1, f"not Python: {error.msg}", "mend the line") from error
    for statement in tree.body:
        _demand_definition(statement, feature)
    for node in ast.walk(tree):
        _demand_pure(node, feature)
    functions = [statement.name for statement in tree.body if isinstance(statement, ast.FunctionDef)]
    if name not in functions:
        there = ", ".join(functions) or "none"
        raise refused(feature, 1, f"there is no function {name!r} (there: {there})", f"write def {name}(…): …")
    allowed: dict[str, Any] = {known: getattr(builtins, known) for known in _BUILTINS.split()}
    space: dict[str, Any] = {"__builtins__": {**allowed, "__import__": _import}, "__name__": f"features.{feature}"}
    try:
        exec(compile(tree, f"<features.{feature}>", "exec"), space)
    except Exception as error:
        trace = error.__traceback__.tb_next if error.__traceback__ else None
        raise refused(
            feature, trace.tb_lineno if trace else 1, f"{type(error).__name__}: {error}", "mend the line"
        ) from error
    return space


def _demand_definition(node: ast.stmt, feature: str) -> None:
    plain = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.Assign, ast.AnnAssign)
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    if not isinstance(node, plain) and not text:
        raise refused(
            feature, node.lineno, "only imports, constants and functions may stand here", "put it in a function"
        )


def _demand_pure(node: ast.AST, feature: str) -> None:
    line = getattr(node, "lineno", 1)
    if isinstance(node, ast.Import | ast.ImportFrom):
        named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or "."]
        for name in named:
            if name not in MODULES:
                raise refused(feature, line, f"{name} may not be imported here", f"allowed: {', '.join(MODULES)}")
    elif isinstance(node, ast.Global | ast.Nonlocal | ast.AsyncFunctionDef | ast.Await | ast.Yield | ast.YieldFrom):
        raise refused(feature, line, "a feature depends on its arguments alone, and gives one value", "take it out")
    elif isinstance(node, ast.Attribute) and (node.attr in _CLOCK or node.attr.startswith("__")):
        raise refused(
            feature, line, f".{node.attr} is not allowed: the result would not be the same again", "take it out"
        )
    elif isinstance(node, ast.Name) and (
        node.id.startswith("__") or (_builtin(node.id) and node.id not in _BUILTINS.split())
    ):
        raise refused(
            feature, line, f"{node.id} is not allowed: a feature depends on its arguments alone", "take it out"
        )


def _builtin(name: str) -> bool:
    return hasattr(builtins, name)


def _import(name: str, *more: Any) -> Any:
    return __import__(name, *more)


def refused(feature: str, line: int, what: str, fix: str) -> SpecError:
    """The error that names the feature and a line of its Python file."""
    return SpecError(f"features.{feature}: line {line} of its Python file: {what}", fix)


def _given(cell: Any) -> Any:
    """A cell as the function is given it: missing is None."""
    return None if cell != cell or cell == "" else cell


def _cell(value: Any, kind: Kind) -> Any:
    if kind == "word":
        if value is None or isinstance(value, str):
            return value or ""
        raise TypeError(f"gave {value!r}, and `gives` says a word")
    if value is None:
        return NAN
    if isinstance(value, bool | int | float) and not isinstance(value, datetime):
        number = float(value)
        return number if math.isfinite(number) else NAN
    raise TypeError(f"gave {value!r}, and `gives` says a number")
