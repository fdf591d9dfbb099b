"""The spec's features with every name settled: expressions and functions in an order that can be computed, windows, joins."""

import difflib
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from modelway.errors import SpecError
from modelway.expressions.grammar import parse
from modelway.expressions.meaning import names, read
from modelway.expressions.values import Nature
from modelway.features.derived import TARGET, Expression, Joined, Window
from modelway.features.functions import compile_function
from modelway.features.repeatable import demand_repeatable, values_to_try
from modelway.records import Kind
from modelway.spec.model import Feature, Spec
from modelway.spec.units import write_duration


def resolve_expressions(spec: Spec, visible: Mapping[str, Nature]) -> dict[str, Expression]:
    """By name, each after those that it uses; raises SpecError for unknown names, circles, the target and protected columns."""
    texts = {name: feature.expr or "" for name, feature in spec.features.items() if feature.expr is not None}
    called = {name: feature for name, feature in spec.features.items() if feature.python is not None}
    made_later = [name for name, feature in spec.features.items() if feature.stat]
    words = [name for name, f in spec.features.items() if f.join and f.join.type == "string"]
    made_later += [name for name, feature in spec.features.items() if feature.join]
    known: dict[str, Nature] = {**visible, **dict.fromkeys(made_later, "number"), **dict.fromkeys(words, "word")}
    done: dict[str, Expression] = {}

    def settle(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            circle = " → ".join([*path[path.index(name) :], name])
            raise SpecError(f"features.{name}: expressions use one another in a circle: {circle}", "break the circle")
        used = list(called[name].uses) if name in called else names(parse(texts[name], name))
        _demand_visible(name, called[name].python or "" if name in called else texts[name], used, spec)
        for other in used:
            if (other in texts or other in called) and other not in done:
                settle(other, (*path, name))
        late = any(other in made_later or (other in done and done[other].late) for other in used)
        if name in called:
            done[name] = _function(name, called[name], known, late, spec)
        else:
            meaning = read(texts[name], name, known)
            kind: Kind = "word" if meaning.nature == "word" else "number"
            done[name] = Expression(name, texts[name], kind, meaning.uses, late)
        known[name] = done[name].kind

    for name in spec.features:
        if name not in done and (name in texts or name in called):
            settle(name, ())
    return done


def _function(name: str, feature: Feature, known: Mapping[str, Nature], late: bool, spec: Spec) -> Expression:
    for used in feature.uses:
        _demand_known(name, "uses", used, known, spec)
    _, _, function = (feature.python or "").rpartition(":")
    compile_function(feature.source, function, feature.gives, name)
    tried = tuple(_to_try(column, known[column], spec) for column in feature.uses)
    demand_repeatable(feature.source, function, feature.gives, name, tried)
    return Expression(name, function, feature.gives, tuple(feature.uses), late, feature.source)


def _to_try(column: str, nature: Nature, spec: Spec) -> tuple[Any, ...]:
    """Values that the contract allows in a column."""
    rule = spec.contract.get(column)
    return values_to_try(nature) if rule is None else values_to_try(nature, rule.min, rule.max, rule.allowed or ())


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
        _demand_in_time(feature, name, timedelta(), spec)


def _demand_in_time(feature: str, column: str, delay: timedelta, spec: Spec) -> None:
    """Raise when a column is known only after the delay has passed."""
    rule = spec.contract.get(column)
    if rule is not None and rule.available_after is not None and delay < rule.available_after:
        told = write_duration(rule.available_after)
        raise SpecError(
            f"features.{feature}: {column!r} is known only {told} after the event (contract.{column}.available_after)",
            f"take a window over earlier events: {{of: {column}, stat: …, window: …, delay: {told}}}",
        )


def resolve_joins(spec: Spec, visible: Mapping[str, Nature]) -> tuple[Joined, ...]:
    """The joins, in the order of the spec; raises SpecError naming the feature and the key."""
    return tuple(_join(name, feature, spec, visible) for name, feature in spec.features.items() if feature.join)


def _join(name: str, feature: Feature, spec: Spec, visible: Mapping[str, Nature]) -> Joined:
    join = feature.join
    if join is None or not spec.data.event_time:
        raise SpecError(
            f"features.{name}: a join needs to know when rows happened", "name the column in data.event_time"
        )
    raw = [column for column in visible if column != spec.data.event_time]
    _demand_known(name, "join.on", join.on, [*spec.data.entities, *raw], spec)
    _demand_in_time(name, join.on, timedelta(), spec)
    if join.table in (spec.topic, f"{spec.model}_predictions") or (
        spec.data.labels and join.table == spec.data.labels.source
    ):
        raise SpecError(
            f"features.{name}: `join.table: {join.table}` holds this model's own rows, predictions or labels",
            "a join is for a table of other things; of earlier rows take a window",
        )
    if feature.default is not None and join.type == "string":
        raise SpecError(
            f"features.{name}: a word has no default number", "leave `default` out: a missing word is empty"
        )
    kind: Kind = "word" if join.type == "string" else "number"
    key = join.key or join.on
    return Joined(
        name, join.table, join.on, join.column, key, join.valid_from, kind, _us(feature.delay), feature.default
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
    _demand_in_time(name, of, delay, spec)
    if feature.stat == "ratio" and of == TARGET:
        raise SpecError(
            f"features.{name}: the row's own target is not known at the decision, so it has no ratio",
            "take the mean of earlier targets",
        )
    return Window(name, feature.stat or "count", of, by, _us(reach), _us(delay), feature.default)


def _column_of(name: str, feature: Feature, spec: Spec, usable: Mapping[str, Nature]) -> str:
    of = feature.of
    if of is None:
        return ""
    if of == spec.data.target or (of == "target" and of not in usable):
        return _target(name, feature, spec)
    if of in spec.features and of not in usable:
        raise SpecError(
            f"features.{name}: `of: {of}` is itself made from a window or a join",
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
