"""The closed grammar of `expr`: text becomes a tree, or a SpecError that points at the place.

either     = both ("or" both)*                       numbers     1  2.5  1e-3  true  false
both       = negated ("and" negated)*                words       "DE"  'IT'
negated    = "not" negated | comparison              columns     amount   `odd name`
comparison = sum [("<" | "<=" | ">" | ">=" | "==" | "!=") sum | ["not"] "in" "[" literal ("," literal)* "]"]
sum        = product (("+" | "-") product)*          calls       log(amount)   if(amount > 5, 1, 0)
product    = signed (("*" | "/" | "%") signed)*
signed     = "-" signed | power
power      = atom ["**" signed]
"""

import math
import re
from dataclasses import dataclass

from modelway.errors import SpecError


@dataclass(frozen=True, slots=True)
class Literal:
    value: float | str
    place: int


@dataclass(frozen=True, slots=True)
class Name:
    name: str
    place: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function, or an operator by its sign; `in` has the value first and the literals after it."""

    function: str
    given: "tuple[Node, ...]"
    place: int


Node = Literal | Name | Call


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    place: int


_TOKENS = re.compile(
    r"""(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<word>"[^"]*"|'[^']*')
      | (?P<quoted>`[^`]+`)
      | (?P<name>[^\W\d]\w*)
      | (?P<sign>\*\*|<=|>=|==|!=|&&|\|\||[-+*/%<>()\[\],=!&|^])""",
    re.VERBOSE,
)
_WORDS = ("and", "or", "not", "in", "true", "false")
_INSTEAD = {"=": "==", "&&": "and", "&": "and", "||": "or", "|": "or", "!": "not", "^": "**"}
MINUS = "(-)"
MOST_TOKENS, MOST_NESTED = 300, 40
_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


def parse(text: str, feature: str) -> Node:
    """The tree of an expression; raises SpecError naming the feature, the expression and the place."""
    reader = _Reader(text, feature, _tokens(text, feature))
    tree = reader.either()
    reader.demand("end", "an operator or the end")
    return tree


def refusal(feature: str, text: str, place: int, problem: str, fix: str = "") -> SpecError:
    """The error with a caret under the place (characters from 0); `feature` may be `checks[0]`, or a step of a chain."""
    where = feature if feature.startswith(("checks", "compose.")) else f"features.{feature}"
    return SpecError(
        f"{where}: {problem}\n    {text}\n    {' ' * place}^",
        fix or f"correct {where}.expr in modelway.yaml",
    )


def _tokens(text: str, feature: str) -> list[Token]:
    tokens, place = [], 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        match = _TOKENS.match(text, place)
        if match is None:
            raise refusal(feature, text, place, f"{text[place]!r} has no meaning here{_unclosed(text[place])}")
        kind, found = str(match.lastgroup), match[0]
        if found in _INSTEAD:
            raise refusal(feature, text, place, f"{found!r} is not an operator, write {_INSTEAD[found]!r}")
        if kind == "name" and found.lower() in _WORDS:
            kind, found = found.lower(), found.lower()
        elif kind == "sign":
            kind = found
        tokens.append(Token(kind, found, place))
        place = match.end()
        _demand_small(text, feature, tokens)
    return [*tokens, Token("end", "", len(text.rstrip()))]


def _demand_small(text: str, feature: str, tokens: list[Token]) -> None:
    depth = sum((token.kind == "(") - (token.kind == ")") for token in tokens)
    if len(tokens) > MOST_TOKENS or depth > MOST_NESTED:
        raise refusal(
            feature,
            text,
            tokens[-1].place,
            f"an expression has at most {MOST_TOKENS} parts and {MOST_NESTED} nested brackets",
            "split it into several features: an expression may use another one by its name",
        )


def _unclosed(character: str) -> str:
    return ": the closing one is missing" if character in "\"'`" else ""


