"""How a composition becomes a version: which versions it asks, whether they fit, and on which rows it may be judged."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from modelway.errors import SpecError, StateError
from modelway.expressions.grammar import parse
from modelway.expressions.meaning import names as names_in
from modelway.features.plan import Plan, plan_of
from modelway.flow import composed, logged
from modelway.flow.predicting import serving_version
from modelway.flow.runs import record
from modelway.flow.scoring import graph_scores
from modelway.records import (
    Column,
    Composition,
    Exactness,
    Fit,
    Graph,
    Manifest,
    Parity,
    Pinned,
    TrainingSet,
    dumps,
    loads,
)
from modelway.registry import versions
from modelway.spec.compose import Compose, rule_column
from modelway.spec.document import dotted
from modelway.spec.model import Spec
from modelway.workspace import Workspace

_ALONE = 200
"""Rows that are answered alone too, to see that a row's answer is its own."""
_TOLERANCE = {"double": 1e-12, "single": 1e-5}
NO_CODE = dumps({})
"""What stands where a project's sources would."""


def pinned(workspace: Workspace, spec: Spec) -> tuple[Pinned, ...]:
    """The versions that serve now, of each model that is asked; () of a spec that is no composition.

    Raises StateError for one that was never released, or whose version computes its columns otherwise than the composition.
    """
    if spec.compose is None:
        return ()
    found, plan = [], plan_of(spec)
    for name in spec.compose.places:
        number = serving_version(workspace, name)
        one = Pinned(name, number, versions.get(workspace.database, name, number).digest)
        manifest = loads(Manifest, workspace.artifacts.get(one.digest))
        theirs = Plan.from_plain(manifest.features)
        if odd := [c for c in unlike(theirs, plan) if c not in spec.compose.given]:
            raise StateError(
                f"{one} was made with other definitions of {', '.join(odd)} than {spec.model} computes",
                f"modelway run {name}, release it, and run {spec.model} again",
            )
        found.append(one)
    return tuple(found)


def unlike(theirs: Plan, ours: Plan) -> list[str]:
    """The columns of a member that are not there, or are computed otherwise."""
    there = {column.name: column for column in ours.columns}
    raw = {one.name for one in theirs.inputs} - {one.name for one in theirs.expressions}
    return [
        column.name
        for column in theirs.columns
        if there.get(column.name) != column
        or (
            theirs.natures.get(column.name) != ours.natures.get(column.name)
            if column.name in raw
            else not logged.equal_definitions(column.name, theirs, ours)
        )
    ]


def demand_members(workspace: Workspace, spec: Spec, plan: Plan) -> None:
    """Raise SpecError, with the place, for a member whose columns nobody gives, and for a rule or a step that makes no sense."""
    compose = spec.compose
    if compose is None:
        return
    start = composed.Names.of(plan.columns)
    for number, branch in enumerate(compose.route):
        if branch.when is not None and rule_column(branch.when) in start.words:
            raise SpecError(
                f"compose.route[{number}].when: {branch.when!r} is a word, and a rule holds or does not",
                "compare it with something, for example country == 'DE'",
            )
    _demand_chain(workspace, compose, plan, start)
    of_rows = {*compose.places} - {step.ask for step in compose.steps} | (
        {compose.fallback.ask} if compose.fallback else set()
    )
    for name in compose.places:
        if name in of_rows:
            _demand_columns(workspace, plan, name, dotted(compose.places[name]), start)


def _demand_chain(workspace: Workspace, compose: Compose, plan: Plan, names: composed.Names) -> None:
    """Each step sees the columns of the rows, and what the steps before it give."""
    for name in compose.given:
        if name in (*names.numbers, *names.words):
            raise SpecError(
                f"compose.chain: {name!r} is a column of the rows, and a step's answer too",
                "give the step another name: as: NAME, or take the column out of the contract",
            )
    for number, step in enumerate(compose.steps):
        place, word = f"compose.chain[{number}]", False
        if step.ask is not None:
            _demand_columns(workspace, plan, step.ask, place, names)
        else:
            _, word = composed.expression_of(step.expr or "", place, names)
        if word and number == len(compose.chain) - 1:
            raise SpecError(f"{place}: {step.expr!r} is a word, and the answer is a number", "give a number")
        names = names.and_(step.column, word=word)


def demand_features_of_rows(spec: Spec) -> None:
    """Raise SpecError for a feature that uses what a step of the chain gives: features are made before anybody is asked."""
    given = spec.compose.given if spec.compose else ()
    for name, feature in spec.features.items() if given else ():
        used = [*feature.uses, *(names_in(parse(feature.expr, name)) if feature.expr else ()), feature.of or ""]
        if late := [one for one in used if one in given]:
            raise SpecError(
                f"compose.chain: the feature {name} uses {late[0]}, which is a step's answer",
                f"make it a step after that one: {{expr: {feature.expr or '…'}, as: {name}}}",
            )


def at_rule(spec: Spec, error: SpecError) -> SpecError:
    """A refusal of the feature that a rule became, at the place where the rule is written."""
    for number, branch in enumerate(spec.compose.route if spec.compose else ()):
        column = f"features.{rule_column(branch.when or '')}"
        if branch.when is not None and column in error.problem:
            place = f"compose.route[{number}].when"
            told, fix = (
                text.replace(f"{column}.expr", place).replace(column, place) for text in (error.problem, error.fix)
            )
            return SpecError(told, fix)
    return error


