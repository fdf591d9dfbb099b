"""The spec's features with every name settled: expressions in an order in which they can be computed, and windows."""

import difflib
from collections.abc import Iterable, Mapping
from datetime import timedelta

from modelway.errors import SpecError
from modelway.features.derived import TARGET, Expression, Window
from modelway.features.grammar import parse
from modelway.features.meaning import names, read
from modelway.features.values import Nature
from modelway.records import Kind
from modelway.spec.model import Feature, Spec


def resolve_expressions(spec: Spec, visible: Mapping[str, Nature]) -> dict[str, Expression]:
    """By name, each after those that it uses; raises SpecError for unknown names, circles, the target and protected columns."""
    texts = {name: feature.expr for name, feature in spec.features.items() if feature.expr is not None}
    windows = [name for name, feature in spec.features.items() if feature.stat]
    known: dict[str, Nature] = {**visible, **dict.fromkeys(windows, "number")}
    done: dict[str, Expression] = {}

    def settle(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            circle = " → ".join([*path[path.index(name) :], name])
            raise SpecError(f"features.{name}: expressions use one another in a circle: {circle}", "break the circle")
        used = names(parse(texts[name], name))
        _demand_visible(name, texts[name], used, spec)
        for other in used:
            if other in texts and other not in done:
                settle(other, (*path, name))
        meaning = read(texts[name], name, known)
        kind: Kind = "word" if meaning.nature == "word" else "number"
        known[name] = kind
        late = any(other in windows or (other in done and done[other].late) for other in used)
        done[name] = Expression(name, texts[name], kind, meaning.uses, late)

    for name in texts:
        if name not in done:
            settle(name, ())
    return done


def _demand_visible(feature: str, text: str, used: Iterable[str], spec: Spec) -> None:
    for name in used:
        if name == spec.data.target:
            raise SpecError(
                f"features.{feature}: {text!r} uses the target {name!r}, which is not known at the decision",
                "take a window over earlier labels: {of: target, stat: mean, window: 30d, delay: 7d}",
            )
        if name in spec.data.protected:
            raise SpecError(
                f"features.{feature}: {text!r} uses the protected column {name!r}",
                "it is for the fairness audit only; take it out of the expression, or out of data.protected",
            )


def resolve_windows(
    spec: Spec, visible: Mapping[str, Nature], expressions: Mapping[str, Expression]
) -> tuple[Window, ...]:
    """The windows, in the order of the spec; raises SpecError naming the feature and the key."""
    early = {e.name: e.kind for e in expressions.values() if not e.late}
    usable: dict[str, Nature] = {**visible, **early}
    return tuple(_window(name, feature, spec, usable) for name, feature in spec.features.items() if feature.stat)


def _window(name: str, feature: Feature, spec: Spec, usable: Mapping[str, Nature]) -> Window:
    if not spec.data.event_time:
        raise SpecError(
            f"features.{name}: a window needs to know when rows happened", "name the column in data.event_time"
        )
    by = (feature.by,) if isinstance(feature.by, str) else (feature.by or ())
    raw = [other for other in usable if other not in spec.features and other != spec.data.event_time]
    for entity in by:
        _demand_known(name, "by", entity, [*spec.data.entities, *raw], spec)
    reach, delay = feature.window or timedelta(), feature.delay
    if reach <= delay:
        raise SpecError(
            f"features.{name}: the window of {reach} is over before its delay of {delay}",
            "both count back from the decision: make `window` longer than `delay`",
        )
    of = _column_of(name, feature, spec, usable)
    return Window(name, feature.stat or "count", of, by, _us(reach), _us(delay), feature.default)


def _column_of(name: str, feature: Feature, spec: Spec, usable: Mapping[str, Nature]) -> str:
    of = feature.of
    if of is None:
        return ""
    if of == spec.data.target or (of == "target" and of not in usable):
        return _target(name, feature, spec)
    if of in spec.features and of not in usable:
        raise SpecError(
            f"features.{name}: `of: {of}` is itself made from a window",
            "aggregate a raw column, or an expression over raw columns",
        )
    _demand_known(name, "of", of, usable, spec)
    if usable[of] == "word" and feature.stat not in ("count", "distinct"):
        raise SpecError(f"features.{name}: {of} holds words, which have no {feature.stat}", "use count or distinct")
    return of


def _target(name: str, feature: Feature, spec: Spec) -> str:
    if feature.delay <= timedelta():
        raise SpecError(
            f"features.{name}: a row's target is not known at once, so a window over it needs a `delay`",
            "write how long labels take, for example delay: 7d",
        )
    if spec.task == "multiclass" and feature.stat != "count" and not spec.data.positive:
        raise SpecError(
            f"features.{name}: the target has several classes, and a window needs a number",
            "name the class that counts as 1 in data.positive, or use stat: count",
        )
    return TARGET


def _demand_known(feature: str, key: str, name: str, known: Iterable[str], spec: Spec) -> None:
    if name in spec.data.protected:
        raise SpecError(
            f"features.{feature}: `{key}: {name}` is a protected column",
            "it is for the fairness audit only, never a feature",
        )
    listed = list(dict.fromkeys(known))
    if name in listed:
        return
    near = difflib.get_close_matches(name, listed, 1, 0.6)
    told = f", did you mean {near[0]!r}?" if near else ""
    raise SpecError(
        f"features.{feature}: `{key}: {name}`: there is no such column{told}",
        f"columns that can be used: {', '.join(listed[:30]) or 'none'}",
    )


def _us(duration: timedelta) -> int:
    return round(duration / timedelta(microseconds=1))
