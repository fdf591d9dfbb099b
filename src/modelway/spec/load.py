"""modelway.yaml and stack.yaml from their files: all mistakes of a file in one error, each with its line.

What a stack does not need is imported on use: a command on its way to the control database waits for it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from modelway.spec.document import Document, Mistake, Place, read_document, refusal
from modelway.spec.part import Part
from modelway.spec.stack import Stack

if TYPE_CHECKING:
    from modelway.spec.model import Spec

P = TypeVar("P", bound=Part)


def load_spec(path: Path, above: tuple[str, ...] = ()) -> "Spec":
    """The spec of a model; raises NotFoundError, and SpecError with a line for every mistake.

    `above`: the compositions that ask this model, the outermost first.
    """
    from modelway.spec.checks import mistakes_of
    from modelway.spec.members import with_members
    from modelway.spec.model import Spec
    from modelway.spec.sources import with_sources

    document = with_members(read_document(path), load_spec, above)
    spec, mistakes = _read(document, Spec)
    if spec is not None:
        spec, unread = with_sources(spec, path.parent)
        mistakes += unread
        found = mistakes_of(spec, path.parent.name if path.parent.parent.name == "models" else None)
        mistakes += _unrelated(found, mistakes)
    if mistakes or spec is None:
        raise refusal(document, mistakes)
    return spec


def load_stack(path: Path) -> Stack:
    """The stack of an installation, all defaults when the file is absent or says nothing; raises SpecError."""
    if not path.exists():
        return Stack()
    document = read_document(path)
    stack, mistakes = _read(document, Stack)
    if mistakes or stack is None:
        raise refusal(document, mistakes)
    return stack


def _read(document: Document, kind: type[P]) -> tuple[P | None, list[Mistake]]:
    """The value, as far as the file can be understood, and the mistakes."""
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        return None, [*document.mistakes, Mistake((), "the file must hold keys with values", "write KEY: VALUE")]
    made, errors, value = _lenient(document, kind, value)
    mistakes = [*document.mistakes]
    if errors:
        from modelway.spec.wording import worded

        mistakes += worded(kind, errors, value)
    if made is None:
        made = _without(kind, value, [m.place for m in mistakes])
    return made, mistakes


def _lenient(document: Document, kind: type[P], value: Any) -> tuple[P | None, list[ErrorDetails], Any]:
    """Validated; where text is wanted a number is text as written, and a key without a value is a key left out."""
    while True:
        try:
            return kind.model_validate(value), [], value
        except ValidationError as error:
            errors = error.errors(include_url=False)
        from modelway.spec.wording import place_of

        mended = value
        for one in errors:
            place = place_of(one, value)
            given = _at(value, place)
            if one["type"] == "missing":
                continue
            if given is None and _there(value, place) and place:
                mended = _changed(mended, place, None)
            elif one["type"] == "string_type" and place in document.texts and not isinstance(given, str):
                mended = _changed(mended, place, document.texts[place])
        if mended == value and _same_types(mended, value):
            return None, errors, value
        value = mended


def _without(kind: type[P], value: Any, places: Iterable[Place]) -> P | None:
    """What stands when the keys with mistakes are left out, so that the rest can be checked too; None when nothing does."""
    for place in places:
        while place and isinstance(place[-1], int):
            place = place[:-1]
        if place and _there(value, place):
            value = _changed(value, place, None)
    try:
        return kind.model_validate(value)
    except ValidationError:
        return None


def _unrelated(found: list[Mistake], known: list[Mistake]) -> list[Mistake]:
    """Mistakes that cannot be mere consequences of those that are known already."""
    if any(len(m.place) <= 1 or m.place[0] in ("contract", "features") for m in known):
        return []
    return [one for one in found if all(m.place[:2] != one.place[:2] for m in known)]


def _there(value: Any, place: Place) -> bool:
    if not place:
        return True
    holder = _at(value, place[:-1])
    last = place[-1]
    return last in holder if isinstance(holder, dict) else isinstance(holder, list) and isinstance(last, int)


def _at(value: Any, place: Place) -> Any:
    for step in place:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def _changed(value: Any, place: Place, new: str | None) -> Any:
    """A copy with another text at the place, or (None) without the key."""
    first, *rest = place
    if isinstance(value, list):
        changed = list(value)
        changed[first] = _changed(value[first], tuple(rest), new) if rest else new  # type: ignore[index]
        return changed
    if rest:
        return {**value, first: _changed(value[first], tuple(rest), new)}
    return {k: v for k, v in value.items() if k != first} if new is None else {**value, first: new}


def _same_types(one: Any, other: Any) -> bool:
    """Whether equal values are of equal types too: True is no 1."""
    return repr(one) == repr(other)