def _demand_columns(workspace: Workspace, plan: Plan, member: str, place: str, names: composed.Names) -> None:
    theirs = plan_of(workspace.spec(member))
    given = {*names.numbers, *names.words}
    missing = [column.name for column in theirs.columns if column.name not in given]
    if missing:
        raise SpecError(
            f"{place}: {member} takes {', '.join(missing)}, which nobody gives it",
            "add the columns to contract or features, or a step before it with that name: as: NAME",
        )
    ours = {column.name for column in plan.columns}
    if odd := [column for column in unlike(theirs, plan) if column in ours]:
        raise SpecError(
            f"{place}: {member} computes {', '.join(odd)} otherwise than here",
            "two models that are asked together give one name one meaning: rename it in one of them",
        )


def learned(workspace: Workspace, members: Sequence[Pinned]) -> Callable[[pl.DataFrame], pl.Series] | None:
    """Which rows the members have learned from, compositions among them included; None where there are no members."""
    if not members:
        return None
    from modelway.training.prepare import trained_keys

    keys = [
        trained_keys(made, workspace.artifacts) if not fitted.refitted else read_keys(workspace, made)
        for made, fitted in _trainings(workspace, members)
    ]
    every = pl.concat(keys) if keys else pl.Series([], dtype=pl.String)
    return lambda rows: rows["_key"].cast(pl.String).is_in(every.implode())


def read_keys(workspace: Workspace, made: TrainingSet) -> pl.Series:
    """All keys of a training set."""
    from modelway.training.frames import read_training_set

    return read_training_set(made, workspace.artifacts)["_key"]


def _trainings(workspace: Workspace, members: Sequence[Pinned]) -> list[tuple[TrainingSet, Fit]]:
    found = list[tuple[TrainingSet, Fit]]()
    for one in members:
        run = versions.get(workspace.database, one.model, one.version).run
        inner = record(workspace, run, "ingest").members
        if inner:
            found += _trainings(workspace, inner)
        else:
            found.append((record(workspace, run, "prepare"), record(workspace, run, "train")))
    return found


def fitted(workspace: Workspace, spec: Spec, made: TrainingSet, members: Sequence[Pinned]) -> Fit:
    """The composition as an artefact, in the place of an estimator. Raises StateError for members of other classes."""
    from modelway.training.environment import environment

    compose = spec.compose or Compose()
    for one in members:
        theirs = loads(Manifest, workspace.artifacts.get(one.digest)).classes
        if one.model in compose.peers and theirs != made.classes:
            told, wanted = ", ".join(theirs) or "none", ", ".join(made.classes)
            raise StateError(
                f"{one} knows the classes {told}, and the rows of {spec.model} have {wanted}, in this order",
                "ask models of the same classes, with the same data.positive",
            )
    composition = Composition(made.columns, made.task, made.width, composed.plain_of(compose), tuple(members))
    put = workspace.artifacts.put
    return Fit(put(dumps(composition)), {}, 0, 0.0, code=put(NO_CODE), environment=put(environment()))


def proved(
    workspace: Workspace,
    spec: Spec,
    made: TrainingSet,
    fitted: Fit,
    members: Sequence[Pinned],
    held: pl.DataFrame,
) -> Graph:
    """The composition as what answers; a row must be answered alone as it is among others. Raises StateError."""
    exactness = _exactness(workspace, members)
    graph = Graph(fitted.estimator, made.columns, exactness, Parity(0, 0.0, _TOLERANCE[exactness], {}), form="composed")
    rows = held.head(_ALONE)
    together = graph_scores(workspace, graph, rows, spec.model)
    alone = _one_by_one(workspace, graph, rows)
    if not np.array_equal(np.isnan(together), np.isnan(alone)):
        raise StateError(f"{spec.model} has an answer for a row alone and none among others, or the reverse", "")
    apart = np.abs(together - alone) / np.maximum(1.0, np.abs(together))
    worst = float(np.nanmax(apart, initial=0.0))
    if worst > graph.parity.tolerance:
        raise StateError(
            f"{spec.model} answers a row alone otherwise than among others, by up to {worst:.1e}",
            "look at its members: an answer must depend on its own row alone",
        )
    return replace(graph, parity=replace(graph.parity, rows=rows.height, worst=worst, cases={"alone": rows.height}))


def _one_by_one(workspace: Workspace, graph: Graph, rows: pl.DataFrame) -> np.ndarray:
    from modelway.flow.forms import open_run
    from modelway.training.frames import normalised

    run, ready = open_run(workspace, graph, "the candidate", patient=True), normalised(rows, graph.columns)
    numbers = ready.select(_of(graph.columns, "number")).to_numpy().tolist()
    words = ready.select(_of(graph.columns, "word")).to_numpy().tolist()
    made = [run([numbers[n]] if numbers else [[]], [words[n]] if words else [[]])[0] for n in range(rows.height)]
    return np.array(made, dtype=np.float64)


def _of(columns: Sequence[Column], kind: str) -> list[str]:
    return [column.name for column in columns if column.kind == kind]


def _exactness(workspace: Workspace, members: Sequence[Pinned]) -> Exactness:
    found = {loads(Manifest, workspace.artifacts.get(one.digest)).exactness for one in members}
    return "single" if "single" in found else "double"
