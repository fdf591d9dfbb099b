"""The port of traffic: which version answers which share of a model's requests; `embedded.py` is the embedded adapter.

The control database is the truth; routes are its projection, and the control loop applies them again and again.
"""

from abc import ABC, abstractmethod

from modelway.records import Route


class Traffic(ABC):
    """One route a model. A server sees a route whole: as it was before, or as it is after."""

    @abstractmethod
    def apply(self, route: Route) -> None:
        """Make this the model's route. One that stands already changes nothing; routes of other models are never touched.

        The generation that is kept grows by one with each change (that of the argument is not read). When it returns, the
        route survives a power cut. Safe with several writers at once. Raises EngineError, DiskFullError (then nothing changed).
        """

    @abstractmethod
    def routes(self) -> dict[str, Route]:
        """The route of each model; {} at the start, or when all were lost. Raises EngineError."""

    @abstractmethod
    def ping(self) -> None:
        """Return if routes can be read and written; else raise EngineError."""
