"""What `modelway new` decided, and why."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Decision:
    """One choice that a user may want to undo."""

    about: str
    decision: str
    why: str
    how_to_change: str


@dataclass(frozen=True, slots=True)
class Decisions:
    made: tuple[Decision, ...]

    def rows(self) -> list[tuple[str, str, str, str]]:
        """About, decision, why, how to change it: a line each."""
        return [(d.about, d.decision, d.why, d.how_to_change) for d in self.made]

    def about(self, name: str) -> Decision | None:
        """The first decision about a column or subject."""
        return next((d for d in self.made if d.about == name or name in d.about.split(", ")), None)


def named(names: Sequence[str], most: int = _SHOWN) -> str:
    """The names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def grouped(decisions: Iterable[Decision]) -> list[Decision]:
    """Decisions that differ only in the column become one."""
    columns: dict[tuple[str, str, str], list[str]] = {}
    for one in decisions:
        columns.setdefault((one.decision, one.why, one.how_to_change), []).append(one.about)
    return [Decision(named(names), *rest) for rest, names in columns.items()]
