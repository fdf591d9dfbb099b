"""What a spec's parts must agree on: columns that are named must exist, steps must grow, names must be known."""

import re
from collections.abc import Iterator

from modelway.records import POSITIVE
from modelway.spec.compose import compose_mistakes
from modelway.spec.contract_checks import contract_mistakes
from modelway.spec.document import Mistake, Place
from modelway.spec.fields import meant, nearest
from modelway.spec.model import Files, Gate, Spec
from modelway.spec.names import LABELLED, LATENCIES, METRICS, SEARCH_METRICS
from modelway.spec.units import parse_count, parse_duration

_TRIGGERS = ("drift", "performance", "every 7d", "new_labels 1000", "members")
_SINKS = ("terminal", "file", "webhook:NAME")


def mistakes_of(spec: Spec, folder: str | None = None) -> list[Mistake]:
    """All that does not agree; `folder` is the name of the model project's folder, which is the model's."""
    found = [
        *_data(spec),
        *contract_mistakes(spec),
        *_features(spec),
        *_training(spec),
        *_decision(spec),
        *(m for number, gate in enumerate(spec.gates) for m in _gate(spec, number, gate)),
        *_serving(spec),
        *_compose(spec),
        *_release(spec),
        *_afterwards(spec),
    ]
    if folder is not None and folder != spec.model:
        found.append(Mistake(("model",), f"{spec.model!r} stands in the folder {folder!r}", f"write model: {folder}"))
    return found


def _data(spec: Spec) -> Iterator[Mistake]:
    data = spec.data
    if isinstance(data.source, Files) and not data.source.files:
        yield Mistake(("data", "source", "files"), "names no file", "write for example [data/*.parquet]")
    if not data.target:
        yield from _without_target(spec)
    for role in ("ignore", "protected", "entities"):
        if data.target in getattr(data, role):
            yield Mistake(("data", role), f"{data.target!r} is the target", "take it out of the list")
    for role in ("key", "event_time"):
        if getattr(data, role) == data.target:
            yield Mistake(("data", role), f"{data.target!r} is the target", "name another column, or leave the key out")
    if data.key and data.key == data.event_time:
        yield Mistake(("data", "event_time"), f"{data.key!r} is the key", "name another column, or leave the key out")
    for name in data.protected:
        if name in data.ignore:
            yield Mistake(
                ("data", "ignore"), f"{name!r} is in `protected`, which keeps it from the model", "take it out"
            )
    if spec.task == "regression" and data.positive is not None:
        yield Mistake(("data", "positive"), "a regression has no positive class", "leave it out")
    if spec.contract:
        yield from _columns(spec)


def _without_target(spec: Spec) -> Iterator[Mistake]:
    if spec.task != "anomaly":
        told = "is missing: the column to predict; with `labels`, the name under which the label is known"
        yield Mistake(("data", "target"), told, "add the key")
        return
    asks: list[tuple[Place, bool]] = [
        (("data", "labels"), spec.data.labels is not None),
        (("data", "positive"), spec.data.positive is not None),
        (("training", "search"), spec.training.search is not None),
        (("decision", "threshold"), spec.decision.threshold == "by_cost"),
        *((("gates", number, "metric"), gate.metric in LABELLED) for number, gate in enumerate(spec.gates)),
    ]
    for place, asked in asks:
        if asked:
            what = "needs labels, and no column is named that holds them"
            yield Mistake(place, what, "name the column in data.target, or leave this out")


