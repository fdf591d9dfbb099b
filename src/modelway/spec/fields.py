"""What the models know of a place in a file: the part that holds it, its field, and what may be written there."""

import ast
import difflib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import pairwise
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from modelway.spec.document import Place
from modelway.spec.model import Part


def key_of(name: str, field: FieldInfo) -> str:
    """The key in the file: `in` for Rule.allowed."""
    return field.alias or name


def keys(part: type[Part]) -> dict[str, FieldInfo]:
    return {key_of(name, field): field for name, field in part.model_fields.items()}


@cache
def meanings(part: type[Part]) -> Mapping[str, str]:
    """The text under each field in the source. Pydantic would read all sources at import, at each start of the command."""
    (declared,) = ast.parse(inspect.cleandoc("\n" + inspect.getsource(part))).body
    found = {}
    for field, after in pairwise(declared.body if isinstance(declared, ast.ClassDef) else []):
        match field, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = " ".join(text.split())
    return found


def meaning(part: type[Part], name: str) -> str:
    """What a field means, in words; "" where nothing is written."""
    return meanings(part).get(name, "")


def meaning_at(root: type[Part], place: Place) -> str:
    """What the field at a place means; "" where there is none."""
    for part in parts_at(root, place[:-1]) if place else []:
        for name, field in part.model_fields.items():
            if key_of(name, field) == place[-1]:
                return meaning(part, name)
    return ""


def described(root: type[Part]) -> None:
    """Put the texts into the models under `root`, for a schema that is made from them."""
    for part in dict.fromkeys([*(inner for f in root.model_fields.values() for inner in parts_in(f.annotation)), root]):
        if part is not root:
            described(part)
        for name, text in meanings(part).items():
            part.model_fields[name].description = text
        part.model_rebuild(force=True)


def parts_in(annotation: Any) -> Iterator[type[Part]]:
    """The parts that an annotation holds, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        yield annotation
    for inner in get_args(annotation):
        yield from parts_in(inner)


def field_at(root: type[Part], place: Place) -> FieldInfo | None:
    """The field at a place; None where the place is no field: an unknown key, an item, a name of the user's."""
    if not place:
        return None
    last = str(place[-1])
    return next((found[last] for part in parts_at(root, place[:-1]) if last in (found := keys(part))), None)


def parts_at(root: type[Part], place: Place) -> list[type[Part]]:
    """The parts whose keys may stand at a place."""
    found: list[Any] = [root]
    for step in place:
        found = [deeper for here in found for deeper in _step(here, step)]
    return [one for here in found for one in _direct(here)]


def allowed_words(annotation: Any) -> tuple[str, ...]:
    """The words of the literals in an annotation."""
    if get_origin(annotation) is Literal:
        return tuple(value for value in get_args(annotation) if isinstance(value, str))
    if get_origin(annotation) in (Union, UnionType, tuple, dict):
        return tuple(word for inner in get_args(annotation) for word in allowed_words(inner))
    return ()


def nearest(name: str, known: Iterable[object], least: float = 0.6) -> str:
    """The known name that was most likely meant (`least`: how alike, 0–1); "" when none is near."""
    listed = [str(other) for other in known]
    folded = {other.lower().replace("-", "_"): other for other in listed}
    plain = str(name).lower().replace("-", "_").replace(" ", "_")
    near = difflib.get_close_matches(plain, list(folded), 1, least)
    return folded[near[0]] if near else ""


def meant(name: str, known: Iterable[object]) -> str:
    """`; did you mean 'x'?`, or nothing."""
    near = nearest(name, known)
    return f"; did you mean {near!r}?" if near else ""


def homes(root: type[Part], key: str, place: Place = ()) -> Iterator[Place]:
    """The places at which a key is known, those of the user's own names left out."""
    for name, field in keys(root).items():
        if name == key:
            yield place
        for part in _direct(field.annotation):
            yield from homes(part, key, (*place, name))


def _step(annotation: Any, step: str | int) -> list[Any]:
    made: list[Any] = []
    for option in _options(annotation):
        if isinstance(option, type) and issubclass(option, Part):
            if isinstance(step, str) and step in keys(option):
                made.append(keys(option)[step].annotation)
        elif get_origin(option) in (dict, Mapping):
            made.append(get_args(option)[1])
        elif get_origin(option) is tuple and isinstance(step, int):
            made.append(get_args(option)[0])
    return made


def _options(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, UnionType):
        return [inner for option in get_args(annotation) for inner in _options(option) if inner is not NoneType]
    return [annotation]


def _direct(annotation: Any) -> list[type[Part]]:
    """The parts that may stand here themselves, not in a list or under names."""
    return [o for o in _options(annotation) if isinstance(o, type) and issubclass(o, Part)]
