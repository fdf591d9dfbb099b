"""Models at rest: where nothing has come and nothing was decided, a look can wait, so that fifty models cost little more than one.

What only time brings (a schedule, a retry, a lease of a dead process) waits for `LONGEST` at most.
"""

import time
from dataclasses import dataclass, field

from modelway.flow.sources import labels_topic, predictions_topic
from modelway.state import ledger
from modelway.workspace import Workspace

LONGEST = 10.0
"""Seconds."""

Signs = tuple[object, ...]
"""What changes whenever there may be something to do at once."""


@dataclass
class Rest:
    """By model what was seen at the last whole look, and until when nothing but a change of it calls for another."""

    seen: dict[str, tuple[Signs, float]] = field(default_factory=dict)

    def still(self, model: str, signs: Signs) -> bool:
        """Whether the model can wait."""
        before, until = self.seen.get(model, ((), 0.0))
        return before == signs and time.monotonic() < until

    def looked(self, workspace: Workspace, model: str, signs: Signs) -> None:
        """A whole look was taken; `signs` as they were before it, so that what it did itself calls for the next."""
        every = workspace.spec(model).monitoring.every.total_seconds()
        self.seen[model] = (signs, time.monotonic() + min(LONGEST, every))


def signs_of(workspace: Workspace, model: str) -> Signs:
    """The spec's file, the ledger's end, and the ends of the model's topics. Raises what reading them raises."""
    spec, told = workspace.spec(model), workspace.places.spec(model).stat()
    topics = (spec.topic, labels_topic(spec), predictions_topic(spec))
    ends = tuple(tuple(workspace.log.ends(topic).items()) for topic in topics)
    return told.st_mtime_ns, told.st_size, ledger.newest(workspace.database), ends