def _columns(spec: Spec) -> Iterator[Mistake]:
    """A role may be given to a column without a rule; where a rule has nearly that name, it was misspelt."""
    data = spec.data
    named = [("key", data.key), ("event_time", data.event_time), *(("target", data.target),) * (data.labels is None)]
    named += [("entities", name) for name in data.entities] + [("protected", name) for name in data.protected]
    roles = {name for _, name in named}
    for role, name in named:
        if name and name not in spec.contract and (near := nearest(name, spec.contract, 0.79)) and near not in roles:
            what = f"{name!r} is no column of the contract; did you mean {near!r}?"
            yield Mistake(("data", role), what, f"name that one, or add {name}: {{type: …}} to the contract")
    rule = spec.contract.get(data.event_time or "")
    if rule and rule.type not in ("date", "datetime"):
        what = f"{data.event_time!r} is of type {rule.type} in the contract, and an event time is a date or a datetime"
        yield Mistake(("data", "event_time"), what, "write type: datetime")
    allowed = spec.contract[data.target].allowed if data.target in spec.contract else None
    if data.positive is not None and allowed is not None and data.positive not in {_plain(v) for v in allowed}:
        listed = ", ".join(_plain(v) for v in allowed[:10])
        yield Mistake(("data", "positive"), f"{data.positive!r} is no class of {data.target}", f"write one of {listed}")


def _plain(value: str | float | bool) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _features(spec: Spec) -> Iterator[Mistake]:
    data = spec.data
    hidden = (data.target, *data.protected)
    usable = [n for n in dict.fromkeys((*spec.contract, *data.entities, *spec.features)) if n not in hidden]
    for name, feature in spec.features.items():
        place = ("features", name)
        if name in spec.contract or name in (data.key, data.target, data.event_time, *data.entities):
            yield Mistake(place, "a column of the data has this name", "give the feature another name")
        if not name.strip() or name.startswith("_"):
            yield Mistake(place, "names that start with _ are Modelway's own", "give the feature another name")
        if feature.stat is None:
            continue
        if data.event_time is None:
            what = "a window needs to know when rows happened"
            yield Mistake(place, what, "name the column in data.event_time")
        if feature.window is not None and feature.window <= feature.delay:
            what = "the window is over before its delay: both count back from the decision"
            yield Mistake((*place, "window"), what, "make `window` longer than `delay`")
        if feature.of and feature.of not in (*usable, *((data.target, "target") if data.target else ())):
            yield _absent((*place, "of"), feature.of, usable, spec)
        for entity in (feature.by,) if isinstance(feature.by, str) else feature.by or ():
            if entity not in usable:
                yield _absent((*place, "by"), entity, usable, spec)


def _absent(place: tuple[str, ...], name: str, usable: list[str], spec: Spec) -> Mistake:
    if name in spec.data.protected:
        return Mistake(place, f"{name!r} is protected: for the audit only, never a feature", "name another column")
    if name == spec.data.target:
        return Mistake(place, f"{name!r} is the target, which is not known at the decision", "name another column")
    listed = ", ".join(usable[:30]) or "none"
    return Mistake(place, f"there is no column {name!r}{meant(name, usable)}", f"columns that can be used: {listed}")


def _training(spec: Spec) -> Iterator[Mistake]:
    training = spec.training
    if not 0 < training.holdout < 1:
        what = f"{training.holdout:g} leaves nothing to {'judge by' if not training.holdout else 'learn from'}"
        yield Mistake(("training", "holdout"), what, "write for example 20%")
    if spec.data.event_time is None:
        wanting = [("split", training.split == "time"), ("gap", bool(training.gap)), ("window", bool(training.window))]
        for key, asks in wanting:
            if asks:
                what = "needs to know when rows happened"
                yield Mistake(("training", key), what, "name the column in data.event_time")
    if training.search is None:
        return
    known, metric = SEARCH_METRICS[spec.task], training.search.metric
    if metric not in (*known, "log_loss"):
        what = f"{metric!r} is not searched for in {_task(spec)}{meant(metric, known)}"
        yield Mistake(("training", "search", "metric"), what, f"write one of {', '.join(known)}")
    if training.search.folds < 2:
        yield Mistake(("training", "search", "folds"), "needs two folds at least", "write for example folds: 3")
    if training.search.trials < 1:
        yield Mistake(("training", "search", "trials"), "needs one trial at least", "write for example trials: 30")


def _task(spec: Spec) -> str:
    return f"{'an' if spec.task == 'anomaly' else 'a'} {spec.task} task"


