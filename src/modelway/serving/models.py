"""The loaded models: what is desired (routes) against what is in memory, exchanged without a failed request.

A look at the routes loads what is missing beside the running versions, then puts the new entry in place of the old one by
one assignment. A request holds the entry that it was given, so the old versions live until their last request has ended.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from modelway.errors import ModelwayError, NotFoundError, StateError
from modelway.records import Route
from modelway.serving.routes import choose, rescaled
from modelway.serving.servable import Servable

Load = Callable[[str, str, int], Servable]
"""Manifest digest, model, version number → the version in memory; raises ModelwayError when it cannot be loaded."""
Routes = Callable[[], Mapping[str, Route]]
Swapped = Callable[[str], None]
"""Told the model, when other versions answer from now on."""
_RETRY_SECONDS = 2.0
_log = logging.getLogger("modelway.serving")


@dataclass(frozen=True, slots=True)
class Served:
    """One model as it is served now: all versions of `route` are in `versions`."""

    wanted: Route
    route: Route
    versions: Mapping[int, Servable]
    shadow: Servable | None
    known: Mapping[int, Servable]
    """These versions and those of the route before: the way back needs no loading."""

    def choose(self, caller: str) -> Servable:
        return self.versions[choose(self.route, caller)]

    def other(self, answered: Servable) -> Servable | None:
        """Who answers the same request in shadow: the challenger, or the champion where the challenger has answered."""
        if self.shadow is None or self.shadow.number != answered.number:
            return self.shadow
        return next((s for number, s in self.versions.items() if number != answered.number), None)

    def version(self, number: str) -> Servable:
        """A version by name; raises NotFoundError unless it is routed to, or answers in shadow."""
        there = dict(self.versions)
        if self.shadow is not None:
            there[self.shadow.number] = self.shadow
        if not number.isdigit() or int(number) not in there:
            raise NotFoundError(
                f"version {number!r} of {self.route.model!r} is not served",
                f"ask for one of {', '.join(map(str, sorted(there)))}, or leave the version out",
            )
        return there[int(number)]

    @property
    def newest(self) -> Servable:
        return self.versions[max(self.versions)]

    @property
    def answering(self) -> dict[int, str]:
        """The digests of the versions that answer, by number."""
        return {number: servable.digest for number, servable in self.versions.items()}


@dataclass(frozen=True, slots=True)
class Table:
    """All models at one moment; `problems` says, by model, why what is served is not what is desired."""

    models: Mapping[str, Served] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    looked: bool = False

    def get(self, model: str) -> Served:
        """Raises NotFoundError for a model that nobody routes to, StateError for one that could not be loaded."""
        found = self.models.get(model)
        if found is not None:
            return found
        if model in self.problems or not self.looked:
            problem = self.problems.get(model, "the server is starting")
            raise StateError(f"model {model!r} cannot answer yet: {problem}", "try again, or look at modelway status")
        known = ", ".join(sorted(self.models)[:20]) or "none yet"
        raise NotFoundError(
            f"no model {model!r} is served (served: {known})",
            "modelway status shows what serves; a model is served once a version of it is released",
        )

    @property
    def ready(self) -> bool:
        """Whether every desired model answers, if only by its former versions."""
        return self.looked and all(model in self.models for model in self.problems)


class Models:
    """Keeps `table` as the routes want it; `look` is called by one thread, `table` is read by any."""

    def __init__(
        self,
        load: Load,
        routes: Routes,
        *,
        seconds: Callable[[], float] = time.monotonic,
        swapped: Swapped = lambda model: None,
    ) -> None:
        self._load = load
        self._routes = routes
        self._seconds = seconds
        self._swapped = swapped
        self._again: dict[str, float] = {}
        self.table = Table()

    def look(self) -> None:
        """Compare once, load what is missing, and exchange model by model."""
        try:
            wanted = self._routes()
        except ModelwayError as error:
            self._tell("*", error.problem)
            return
        for model, route in wanted.items():
            self._settle(model, route)
        models = {model: served for model, served in self.table.models.items() if model in wanted}
        problems = {model: text for model, text in self.table.problems.items() if model in wanted}
        if not self.table.looked or (models, problems) != (self.table.models, self.table.problems):
            self.table = Table(models, problems, looked=True)

    def _settle(self, model: str, route: Route) -> None:
        old = self.table.models.get(model)
        if model in self.table.problems:
            same = old is not None and old.wanted == route
            if (same or old is None) and self._seconds() < self._again.get(model, 0.0):
                return
        elif old is not None and old.wanted == route:
            return
        new, problems = self._loaded(route, old)
        models = {**self.table.models, model: new} if new is not None else self.table.models
        self.table = replace(self.table, models=models)
        if old is not None and new is not None and new.answering != old.answering:
            self._swapped(model)
        self._tell(model, "; ".join(problems))
        self._again[model] = self._seconds() + _RETRY_SECONDS

    def _loaded(self, route: Route, old: Served | None) -> tuple[Served | None, list[str]]:
        """What can be served of a route: all of it; else the old route; without one, what could be loaded."""
        problems: list[str] = []
        shares = [int(version) for version, share in route.shares.items() if share > 0]
        made = {number: s for number in shares if (s := self._get(route, number, old, problems)) is not None}
        broken = len(made) < len(shares)
        shadow = None
        if route.shadow is not None:
            shadow = made.get(route.shadow) or self._get(route, route.shadow, old, problems)
        if broken and old is not None:
            return replace(old, wanted=route), problems
        if not made:
            return None, problems or ["its route names no version"]
        served = replace(route, shares=rescaled(route.shares, frozenset(made))) if broken else route
        known = {**(old.versions if old else {}), **made, **({shadow.number: shadow} if shadow else {})}
        return Served(route, served, made, shadow, known), problems

    def _get(self, route: Route, number: int, old: Served | None, problems: list[str]) -> Servable | None:
        digest = route.manifests.get(str(number), "")
        there = old.known.get(number) if old else None
        if there is not None and there.digest == digest:
            return there
        try:
            return self._load(digest, route.model, number)
        except ModelwayError as error:
            problems.append(f"version {number} cannot be loaded: {error.problem}")
        except Exception as error:  # noqa: BLE001 - one broken version must not keep the other models from being exchanged
            _log.exception("loading %s@%d", route.model, number)
            problems.append(f"version {number} cannot be loaded: {type(error).__name__}: {error}")
        return None

    def _tell(self, model: str, problem: str) -> None:
        before = self.table.problems.get(model, "")
        if problem == before:
            return
        if problem:
            _log.error("%s: %s", model, problem)
        problems = {name: text for name, text in self.table.problems.items() if name != model}
        self.table = replace(self.table, problems=problems | ({model: problem} if problem else {}))


def keep_looking(models: Models, every_seconds: float, stop: threading.Event) -> threading.Thread:
    """Look again and again in a thread, until `stop`."""

    def run() -> None:
        while not stop.wait(every_seconds):
            models.look()

    thread = threading.Thread(target=run, name="routes", daemon=True)
    thread.start()
    return thread
