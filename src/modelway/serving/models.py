"""The loaded models: what is desired (routes) against what is in memory, exchanged without a failed request.

A look at the routes loads what is missing beside the running versions, then puts the new entry in place of the old one by
one assignment. A request holds the entry that it was given, so the old versions live until their last request has ended.

A challenger, which is the version that a route names as its shadow, or any but the champion where the route names that, is loaded
by a function of its own, as one that must not hurt the others; when it becomes champion it is loaded once more, as champions
are, and exchanged like any other.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from modelway.errors import ModelwayError, NotFoundError, StateError
from modelway.records import Route
from modelway.serving.room import Room
from modelway.serving.routes import choose, without_missing
from modelway.serving.servable import Servable

Load = Callable[[str, str, int], Servable]
"""Manifest digest, model, version number → the version in memory; raises ModelwayError when it cannot be loaded."""
Routes = Callable[[], Mapping[str, Route]]
Swapped = Callable[[str], None]
"""Told the model, when other versions answer from now on."""
VERSION_HEADER = "modelway-version"
"""By which a tester's request asks for a version, over HTTP and in gRPC's metadata; what it says is read by `Served.version`."""
_RETRY_SECONDS = 2.0
_LOADERS = 4
"""Models that are loaded at one time: some wait for a process to start."""
_ASIDE = 50
"""Loads after which what is loaded is set aside, at the latest."""
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

    def beside(self, challenger: Servable) -> Servable | None:
        """The champion, if this is not it but a challenger or an arm of an experiment."""
        if self.shadow is challenger:
            return self.other(challenger)
        champion = self.route.names.get("champion", challenger.number)
        return None if champion == challenger.number else self.versions.get(champion)

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
    """Models that are loaded when somebody asks, or are being loaded: whoever asks waits for it."""

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

    Models are loaded in threads of their own, so that one which takes long keeps no other waiting; at the start, those first that
    somebody asks for.

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
        challenger: Load | None = None,
        set_aside: Callable[[], None] = lambda: None,
    ) -> None:
        self._load, self._challenger = load, challenger or load
        self._room, self._counted, self._observed = room, counted, observed
        self._wanted: Mapping[str, Route] = {}
        self._used: dict[str, float] = {}
        self._due: dict[str, Route] = {}
        self._settling: set[str] = set()
        self._loaders = self._loads = 0
        self._set_aside = set_aside
        self._mutex, self._making_room = threading.RLock(), threading.Lock()
        self._settled = threading.Condition(self._mutex)
        self._routes = routes
        self._seconds = seconds
        self._swapped = swapped
        self._again: dict[str, float] = {}
        self.table = Table()

    def look(self, patience: float | None = None) -> None:
        """Compare once, load what is missing, and exchange model by model. What takes longer than `patience` goes on meanwhile."""
        try:
            wanted = self._routes()
        except ModelwayError as error:
            self._tell("*", error.problem)
            return
        with self._mutex:
            if wanted is self._wanted and self.table.looked and not (self.table.problems or self._busy):
                return
            self._wanted = wanted  # before the others: whoever is loaded on demand meanwhile follows these routes
            models = {model: served for model, served in self.table.models.items() if model in wanted}
            problems = {model: text for model, text in self.table.problems.items() if model in wanted}
            self.table = Table(models, problems, self.table.looked, frozenset(wanted))
            for model, route in wanted.items():
                if self._room is None or model in models or model in problems:
                    self._begin(model, route)
            self._settled.wait_for(lambda: not self._busy, patience)
            if not (self.table.looked or self._busy):
                self.table = replace(self.table, looked=True)
                self._set_aside()

    @property
    def _busy(self) -> bool:
        return bool(self._due or self._settling)

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
        if self._room is None:
            self._hasten(model)
            return
        with self._making_room:
            if model not in self._wanted or model in self.table.models:
                return
            began = self._seconds()
            self._make_room(self._room)
            before = self._room.held()
            self._used[model] = self._seconds()
            self._hasten(model)
            self._room.note(before)
            self._counted(LOADS, 1)
            self._observed(LOAD_SECONDS, self._seconds() - began)

    def _hasten(self, model: str) -> None:
        """Loaded now by this thread, or by the one that is at it."""
        with self._mutex:
            route = self._due.pop(model, None)
            if route is None and model not in self._settling and model not in self.table.models:
                route = self._wanted.get(model)
            if route is None:
                self._settled.wait_for(lambda: model not in self._settling)
                return
            self._settling.add(model)
        self._settle(model, route)

    def _begin(self, model: str, route: Route) -> None:
        """In a thread, unless it stands as it should, or is at it, or has failed a moment ago."""
        if model in self._settling or not self._is_due(model, route):
            return
        self._due[model] = route
        if self._loaders < _LOADERS:
            self._loaders += 1
            threading.Thread(target=self._settle_all, name="loading", daemon=True).start()

    def _settle_all(self) -> None:
        while True:
            with self._mutex:
                model = next(iter(self._due), None)
                if model is None:
                    self._loaders -= 1
                    return
                route = self._due.pop(model)
                self._settling.add(model)
            self._settle(model, route)

    def _make_room(self, room: Room) -> None:
        if not room.lacks:
            return
        number = max(room.lacks, len(self.table.models) // 50, 1)  # some more than needed: giving back takes its time
        oldest = sorted(self.table.models, key=lambda model: self._used.get(model, 0.0))[:number]
        with self._mutex:
            kept = {model: served for model, served in self.table.models.items() if model not in set(oldest)}
            self.table = replace(self.table, models=kept)
        self._counted(EVICTIONS, len(oldest))
        room.give_back()
        if room.lacks and not kept:
            raise StateError(
                f"no room for a model: {room.held() / 1e6:,.0f} MB are held, and serving.memory is {room.limit / 1e6:,.0f}",
                "raise serving.memory in stack.yaml",
            )

    def _is_due(self, model: str, route: Route) -> bool:
        old = self.table.models.get(model)
        same = old is not None and old.wanted == route
        if model in self.table.problems:
            return not (same or old is None) or self._seconds() >= self._again.get(model, 0.0)
        return not same

    def _settle(self, model: str, route: Route) -> None:
        try:
            old = self.table.models.get(model)
            new, problems = self._loaded(route, old)
            with self._mutex:
                if model not in self._wanted:
                    return
                if new is not None:
                    self.table = replace(self.table, models={**self.table.models, model: new})
                if old is not None and new is not None and new.answering != old.answering:
                    self._swapped(model)
                self._tell(model, "; ".join(problems))
                self._again[model] = self._seconds() + _RETRY_SECONDS
        finally:
            with self._mutex:
                self._settling.discard(model)
                self._settled.notify_all()
                self._loads += 1
                if self._loads % _ASIDE == 0:
                    self._set_aside()

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
        served = without_missing(route, frozenset(made)) if broken else route
        before = {number: s for number, s in old.versions.items() if s.way is None} if old else {}
        known = {**before, **made, **({shadow.number: shadow} if shadow else {})}
        return Served(route, served, made, shadow, known), problems

    def _get(self, route: Route, number: int, old: Served | None, problems: list[str]) -> Servable | None:
        digest = route.manifests.get(str(number), "")
        challenger = number == route.shadow or route.names.get("champion", number) != number
        there = old.known.get(number) if old else None
        if there is not None and there.digest != digest:
            there = None
        if there is not None and (challenger or there.way is None):
            return there
        try:
            return (self._challenger if challenger else self._load)(digest, route.model, number)
        except ModelwayError as error:
            problems.append(f"version {number} cannot be loaded: {error.problem}")
        except Exception as error:  # noqa: BLE001 - one broken version must not keep the other models from being exchanged
            _log.exception("loading %s@%d", route.model, number)
            problems.append(f"version {number} cannot be loaded: {type(error).__name__}: {error}")
        return there  # a challenger that has become champion goes on where it is

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
        while True:
            models.look(every_seconds)
            if stop.wait(every_seconds):
                return

    thread = threading.Thread(target=run, name="routes", daemon=True)
    thread.start()
    return thread