def _decision(spec: Spec) -> Iterator[Mistake]:
    decision = spec.decision
    if spec.task not in POSITIVE:
        for key, asks in (("top_k", decision.top_k is not None), ("threshold", decision.threshold != "argmax")):
            if asks:
                what = f"needs a positive class, and the task is {spec.task}"
                yield Mistake(("decision", key), what, "leave `decision` out")
        return
    if spec.task == "anomaly" and decision.threshold == "argmax" and decision.top_k is None:
        what = "how odd a row must be for an alert is not said, and no score says it by itself"
        yield Mistake(("decision",), what, "write for example decision: {threshold: by_rate, rate: 1%}")
    if decision.threshold == "by_rate" and decision.rate is None:
        yield Mistake(("decision", "threshold"), "by_rate needs a rate", "add for example rate: 5%")
    if decision.rate is not None and decision.threshold != "by_rate":
        yield Mistake(("decision", "rate"), "is used with threshold: by_rate only", "write threshold: by_rate")
    if decision.top_k is not None and decision.threshold != "argmax":
        yield Mistake(("decision", "top_k"), "stands beside another threshold", "keep one of the two")
    if spec.task == "binary" and isinstance(decision.threshold, float) and not 0 <= decision.threshold <= 1:
        yield Mistake(("decision", "threshold"), f"{decision.threshold:g} is no probability", "write for example 0.5")
    for side in ("false_positive", "false_negative"):
        cost = getattr(decision.cost, side)
        place = ("decision", "cost", side)
        if isinstance(cost, str):
            if spec.contract and cost not in spec.contract:
                yield Mistake(place, f"{cost!r} is no column{meant(cost, spec.contract)}", "write a number or a column")
        elif cost < 0:
            yield Mistake(place, f"{cost:g} is less than nothing", "costs are 0 or more")


def _gate(spec: Spec, number: int, gate: Gate) -> Iterator[Mistake]:
    place = ("gates", number)
    known = METRICS[spec.task]
    if gate.metric not in known:
        what = f"{gate.metric!r} is no metric of {_task(spec)}{meant(gate.metric, known)}"
        yield Mistake((*place, "metric"), what, f"write one of {', '.join(known)}")
        return
    special = gate.metric in (*LATENCIES, "four_fifths")
    if gate.metric == "alert_share" and gate.against:
        yield Mistake((*place, "against"), "alert_share is neither better nor worse", "write max or min")
    elif gate.against and (special or gate.min is not None or gate.max is not None):
        what = f"{gate.metric} is not compared" if special else "stands beside min or max"
        yield Mistake((*place, "against"), what, "make two gates of it" if not special else "write max or min")
    if not special and gate.against is None and gate.min is None and gate.max is None:
        yield Mistake(place, "has no bound", "write min, max, or against: champion")
    if gate.min is not None and gate.max is not None and gate.min > gate.max:
        yield Mistake((*place, "min"), f"{gate.min:g} is more than max, {gate.max:g}", "exchange them")
    if gate.margin is not None and (gate.against != "champion" or gate.margin < 0):
        what = "is 0 or more" if gate.margin < 0 else "says how much worse than the champion is still not worse"
        yield Mistake((*place, "margin"), what, "write against: champion, and a margin of 0 or more")
    if gate.metric == "four_fifths" and gate.by is None:
        yield Mistake((*place, "by"), "is missing: four_fifths compares groups", "name a column of data.protected")
    if gate.by is not None and (gate.metric != "four_fifths" or gate.by not in spec.data.protected):
        kept = ", ".join(spec.data.protected) or "none yet"
        what = f"{gate.by!r} is no protected column" if gate.metric == "four_fifths" else "groups are for four_fifths"
        yield Mistake((*place, "by"), what + meant(gate.by, spec.data.protected), f"data.protected has: {kept}")


def _serving(spec: Spec) -> Iterator[Mistake]:
    python = spec.serving.python
    if python is not None and not python.timeout:
        yield Mistake(("serving", "python", "timeout"), "leaves no time to answer", "write for example 1s")


