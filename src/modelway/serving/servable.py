"""One version in memory, ready to answer: its manifest, and the plain callables that the workspace compiled for it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from modelway.records import Column, Manifest
from modelway.serving.decision import Decide, DecideAll, decision_of, decision_of_all
from modelway.serving.onnxruntime import Run
from modelway.serving.plain import Plain
from modelway.serving.refusals import Doubt, Refusal, compile_doubt, compile_refusal

Row = Mapping[str, Any]
Check = Callable[[Row], tuple[dict[str, Any], list[str]]]
"""A raw row → the typed row, and why it must be refused ([]: it is accepted)."""
Features = Callable[[Row, str, datetime, datetime], tuple[Sequence[float], Sequence[str]]]
"""(typed row, key, event time, what had arrived by then counts) → numbers and words in the order of the manifest's columns."""
Upto = Callable[[], Mapping[int, int]]
"""The log position by partition up to which online values were built; {} for a model without windows."""
Way = Callable[[], float]
"""Seconds of this thread's last run that went by on the way to another process and back."""
OWN_KEY = "_key"
"""The input under which a client may name a row of a model without a key column."""
PREDICTION, REASON, SCORE, PROBABILITY = "prediction", "reason", "score", "probability_"
"""Outputs: how odd a row is, of a detector; the last goes before the name of a class."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Servable:
    """A loaded version; never changed, and may be asked by several threads at once."""

    manifest: Manifest
    digest: str
    number: int
    inputs: tuple["Input", ...]
    run: Run
    check: Check
    features: Features
    refusal: Refusal
    upto: Upto
    derived: tuple[tuple[bool, int], ...] = ()
    """Where the columns that are no raw ones lie: (among the words?, place), in the order of the manifest's columns."""
    plain: Plain | None = None
    """Where a row needs no more than a look."""
    sticky: str = ""
    """The input by which shares are drawn: the same value is always answered by the same version; "": by the request."""
    serves_unlogged: bool = False
    """Whether a request is answered whose prediction cannot be logged."""
    longest_wait: float = 0.25
    """Seconds that a request may wait for its turn; who would wait longer is refused."""
    way: Way | None = None
    """Of a challenger, whose graph answers in a process of its own: as champion it would not have this way to go."""
    required: tuple[str, ...] = field(init=False)
    optional: tuple[str, ...] = field(init=False)
    outputs: tuple[str, ...] = field(init=False)
    decide: Decide = field(init=False)
    decide_all: DecideAll = field(init=False)
    doubt: Doubt = field(init=False)

    def __post_init__(self) -> None:
        made = {
            "required": tuple(i.name for i in self.inputs if i.required),
            "optional": tuple(i.name for i in self.inputs if not i.required),
            "outputs": (PREDICTION, *scores_of(self.manifest), REASON),
            "decide": decision_of(self.manifest),
            "decide_all": decision_of_all(self.manifest),
            "doubt": compile_doubt(self.manifest.refuses, self.manifest.columns),
        }
        for name, value in made.items():
            object.__setattr__(self, name, value)  # frozen for all others


def scores_of(manifest: Manifest) -> tuple[str, ...]:
    """The outputs that hold scores, in their order; none of a regression, whose prediction is its score."""
    return (SCORE,) if manifest.task == "anomaly" else tuple(PROBABILITY + name for name in manifest.classes)


@dataclass(frozen=True, slots=True)
class Input:
    """A raw column that a client sends, with its type in the contract."""

    name: str
    type: str
    required: bool = True


def nowhere() -> Mapping[int, int]:
    """The position of a model without online values."""
    return {}


def unhurried() -> Mapping[int, int]:
    """The same for a version whose run waits for another process: a server must not wait for it on its event loop."""
    return {}


def open_servable(
    manifest: Manifest,
    digest: str,
    number: int,
    run: Run,
    *,
    check: Check,
    features: Features,
    upto: Upto = nowhere,
    plain: Plain | None = None,
    sticky: str = "",
    serves_unlogged: bool = False,
    longest_wait: float = 0.25,
    way: Way | None = None,
) -> Servable:
    """A version with what answers for it.

    `check` is compiled from the contract of `checked_columns` alone: no client sends the target.
    """
    return Servable(
        manifest=manifest,
        digest=digest,
        number=number,
        inputs=inputs_of(manifest),
        run=run,
        check=check,
        features=features,
        refusal=compile_refusal(manifest.refuses, manifest.columns),
        upto=upto,
        derived=tuple(_derived(manifest)),
        plain=plain,
        sticky=sticky,
        serves_unlogged=serves_unlogged,
        longest_wait=longest_wait,
        way=way,
    )


def derived_columns(manifest: Manifest) -> list[Column]:
    """The columns that are made of a row and its past; none of a version without a plan."""
    raw = {i["name"] for i in manifest.features.get("inputs", ())}
    return [column for column in manifest.columns if manifest.features and column.name not in raw]


def _derived(manifest: Manifest) -> Iterator[tuple[bool, int]]:
    wanted, places = {column.name for column in derived_columns(manifest)}, {"number": 0, "word": 0}
    for column in manifest.columns:
        if column.name in wanted:
            yield column.kind == "word", places[column.kind]
        places[column.kind] += 1


def checked_columns(manifest: Manifest) -> tuple[str, ...]:
    """The raw columns that every request must bring, and that the contract judges."""
    return tuple(i.name for i in inputs_of(manifest) if i.required)


def inputs_of(manifest: Manifest) -> tuple[Input, ...]:
    """The raw columns of the features plan, then the optional ones: key, event time, entities."""
    planned = manifest.features.get("inputs")
    needed = (
        [Input(i["name"], i["type"]) for i in planned if not i.get("later")]
        if planned is not None
        else _of_columns(manifest)
    )
    names = {i.name for i in needed}
    optional = {
        manifest.key or OWN_KEY: "string",
        manifest.event_time: "datetime",
        **dict.fromkeys(manifest.entities, "string"),
    }
    return (*needed, *(Input(name, kind, False) for name, kind in optional.items() if name and name not in names))


def _of_columns(manifest: Manifest) -> list[Input]:
    return [Input(c.name, "string" if c.kind == "word" else "float") for c in manifest.columns]