class _Reader:
    """Recursive descent: each method reads one line of the grammar."""

    def __init__(self, text: str, feature: str, tokens: list[Token]) -> None:
        self.text, self.feature, self.tokens, self.next = text, feature, tokens, 0

    @property
    def token(self) -> Token:
        return self.tokens[self.next]

    def take(self, *kinds: str) -> Token | None:
        token = self.token
        if token.kind not in kinds:
            return None
        self.next += 1
        return token

    def demand(self, kind: str, wanted: str) -> Token:
        token = self.take(kind)
        if token is None:
            raise self.stop(f"expected {wanted}, found {self.token.text or 'the end'!r}")
        return token

    def stop(self, problem: str, place: int | None = None) -> SpecError:
        return refusal(self.feature, self.text, self.token.place if place is None else place, problem)

    def either(self) -> Node:
        left = self.both()
        while token := self.take("or"):
            left = Call("or", (left, self.both()), token.place)
        return left

    def both(self) -> Node:
        left = self.negated()
        while token := self.take("and"):
            left = Call("and", (left, self.negated()), token.place)
        return left

    def negated(self) -> Node:
        if token := self.take("not"):
            return Call("not", (self.negated(),), token.place)
        return self.comparison()

    def comparison(self) -> Node:
        left = self.sum()
        if token := self.take(*_COMPARISONS):
            made: Node = Call(token.kind, (left, self.sum()), token.place)
        elif token := self.take("not"):
            self.demand("in", "'in'")
            made = Call("not", (self.among(left, token.place),), token.place)
        elif token := self.take("in"):
            made = self.among(left, token.place)
        else:
            return left
        if self.token.kind in (*_COMPARISONS, "in"):
            raise self.stop("comparisons cannot be chained; write a < b and b < c")
        return made

    def among(self, left: Node, place: int) -> Node:
        self.demand("[", "'[' with the allowed values")
        found = [self.literal()]
        while self.take(","):
            found.append(self.literal())
        self.demand("]", "']' or ','")
        return Call("in", (left, *found), place)

    def literal(self) -> Node:
        minus = self.take("-")
        token = self.take("number", "true", "false") or (None if minus else self.take("word"))
        if token is None:
            raise self.stop(f"expected a number or a quoted word, found {self.token.text or 'the end'!r}")
        value = self.value(token)
        return Literal(-value if minus and isinstance(value, float) else value, (minus or token).place)

    def sum(self) -> Node:
        left = self.product()
        while token := self.take("+", "-"):
            left = Call(token.kind, (left, self.product()), token.place)
        return left

    def product(self) -> Node:
        left = self.signed()
        while token := self.take("*", "/", "%"):
            left = Call(token.kind, (left, self.signed()), token.place)
        return left

    def signed(self) -> Node:
        if token := self.take("-"):
            return Call(MINUS, (self.signed(),), token.place)
        return self.power()

    def power(self) -> Node:
        base = self.atom()
        if token := self.take("**"):
            return Call("**", (base, self.signed()), token.place)
        return base

    def atom(self) -> Node:
        if token := self.take("number", "word", "true", "false"):
            return Literal(self.value(token), token.place)
        if token := self.take("quoted"):
            return Name(token.text[1:-1], token.place)
        if token := self.take("name"):
            return self.call(token) if self.take("(") else Name(token.text, token.place)
        if self.take("("):
            inner = self.either()
            self.demand(")", "')'")
            return inner
        raise self.stop(f"expected a value, found {self.token.text or 'the end'!r}")

    def call(self, token: Token) -> Node:
        given: list[Node] = []
        if not self.take(")"):
            given.append(self.either())
            while self.take(","):
                given.append(self.either())
            self.demand(")", "')' or ','")
        return Call(token.text.lower(), tuple(given), token.place)

    def value(self, token: Token) -> float | str:
        if token.kind == "word":
            return token.text[1:-1]
        number = {"true": 1.0, "false": 0.0}.get(token.kind)
        number = float(token.text) if number is None else number
        if not math.isfinite(number):
            raise self.stop(f"{token.text} is too large for a double", token.place)
        return number
