"""The protocol's repository extension: what is there, and why it cannot be changed from here; pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from modelway.serving.models import Table
from modelway.serving.status import MethodError

READY, UNAVAILABLE = "READY", "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class Listed:
    """One version; `version` is "" and `state` UNAVAILABLE for a model of which none could be loaded."""

    name: str
    version: str
    state: str
    reason: str = ""


def listed(table: Table, ready: bool = False) -> Iterator[Listed]:
    """Every version in memory that may be asked, then the models that could not be loaded (`ready`: not these)."""
    for name, served in sorted(table.models.items()):
        shadow = [] if served.shadow is None else [served.shadow.number]
        for number in sorted({*served.versions, *shadow}):
            reason = "" if number in served.versions else "answers in shadow, and when it is asked for by its number"
            yield Listed(name, str(number), READY, reason or table.problems.get(name, ""))
    for name, problem in sorted(table.problems.items()):
        if name not in table.models and not ready:
            yield Listed(name, "", UNAVAILABLE, problem)


def demand_loaded(table: Table, model: str) -> None:
    """A released model is loaded by itself; raises NotFoundError, StateError where it is not."""
    table.get(model)


def refuse_unload(table: Table, model: str) -> None:
    """Never returns: what a release put there is not taken away by a client. Raises NotFoundError, MethodError."""
    table.get(model)
    raise MethodError(
        f"{model!r} is served because it is released, and is not unloaded by a client",
        "modelway rollback puts the version before it back",
    )
