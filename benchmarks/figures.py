"""A benchmark's result: figures, each with its spread and, where one is set, its target."""

from dataclasses import dataclass, field

from benchmarks.measure import Spread


@dataclass(frozen=True)
class Target:
    """What a figure should be: at most, or at least."""

    at_most: float | None = None
    at_least: float | None = None

    def met(self, value: float) -> bool:
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)

    def words(self) -> str:
        bound, sign = (self.at_most, "≤") if self.at_most is not None else (self.at_least, "≥")
        return f"{sign} {bound:g}".replace("-", "−")


@dataclass(frozen=True)
class Figure:
    """`low` and `high` are the least and the greatest repetition; a `target` is in words, `met` says whether it holds."""

    name: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    repetitions: int = 1
    target: str = ""
    met: bool | None = None
    note: str = ""


@dataclass(frozen=True)
class Result:
    """`versions` names what was measured against, in its own environment; `notes` say how, and what is missing."""

    title: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)


def figure(name: str, found: Spread | float, unit: str, target: Target | None = None, note: str = "") -> Figure:
    """A figure of a spread, or of one value that has none (a ratio of medians)."""
    said, held = "", None
    value = found.median if isinstance(found, Spread) else found
    if target is not None:
        said, held = f"{target.words()} {unit}", target.met(value)
    if isinstance(found, Spread):
        return Figure(name, value, unit, found.low, found.high, found.repetitions, said, held, note)
    return Figure(name, value, unit, target=said, met=held, note=note)
