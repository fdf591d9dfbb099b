"""What an expression means: the functions, what they take and give, and a check of every node before anything is compiled.

The law, which both compilers keep:
- A number that is not finite is missing, and so is a result that is not: division by 0, an overflow, log(x ≤ 0),
  log1p(x ≤ −1), sqrt(x < 0), a power that is not real.
- A missing operand gives a missing result; so does a comparison, and `if` with a missing condition.
- `and` and `or` know three values: false and missing is false, true or missing is true; otherwise missing is missing.
- `is_missing` is always 1 or 0, `coalesce` takes the first value that is there. Conditions give 1 and 0; not 0 is true.
- `round` goes away from zero at halves. `%` has the sign of the divisor. Monday is weekday 0. Times are UTC.
- Words are equal or not; they have no order. "" is the missing word.
"""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from modelway.expressions.grammar import MINUS, Call, Literal, Name, Node, parse, refusal
from modelway.expressions.values import Nature, as_moment


@dataclass(frozen=True, slots=True)
class Function:
    """`takes`: natures of the operands, "same" for any but all alike; the last one repeats up to `most`."""

    takes: tuple[str, ...]
    gives: str
    least: int
    most: int
    example: str


def _number(example: str, count: int = 1, most: int | None = None) -> Function:
    return Function(("number",), "number", count, most or count, example)


def _of_moment(name: str) -> Function:
    return Function(("moment",), "number", 1, 1, f"{name}(at)")


MANY = 20
FUNCTIONS: Mapping[str, Function] = {
    **{name: _number(f"{name}(amount)") for name in ("abs", "log", "log1p", "exp", "sqrt", "floor")},
    "round": _number("round(amount)"),
    "min": _number("min(a, b)", 2, MANY),
    "max": _number("max(a, b)", 2, MANY),
    **{name: _of_moment(name) for name in ("hour", "weekday", "month", "day", "year")},
    "days_between": Function(("moment",), "number", 2, 2, "days_between(opened, at)"),
    "lower": Function(("word",), "word", 1, 1, "lower(city)"),
    "length": Function(("word",), "number", 1, 1, "length(city)"),
    "is_missing": Function(("any",), "number", 1, 1, "is_missing(income)"),
    "coalesce": Function(("same",), "same", 2, MANY, "coalesce(income, 0)"),
    "if_missing": Function(("same",), "same", 2, 2, "if_missing(income, 0)"),
    "if": Function(("number", "same", "same"), "same", 3, 3, "if(amount > 5, 1, 0)"),
}
OPERATORS: Mapping[str, Function] = {
    **{sign: _number(f"a {sign} b", 2) for sign in ("+", "-", "*", "/", "%", "**", "and", "or")},
    MINUS: _number("-a"),
    "not": _number("not a"),
    **{sign: Function(("ordered",), "number", 2, 2, f"a {sign} b") for sign in ("<", "<=", ">", ">=")},
    **{sign: Function(("same",), "number", 2, 2, f"a {sign} b") for sign in ("==", "!=")},
    "in": Function(("same",), "number", 2, 1_000, 'a in ["x", "y"]'),
}


@dataclass(frozen=True, slots=True)
class Meaning:
    """A checked expression: its tree, its nature and the columns that it uses, in order of appearance."""

    tree: Node
    nature: Nature
    uses: tuple[str, ...]


def read(text: str, feature: str, columns: Mapping[str, Nature]) -> Meaning:
    """Parse and check; raises SpecError with a caret and, for an unknown name, the nearest known one."""
    meaning = _meaning(text, feature, columns)
    if meaning.nature == "moment":
        raise refusal(feature, text, meaning.tree.place, "a feature is a number or a word, not a time", _TIMES)
    return meaning


def read_condition(text: str, check: str, columns: Mapping[str, Nature], truths: Collection[str]) -> Meaning:
    """The same of what must hold of a row; raises SpecError where it is no truth. `truths`: columns that are true or false."""
    meaning = _meaning(text, check, columns)
    if (odd := _untrue(meaning.tree, text, truths)) is not None:
        told = f"what must hold of a row is true or false, and this is {_ARTICLES[meaning.nature]}"
        raise refusal(check, text, odd.place, told, _CONDITIONS)
    return meaning


def _meaning(text: str, feature: str, columns: Mapping[str, Nature]) -> Meaning:
    tree = parse(text, feature)
    checked, nature = _checked(tree, _Place(text, feature, columns))
    return Meaning(checked, nature, tuple(dict.fromkeys(names(tree))))


def _untrue(node: Node, text: str, truths: Collection[str]) -> Node | None:
    """The part of an expression that gives something else than true or false; None when none does."""
    if isinstance(node, Name):
        return None if node.name in truths else node
    if isinstance(node, Literal):
        return None if text[node.place :].lower().startswith(("true", "false")) else node
    if node.function in _TRUTHS:
        return None
    if node.function not in _EITHER:
        return node
    given = node.given[1:] if node.function == "if" else node.given
    return next((odd for one in given if (odd := _untrue(one, text, truths)) is not None), None)


