"""What a composition does not say itself, it has from the models that it asks: task, data, contract, features.

All is filled in when modelway.yaml is read, so that the rest of the house sees a spec like any other, and a version keeps it whole.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from modelway.errors import ModelwayError
from modelway.spec.compose import Compose
from modelway.spec.document import Document, Mistake, refusal
from modelway.spec.fields import meant
from modelway.spec.model import Spec
from modelway.spec.wording import worded

Load = Callable[[Path, tuple[str, ...]], Spec]


def with_members(document: Document, load: Load, above: tuple[str, ...] = ()) -> Document:
    """The document with what it has from its members; `above`: the compositions that ask this one.

    Raises SpecError for a composition that cannot be read, and for members that are not there, ask in a circle or do not agree.
    """
    told = document.value.get("compose") if isinstance(document.value, dict) else None
    if not isinstance(told, dict):
        return document
    try:
        compose = Compose.model_validate(told)
    except ValidationError as error:
        placed = [
            cast("ErrorDetails", {**one, "loc": ("compose", *one["loc"])}) for one in error.errors(include_url=False)
        ]
        raise refusal(document, [*document.mistakes, *worded(Spec, placed, document.value)]) from error
    folder = document.path.parent
    specs, mistakes = _loaded(compose, folder, load, (*above, folder.name))
    if not mistakes:
        mistakes = list(_differing(compose, specs, document.value))
    if mistakes:
        raise refusal(document, mistakes)
    return replace(document, value=_filled(compose, specs, document.value))


def _loaded(
    compose: Compose, folder: Path, load: Load, above: tuple[str, ...]
) -> tuple[dict[str, Spec], list[Mistake]]:
    specs, mistakes = dict[str, Spec](), list[Mistake]()
    known = sorted(path.parent.name for path in folder.parent.glob("*/modelway.yaml"))
    for name, place in compose.places.items():
        if name in above:
            circle = " → ".join([*above[above.index(name) :], name])
            mistakes.append(Mistake(place, f"models ask one another in a circle: {circle}", "take one of them out"))
        elif name not in known:
            others = ", ".join(one for one in known if one != folder.name) or "none yet"
            mistakes.append(Mistake(place, f"there is no model {name!r}{meant(name, known)}", f"there are: {others}"))
        else:
            try:
                specs[name] = load(folder.parent / name / "modelway.yaml", above)
            except ModelwayError as error:
                first = error.problem.splitlines()[0]
                mistakes.append(Mistake(place, f"{name} cannot be asked: {first}", f"modelway check {name}"))
    return specs, mistakes


def _differing(compose: Compose, specs: Mapping[str, Spec], value: Mapping[str, Any]) -> Iterator[Mistake]:
    """Members whose answer cannot be the whole's, and steps whose answer is no single number."""
    first = specs[compose.principal]
    own_target = isinstance(value.get("data"), dict) and "target" in value["data"]
    for name in compose.peers:
        spec, place = specs[name], compose.places[name]
        if spec.task != first.task:
            what = f"{name} does a {spec.task} task, and {first.model} a {first.task} task"
            yield Mistake(place, what, "ask models of one task")
        elif spec.data.target != first.data.target and not own_target:
            what = f"{name} predicts {spec.data.target!r}, and {first.model} {first.data.target!r}"
            yield Mistake(place, what, "say which column judges the whole: data: {target: COLUMN}")
    for number, step in enumerate(compose.steps):
        several = (specs[step.ask].task if step.ask else first.task) == "multiclass"
        if several and (step.ask is None or number < len(compose.steps) - 1):
            what = "several classes are no single number"
            yield Mistake(("compose", "chain", number), what, "let a multiclass model be the last step")


def _filled(compose: Compose, specs: Mapping[str, Spec], own: Mapping[str, Any]) -> dict[str, Any]:
    first = specs[compose.principal]
    others = [spec for name, spec in specs.items() if name != compose.principal]
    said = {spec.model: spec.model_dump(mode="json", by_alias=True, exclude_unset=True) for spec in specs.values()}
    told = own["data"] if isinstance(own.get("data"), dict) else {}
    data = {**said[first.model]["data"], **told}
    for role in ("entities", "protected"):
        united = dict.fromkeys([*getattr(first.data, role), *(n for one in others for n in getattr(one.data, role))])
        if united and role not in told:
            data[role] = list(united)
    contract = dict(said[first.model].get("contract", {}))
    features = dict(said[first.model].get("features", {}))
    for spec in others:
        roles = {spec.data.target, spec.data.key, spec.data.event_time}
        rules = said[spec.model].get("contract", {})
        contract = {**{name: rule for name, rule in rules.items() if name not in roles}, **contract}
        features = {**said[spec.model].get("features", {}), **features}
    order = [*said[first.model].get("contract", {}), *contract]
    contract = {name: contract[name] for name in dict.fromkeys(order) if name not in compose.given}
    features = {name: told for name, told in features.items() if name not in compose.given}
    features |= {name: {"expr": rule} for name, rule in compose.rules.items()}
    taken = {name for spec in specs.values() for name in _taken(spec)}
    if "ignore" not in told:
        data["ignore"] = [name for name in contract if name not in taken and name not in _roles(data)]
    inherited = {"data": data, "contract": contract, "features": features, "retraining": {"on": ["members"]}}
    return {
        "task": first.task,
        **({"checks": said[first.model]["checks"]} if "checks" in said[first.model] else {}),
        **own,
        **{key: _over(theirs, own.get(key)) for key, theirs in inherited.items()},
        "compose": {**own["compose"], "rows_of": "" if "source" in told else first.rows_of},
    }


def _over(theirs: dict[str, Any], own: Any) -> Any:
    """Its own keys first; what is no keys at all stays, and is refused where it stands."""
    return {**theirs, **own} if isinstance(own, dict) else theirs if own is None else own


def _taken(spec: Spec) -> set[str]:
    """The raw columns that enter a model."""
    data = spec.data
    return set(spec.contract) - {data.key, data.event_time, data.target, *data.entities, *data.ignore, *data.protected}


def _roles(data: Mapping[str, Any]) -> set[str]:
    named = {data.get(role) for role in ("key", "event_time", "target")}
    return {*(name for name in named if name), *data.get("entities", ()), *data.get("protected", ())}
