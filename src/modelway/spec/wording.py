"""pydantic's errors in words: what stands there, what may stand there, and an example."""

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic_core import ErrorDetails

from modelway.spec.document import Mistake, Place, dotted
from modelway.spec.fields import allowed_words, field_at, homes, keys, meaning_at, meant, nearest, parts_at
from modelway.spec.model import Part

_WANTED = {
    "string_type": ("text", ""),
    "string_sub_type": ("text", ""),
    "float_type": ("a number", "for example 0.5"),
    "float_parsing": ("a number", "for example 0.5"),
    "finite_number": ("a finite number", "for example 0.5"),
    "int_type": ("a whole number", "for example 3"),
    "int_parsing": ("a whole number", "for example 3"),
    "int_from_float": ("a whole number", "for example 3"),
    "bool_type": ("true or false", ""),
    "bool_parsing": ("true or false", ""),
    "tuple_type": ("a list", "- before each item"),
    "dict_type": ("keys with values", "for example {a: 1}"),
    "model_type": ("keys with values", ""),
    "model_attributes_type": ("keys with values", ""),
}


def worded(root: type[Part], errors: Iterable[ErrorDetails], value: Any) -> list[Mistake]:
    """One mistake a place: the branches of a union that was not met are told together."""
    found: dict[Place, list[ErrorDetails]] = {}
    for one in errors:
        found.setdefault(place_of(one, value), []).append(one)
    misspelt = {
        (*place[:-1], nearest(str(place[-1]), [key for part in parts_at(root, place[:-1]) for key in keys(part)]))
        for place, group in found.items()
        if group[0]["type"] == "extra_forbidden"
    }
    return [
        mistake
        for place, group in found.items()
        if not any(other[: len(place)] == place and other != place for other in found)
        and not (group[0]["type"] == "missing" and place in misspelt)
        for mistake in _at_place(root, place, group)
    ]


def place_of(error: ErrorDetails, value: Any) -> Place:
    """pydantic's path without the names of a union's branches."""
    steps = error["loc"]
    place: list[str | int] = []
    for number, step in enumerate(steps):
        inside = isinstance(value, list) and isinstance(step, int) and step < len(value)
        if inside or (isinstance(value, dict) and step in value):
            place.append(step)
            value = value[step]
        elif number == len(steps) - 1 and error["type"] == "missing":
            place.append(step)
    return tuple(place)


def _at_place(root: type[Part], place: Place, errors: list[ErrorDetails]) -> Iterator[Mistake]:
    first = errors[0]
    field = field_at(root, place)
    if first["type"] == "extra_forbidden":
        yield _unknown(root, place)
    elif first["type"] == "missing":
        told = meaning_at(root, place)
        yield Mistake(
            place, "is missing" + (f": {told[0].lower()}{told[1:].rstrip('.')}" if told else ""), "add the key"
        )
    elif own := [e for e in errors if e["type"] == "value_error"]:
        yield Mistake(place, str(own[0].get("ctx", {}).get("error", own[0]["msg"])))
    else:
        yield _misfit(root, place, errors, tuple(dict.fromkeys(allowed_words(field.annotation))) if field else ())


def _unknown(root: type[Part], place: Place) -> Mistake:
    name = str(place[-1])
    known = [key for part in parts_at(root, place[:-1]) for key in keys(part)]
    if near := nearest(name, known):
        return Mistake(place, f"there is no such key; did you mean {near!r}?", f"write {near}")
    if home := next(iter(homes(root, name)), None):
        where = dotted(home) or "the top of the file"
        return Mistake(place, f"there is no such key here; {name!r} belongs under {where}", f"move it under {where}")
    return Mistake(place, "there is no such key", f"known here: {', '.join(known)}")


def _misfit(root: type[Part], place: Place, errors: list[ErrorDetails], words: tuple[str, ...]) -> Mistake:
    given = errors[0]["input"]
    literals = [e for e in errors if e["type"] == "literal_error"]
    if literals and not words:
        words = tuple(w.strip("' ") for w in str(literals[0]["ctx"]["expected"]).replace(" or ", ", ").split(","))
    wanted = [_WANTED[e["type"]] for e in errors if e["type"] in _WANTED]
    options = [*words, *dict.fromkeys(name for name, _ in wanted)]
    if not options:
        return Mistake(place, f"{_shown(given)}: {_own(errors[0])}")
    examples = next((example for _, example in wanted if example and not words), "")
    if any(name == "keys with values" for name, _ in wanted) and (parts := list(parts_in_place(root, place))):
        examples = f"with {', '.join(parts)}"
    if errors[0]["type"] == "tuple_type" and isinstance(given, str | int | float):
        examples = f"[{given}]"
    guess = meant(given, words) if isinstance(given, str) else ""
    told = f"not {options[0]}" if len(options) == 1 else f"none of {', '.join(options)}"
    return Mistake(place, f"{_shown(given)} is {told}{guess}", f"write {examples or _or(options)}")


def parts_in_place(root: type[Part], place: Place) -> Iterator[str]:
    """The keys that may stand at a place."""
    for part in parts_at(root, place):
        yield from keys(part)


def _own(error: ErrorDetails) -> str:
    """pydantic's sentence, for the rarer bounds."""
    if error["type"] == "string_pattern_mismatch":
        return "lower-case letters, digits, - and _ only, and a letter first, for example credit-risk"
    return error["msg"].removeprefix("Input ")


def _or(options: list[str]) -> str:
    return options[0] if len(options) == 1 else f"{', '.join(options[:-1])} or {options[-1]}"


def _shown(given: Any) -> str:
    text = repr(given)
    return text if len(text) <= 60 else text[:59] + "…"