def _compose(spec: Spec) -> Iterator[Mistake]:
    if spec.compose is None:
        return
    yield from (Mistake(*one) for one in compose_mistakes(spec.compose))
    for number, trigger in enumerate(spec.retraining.on):
        if trigger != "members":
            what = f"{trigger!r} is no reason to put models together anew: it learns nothing"
            yield Mistake(("retraining", "on", number), what, "write on: [members], or on: []")
    for key, asks in (("search", spec.training.search is not None), ("refit", spec.training.refit)):
        if asks:
            yield Mistake(("training", key), "a composition learns nothing", f"leave {key} out")


def _release(spec: Spec) -> Iterator[Mistake]:
    steps = spec.release.canary
    shown = ", ".join(f"{step:.4g}" for step in steps)
    fix = "write for example [5%, 25%, 100%]"
    if steps and steps[-1] != 1:
        yield Mistake(("release", "canary"), f"[{shown}] does not end with all requests", fix)
    if any(late <= early for early, late in zip((0.0, *steps), steps, strict=False)):
        yield Mistake(("release", "canary"), f"[{shown}] does not grow from step to step", fix)
    guard, sticky = spec.release.guard, spec.release.sticky
    if guard.scores is not None and guard.scores <= 0:
        what = f"{guard.scores:g} lets no score move at all: no new version ever passes"
        yield Mistake(("release", "guard", "scores"), what, "write for example 0.02")
    if spec.release.promote_on == "scores" and guard.scores is None:
        what = "scores promote only within a margin, and none is declared"
        yield Mistake(("release", "promote_on"), what, "write guard: {scores: 0.02}, or promote_on: losses")
    if spec.task == "anomaly":
        for key, asks in {
            "promote_on": spec.release.promote_on == "losses",
            "guard": guard.loss_margin is not None,
        }.items():
            if asks:
                what = "asks for losses, and how odd a row is has none"
                yield Mistake(("release", key), what, "write guard: {scores: 0.02}, in units of the score")
    if spec.release.at_least * (sum(step < 1 for step in steps) if steps else 1) >= spec.release.at_most:
        what = "the shares are kept so long that the release is rolled back first (at_most)"
        yield Mistake(("release", "at_least"), what, "make at_most longer than all steps together")
    known = [*spec.contract, *spec.data.entities]
    if sticky is not None and spec.contract and sticky not in known:
        yield Mistake(
            ("release", "sticky"), f"{sticky!r} is no column{meant(sticky, known)}", "name a column of the rows"
        )
    alphas = {("release", "alpha"): spec.release.alpha, ("monitoring", "drift", "alpha"): spec.monitoring.drift.alpha}
    for place, alpha in alphas.items():
        if not 0 < alpha < 1:
            yield Mistake(place, f"{alpha:g} is no error rate", "write for example 0.05")


def _afterwards(spec: Spec) -> Iterator[Mistake]:
    """Alerts and retraining."""
    for number, sink in enumerate(spec.monitoring.alerts):
        if sink not in ("terminal", "file") and not re.fullmatch(r"webhook:[A-Za-z0-9_]+", sink):
            what = f"{sink!r} is no place for alerts{meant(sink, _SINKS)}"
            yield Mistake(("monitoring", "alerts", number), what, f"write {', '.join(_SINKS)}")
    for number, trigger in enumerate(spec.retraining.on):
        if not _is_trigger(trigger):
            what = f"{trigger!r} is no reason to train{meant(trigger, _TRIGGERS)}"
            yield Mistake(("retraining", "on", number), what, f"write {', '.join(_TRIGGERS)}")
    count, _, duration = spec.retraining.at_most.partition(" per ")
    try:
        parse_count(count), parse_duration(duration)
    except ValueError:
        yield Mistake(
            ("retraining", "at_most"), f"{spec.retraining.at_most!r} is no budget", "write for example 3 per 7d"
        )


def _is_trigger(text: str) -> bool:
    name, _, amount = text.partition(" ")
    try:
        if name == "every":
            return bool(parse_duration(amount))
        return bool(parse_count(amount)) if name == "new_labels" else text in ("drift", "performance", "members")
    except ValueError:
        return False