_TRUTHS = ("<", "<=", ">", ">=", "==", "!=", "in", "and", "or", "not", "is_missing")
_EITHER = ("if", "coalesce", "if_missing")
"""These give what they are given."""
_CONDITIONS = "compare it with something, for example amount <= limit"


def names(tree: Node) -> list[str]:
    """The columns of a tree, in order of appearance."""
    if isinstance(tree, Call):
        return [name for node in tree.given for name in names(node)]
    return [tree.name] if isinstance(tree, Name) else []


_TIMES = "take hour(…), weekday(…), month(…), year(…) or days_between(…, …) of it"


@dataclass(frozen=True, slots=True)
class _Place:
    text: str
    feature: str
    columns: Mapping[str, Nature]


def _checked(node: Node, where: _Place) -> tuple[Node, Nature]:
    if isinstance(node, Literal):
        return node, "word" if isinstance(node.value, str) else "number"
    if isinstance(node, Name):
        nature = where.columns.get(node.name)
        if nature is None:
            raise _unknown("column", node.name, node.place, where.columns, where)
        return node, nature
    form = FUNCTIONS.get(node.function) or OPERATORS.get(node.function)
    if form is None:
        raise _unknown("function", node.function, node.place, FUNCTIONS, where)
    if not form.least <= len(node.given) <= form.most:
        count = f"{form.least}" if form.least == form.most else f"{form.least} to {form.most}"
        problem = f"{node.function} takes {count} values, not {len(node.given)}: {form.example}"
        raise refusal(where.feature, where.text, node.place, problem)
    return _typed(node, form, where)


def _typed(node: Call, form: Function, where: _Place) -> tuple[Node, Nature]:
    pairs = [_checked(given, where) for given in node.given]
    takes = [form.takes[min(index, len(form.takes) - 1)] for index in range(len(pairs))]
    pairs = _dated(pairs, takes)
    free = [pair for pair, take in zip(pairs, takes, strict=True) if take in ("same", "ordered")]
    for (given, nature), take in zip(pairs, takes, strict=True):
        if take in ("number", "word", "moment") and nature != take:
            told = f"{_named(node)} takes {_ARTICLES[take]}, and this is {_ARTICLES[nature]}"
            raise refusal(where.feature, where.text, given.place, told)
        if take in ("same", "ordered") and nature != free[0][1]:
            told = f"{_named(node)} takes values of one kind, and here are {free[0][1]} and {nature}"
            raise refusal(where.feature, where.text, given.place, told)
        if node.function == "in" and nature == "moment":
            told, fix = (
                "in takes numbers or words, and this is a time",
                "compare: t >= … and t < …, or t == … or t == …",
            )
            raise refusal(where.feature, where.text, given.place, told, fix)
        if take == "ordered" and nature == "word":
            told = f"words have no order, {_named(node)} cannot compare them"
            raise refusal(where.feature, where.text, given.place, told)
        if isinstance(given, Literal) and given.value == "" and node.function in ("==", "!=", "in"):
            told, fix = '"" is the missing word, which equals nothing', "write is_missing(…)"
            raise refusal(where.feature, where.text, given.place, told, fix)
    gives = free[0][1] if form.gives == "same" else form.gives
    return Call(node.function, tuple(given for given, _ in pairs), node.place), gives  # type: ignore[return-value]


_ARTICLES = {"number": "a number", "word": "a word", "moment": "a time"}


def _dated(pairs: Sequence[tuple[Node, Nature]], takes: Sequence[str]) -> list[tuple[Node, Nature]]:
    """Quoted ISO dates beside times are times: `opened < "2020-01-01"`."""
    if not any(nature == "moment" for _, nature in pairs) and "moment" not in takes:
        return list(pairs)
    dated: list[tuple[Node, Nature]] = []
    for given, nature in pairs:
        if isinstance(given, Literal) and isinstance(given.value, str) and as_moment(given.value) is not None:
            dated.append((Call("moment", (given,), given.place), "moment"))
        else:
            dated.append((given, nature))
    return dated


def _named(node: Call) -> str:
    return "-" if node.function == MINUS else node.function


def _unknown(what: str, name: str, place: int, known: Mapping[str, object], where: _Place) -> Exception:
    near = difflib.get_close_matches(name, list(known), 1, 0.6)
    near = near or [other for other in known if other.lower() == name.lower()]
    told = f"there is no {what} {name!r}" + (f", did you mean {near[0]!r}?" if near else "")
    listed = ", ".join(list(known)[:30]) or "none"
    return refusal(where.feature, where.text, place, told, f"{what}s that can be used: {listed}")
