"""The part of modelway.yaml that makes one model of others: a chain, a weighted ensemble or a router, with a fallback."""

from collections.abc import Iterator

from pydantic import Field, model_validator

from modelway.spec.document import Place
from modelway.spec.part import Part
from modelway.spec.units import Duration


class Branch(Part):
    ask: str
    """The model that answers the rows for which `when` holds."""
    when: str | None = None
    """A rule over the columns of the row, in the language of features; absent: all rows that are left."""


class Step(Part):
    """A model to ask, or an expression; written as a name alone, a model."""

    ask: str | None = None
    """A model. Of two classes, its answer as a column is the probability of the positive one."""
    expr: str | None = None
    """An expression over the columns and the answers before it, in the language of features."""
    name: str | None = Field(default=None, alias="as")
    """The column that the answer becomes for the steps after it; absent: the model's name."""

    @model_validator(mode="after")
    def _one_kind(self) -> "Step":
        if (self.ask is None) == (self.expr is None):
            raise ValueError("a step is either `ask`, with a model, or `expr`; write one of them")
        return self

    @property
    def column(self) -> str:
        return self.name or self.ask or ""


class Fallback(Part):
    ask: str
    """The model that answers where the others give no number, fail, or are late."""
    after: Duration | None = None
    """What a call of the others may take; absent: they are waited for. It counts for a call, of one row or of many."""

    @model_validator(mode="after")
    def _some_time(self) -> "Fallback":
        if self.after is not None and not self.after:
            raise ValueError("after: 0 leaves no time to answer; write for example 50ms")
        return self


class Compose(Part):
    """One model made of other models of the workspace. A run takes the versions of them that serve then."""

    route: tuple[Branch, ...] = ()
    """Each row is answered by one model, that of the first rule that holds. The last entry has no `when`."""
    ensemble: dict[str, float] = Field(default_factory=dict)
    """By model, its weight: the answer is the weighted mean of all."""
    chain: tuple[Step | str, ...] = ()
    """One after the other: each answer is a column for those after it, and the last is the answer."""
    fallback: Fallback | None = None
    """Who answers when a model is slow or ill."""
    rows_of: str = ""
    """The model whose rows are read where the composition names none: filled in when modelway.yaml is read."""

    @model_validator(mode="after")
    def _one_kind(self) -> "Compose":
        kinds = [kind for kind in (self.route, self.ensemble, self.chain) if kind]
        if len(kinds) != 1:
            raise ValueError(
                "has one of route, ensemble or chain; a part that is composed itself is a model of its own: name it in `ask`"
            )
        if self.chain and self.answering.ask is None and not any(step.ask for step in self.steps):
            raise ValueError("the chain asks no model; add one to it")
        return self

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(Step(ask=one) if isinstance(one, str) else one for one in self.chain)

    @property
    def answering(self) -> Step:
        """The last step of a chain."""
        return self.steps[-1]

    @property
    def places(self) -> dict[str, Place]:
        """All models that are asked, each with the first place that names it."""
        found: dict[str, Place] = {}
        for name, place in self._named():
            found.setdefault(name, place)
        return found

    def _named(self) -> Iterator[tuple[str, Place]]:
        for number, branch in enumerate(self.route):
            yield branch.ask, ("compose", "route", number, "ask")
        for name in self.ensemble:
            yield name, ("compose", "ensemble", name)
        for number, step in enumerate(self.chain):
            if isinstance(step, str):
                yield step, ("compose", "chain", number)
            elif step.ask is not None:
                yield step.ask, ("compose", "chain", number, "ask")
        if self.fallback is not None:
            yield self.fallback.ask, ("compose", "fallback", "ask")

    @property
    def principal(self) -> str:
        """The model whose rows, target and contract hold for the whole: who answers the rows that are left, or last, or first."""
        if self.route:
            return self.route[-1].ask
        if self.ensemble:
            return next(iter(self.ensemble))
        return next(step.ask for step in reversed(self.steps) if step.ask is not None)

    @property
    def peers(self) -> tuple[str, ...]:
        """Those whose answer may be the whole's: they do the same task."""
        before = {step.ask for step in self.steps} - {self.principal}
        fallback = () if self.fallback is None else (self.fallback.ask,)
        return tuple(name for name in self.places if name not in before or name in fallback)

    @property
    def rules(self) -> dict[str, str]:
        """By column: the rules of a route, each a feature that is computed and logged like any other."""
        return {rule_column(one.when): one.when for one in self.route if one.when is not None}

    @property
    def given(self) -> tuple[str, ...]:
        """The columns that steps of a chain make for those after them."""
        return tuple(step.column for step in self.steps[:-1])


def rule_column(rule: str) -> str:
    """The column that says whether a rule holds: equal names have equal meanings, in compositions of compositions too."""
    return f"when {rule}"


def compose_mistakes(compose: Compose) -> Iterator[tuple[Place, str, str]]:
    """Place, what, fix."""
    for number, branch in enumerate(compose.route):
        last = number == len(compose.route) - 1
        if last and branch.when is not None:
            what = "no rule holds for the other rows, so nobody answers them"
            yield ("compose", "route", number, "when"), what, "add an entry without `when`: - ask: MODEL"
        if not last and branch.when is None:
            what = "has no `when`, so it answers all rows, and those after it none"
            yield ("compose", "route", number), what, "give it a rule, or make it the last"
    for name, weight in compose.ensemble.items():
        if weight <= 0:
            yield ("compose", "ensemble", name), f"{weight:g} is no weight", "write a number above 0"
    if len(compose.ensemble) == 1:
        yield ("compose", "ensemble"), "has one model", "add another, each with its weight"
    seen: set[str] = set()
    for number, step in enumerate(compose.steps[:-1]):
        place: Place = ("compose", "chain", number)
        if not step.column or step.column.startswith("_"):
            yield place, "its answer has no name for the steps after it", "add for example as: ratio"
        if step.column in seen:
            yield place, f"an earlier step is named {step.column!r}", "give it another name: as: NAME"
        seen.add(step.column)
