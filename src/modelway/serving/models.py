"""The loaded models: what is desired (routes) against what is in memory, exchanged without a failed request.

A look at the routes loads what is missing beside the running versions, then puts the new entry in place of the old one by
one assignment. A request holds the entry that it was given, so the old versions live until their last request has ended.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from modelway.errors import ModelwayError, NotFoundError, StateError
from modelway.records import Route
from modelway.serving.room import Room
from modelway.serving.routes import choose, rescaled
from modelway.serving.servable import Servable

Load = Callable[[str, str, int], Servable]
"""Manifest digest, model, version number → the version in memory; raises ModelwayError when it cannot be loaded."""
Routes = Callable[[], Mapping[str, Route]]
Swapped = Callable[[str], None]
"""Told the model, when other versions answer from now on."""
VERSION_HEADER = "modelway-version"
"""By which a tester's request asks for a version, over HTTP and in gRPC's metadata; what it says is read by `Served.version`."""
_RETRY_SECONDS = 2.0
LOADS, EVICTIONS, LOAD_SECONDS = "modelway_loads_total", "modelway_evictions_total", "modelway_load_seconds"
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

    def version(self, name: str) -> Servable:
        """A version by number, or by what it is now (`Route.names`); raises NotFoundError unless it answers, if only in shadow."""
        there = {str(one.number): one for one in (*self.versions.values(), self.shadow) if one is not None}
        number = name if name in there else str(self.route.names.get(name, ""))
        if number not in there:
            known = ", ".join([*sorted(there, key=int), *self.route.names])
            raise NotFoundError(
                f"version {name!r} of {self.route.model!r} is not served",
                f"ask for one of {known}, or leave the version out",
            )
        return there[number]

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
    on_demand: Collection[str] = ()
    """Models that are loaded when somebody asks."""

    def get(self, model: str) -> Served:
        """Raises NotFoundError for a model that nobody routes to, StateError for one that could not be loaded, ColdError for one
        that is loaded on demand."""
        found = self.models.get(model)
        if found is not None:
            return found
        if model in self.on_demand and model not in self.problems:
            raise ColdError(f"model {model!r} is not in memory", "ask again in a moment")
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


class ColdError(StateError):
    """A model that is not in memory, and can be loaded."""


class Models:
    """Keeps `table` as the routes want it; `look` is called by one thread, `table` is read by any.

    With `room`, a model is loaded when somebody asks for it (`warm`), and those that were used least recently make room.
    """

    def __init__(
        self,
        load: Load,
        routes: Routes,
        *,
        seconds: Callable[[], float] = time.monotonic,
        swapped: Swapped = lambda model: None,
        room: Room | None = None,
        counted: Callable[[str, int], None] = lambda name, number: None,
        observed: Callable[[str, float], None] = lambda name, value: None,
    ) -> None:
        self._load = load
        self._room, self._counted, self._observed = room, counted, observed
        self._wanted: Mapping[str, Route] = {}
        self._used: dict[str, float] = {}
        self._mutex = threading.RLock()
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
        if wanted is self._wanted and self.table.looked and not self.table.problems:
            return
        with self._mutex:
            self._wanted = wanted  # before the others: whoever is loaded on demand meanwhile follows these routes
        for model, route in wanted.items():
            if self._room is None or model in self.table.models or model in self.table.problems:
                with self._mutex:
                    self._settle(model, route)
        with self._mutex:
            models = {model: served for model, served in self.table.models.items() if model in wanted}
            problems = {model: text for model, text in self.table.problems.items() if model in wanted}
            there = () if self._room is None else frozenset(wanted)
            if not self.table.looked or (models, problems, there) != (
                self.table.models,
                self.table.problems,
                self.table.on_demand,
            ):
                self.table = Table(models, problems, looked=True, on_demand=there)

    def names(self) -> list[str]:
        """The models that are served, in memory or not."""
        return sorted({*self.table.models, *self.table.on_demand})

    def use(self, model: str) -> Served:
        """What answers for a model, which counts as used; raises what `Table.get` does."""
        served = self.table.get(model)
        if self._room is not None:
            self._used[model] = self._seconds()
        return served

    def warm(self, model: str) -> None:
        """Load a model that somebody asks for, when others have made room; not on the event loop. Raises StateError."""
        room = self._room
        with self._mutex:
            route = self._wanted.get(model)
            if room is None or route is None or model in self.table.models:
                return
            began = self._seconds()
            self._make_room(room)
            before = room.held()
            self._used[model] = self._seconds()
            self._settle(model, route)
            room.note(before)
            self._counted(LOADS, 1)
            self._observed(LOAD_SECONDS, self._seconds() - began)

    def _make_room(self, room: Room) -> None:
        if not room.lacks:
            return
        number = max(room.lacks, len(self.table.models) // 50, 1)  # some more than needed: giving back takes its time
        oldest = sorted(self.table.models, key=lambda model: self._used.get(model, 0.0))[:number]
        kept = {model: served for model, served in self.table.models.items() if model not in set(oldest)}
        self.table = replace(self.table, models=kept)
        self._counted(EVICTIONS, len(oldest))
        room.give_back()
        if room.lacks and not kept:
            raise StateError(
                f"no room for a model: {room.held() / 1e6:,.0f} MB are held, and serving.memory is {room.limit / 1e6:,.0f}",
                "raise serving.memory in stack.yaml",
            )

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
