"""A composition's versions out of the artefacts, put together as its spec says (`serving/composed.py` answers).

Imports no library for tables or training, since the server comes by here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelway.errors import StateError
from modelway.expressions.meaning import read
from modelway.expressions.row import Closure, closure
from modelway.expressions.values import Nature
from modelway.records import Column, Composition, Graph, Manifest, Pinned, loads
from modelway.serving.composed import Ask, Bound, Composed, Link, Member, averaged, backed, chained, routed
from modelway.serving.onnxruntime import Run
from modelway.serving.refusals import compile_refusal
from modelway.spec.compose import Compose, Step, rule_column
from modelway.workspace import Workspace

Open = Callable[..., Run]
"""`flow.forms.open_run`: a member may be any form, a composition too."""


@dataclass(frozen=True, slots=True)
class Names:
    """The columns of a table, in their order, at one place of a composition."""

    numbers: tuple[str, ...]
    words: tuple[str, ...]

    @classmethod
    def of(cls, columns: Sequence[Column]) -> "Names":
        return cls(*(tuple(c.name for c in columns if c.kind == kind) for kind in ("number", "word")))

    def and_(self, name: str, *, word: bool) -> "Names":
        return Names(self.numbers, (*self.words, name)) if word else Names((*self.numbers, name), self.words)


def open_composed(workspace: Workspace, made: Composition, open_run: Open, *, patient: bool = False) -> Composed:
    """The composition, with all its members in memory; `patient`: no client waits, and nobody is late.

    Raises what `open_run` raises, and StateError for a member whose columns nobody gives.
    """
    compose, pinned = Compose.model_validate(made.compose), {one.model: one for one in made.members}
    manifests = {name: loads(Manifest, workspace.artifacts.get(one.digest)) for name, one in pinned.items()}
    runs = {name: open_run(workspace, manifests[name], str(one), patient=patient) for name, one in pinned.items()}
    start = Names.of(made.columns)

    def member(name: str, names: Names) -> Member:
        return member_of(pinned[name], manifests[name], runs[name], names)

    late = compose.fallback.after if compose.fallback and not patient else None
    bound = Bound(late.total_seconds()) if late else None

    def safe(ask: Ask, name: str) -> Ask:
        if compose.fallback is None:
            return ask
        return backed(ask, member(compose.fallback.ask, start), made.classes, name, bound)

    def alone(name: str) -> Ask:
        return safe(member(name, start), str(pinned[name]))

    if compose.route:
        places = [None if b.when is None else start.numbers.index(rule_column(b.when)) for b in compose.route]
        ask = routed(list(zip(places, (alone(b.ask) for b in compose.route), strict=True)), made.classes)
    elif compose.ensemble:
        weighted = [(weight, member(name, start)) for name, weight in compose.ensemble.items()]
        ask = safe(averaged(weighted, made.classes), "the ensemble")
    else:
        ask = safe(chained(links_of(compose.steps, start, member), made.classes), "the chain")
    waits = bound is not None or any(waits_for(manifests[name], run) for name, run in runs.items())
    return Composed(ask, waits)


def waits_for(of: Manifest | Graph, run: Run) -> bool:
    """Whether a call of the run waits for a thread or another process."""
    return run.waits if isinstance(run, Composed) else of.form != "graph"


def member_of(pinned: Pinned, manifest: Manifest, run: Run, names: Names) -> Member:
    """The version, with the places at which its columns lie."""
    wanted = Names.of(manifest.columns)
    numbers, words = _places(pinned, names.numbers, wanted.numbers), _places(pinned, names.words, wanted.words)
    refusal = compile_refusal(manifest.refuses, manifest.columns)
    return Member(str(pinned), run, refusal, numbers, words, manifest.width)


def links_of(steps: Sequence[Step], names: Names, member: Callable[[str, Names], Member]) -> list[Link]:
    """The steps of a chain; each sees the columns, and the answers before it."""
    made = list[Link]()
    for number, step in enumerate(steps):
        if step.ask is not None:
            made.append(Link(ask=member(step.ask, names)))
        else:
            compute, word = expression_of(step.expr or "", f"compose.chain[{number}]", names)
            made.append(Link(compute=compute, word=word))
        names = names.and_(step.column, word=made[-1].word)
    return made


def expression_of(text: str, place: str, names: Names) -> tuple[Closure, bool]:
    """The expression over a row's numbers and words, and whether it gives a word. Raises SpecError naming the place."""
    natures: Mapping[str, Nature] = {**dict.fromkeys(names.numbers, "number"), **dict.fromkeys(names.words, "word")}
    meaning = read(text, place, natures)
    slots = {name: slot for slot, name in enumerate((*names.numbers, *names.words))}
    return closure(meaning.tree, slots), meaning.nature == "word"


def _places(pinned: Pinned, known: Sequence[str], wanted: Sequence[str]) -> tuple[int, ...]:
    missing = [name for name in wanted if name not in known]
    if missing:
        raise StateError(
            f"{pinned} takes {', '.join(missing)}, which the composition does not give it",
            "train the composition again: modelway run",
        )
    return tuple(known.index(name) for name in wanted)


def plain_of(compose: Compose) -> dict[str, Any]:
    """As it stands in a `Composition`."""
    return compose.model_dump(mode="json", by_alias=True, exclude_unset=True)
