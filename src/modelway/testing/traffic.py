"""What every traffic adapter must keep: subclass TrafficChecks in a test module and give it a `reopen` fixture."""

import threading
from collections.abc import Callable
from dataclasses import replace

from modelway.records import Route
from modelway.rollout.traffic import Traffic

Reopen = Callable[[], Traffic]
"""Another handle on the same routes, as another process would have it."""


def _route(model: str, version: int = 1, share: float = 1.0, shadow: int | None = None) -> Route:
    shares = {str(version): share} | ({str(version + 1): 1 - share} if share < 1 else {})
    named = {*shares, *([] if shadow is None else [str(shadow)])}
    return Route(model, shares, {name: name.zfill(64) for name in named}, shadow)


class TrafficChecks:
    """Each check takes the fixture `reopen`; at the start there are no routes."""

    def test_at_the_start_there_is_no_route(self, reopen: Reopen) -> None:
        assert reopen().routes() == {}

    def test_what_was_applied_is_seen_by_others(self, reopen: Reopen) -> None:
        cut = replace(_route("c", 5, 0.5), slices=((6, 0.5), (5, 0.5)), salt="experiment 1", names={"champion": 5})
        routes = [_route("a"), _route("b", 3, 0.95, shadow=4), cut]
        for route in routes:
            reopen().apply(route)
        found = reopen().routes()
        assert [replace(found[r.model], generation=0) for r in routes] == routes

    def test_the_same_route_again_changes_nothing(self, reopen: Reopen) -> None:
        reopen().apply(_route("a"))
        before = reopen().routes()
        reopen().apply(replace(_route("a"), generation=99))
        assert reopen().routes() == before

    def test_each_change_is_a_generation(self, reopen: Reopen) -> None:
        traffic, seen = reopen(), []
        for version in (1, 2, 1):
            traffic.apply(_route("a", version))
            seen.append(traffic.routes()["a"].generation)
        assert seen == [seen[0], seen[0] + 1, seen[0] + 2]

    def test_writers_at_once_lose_nothing(self, reopen: Reopen) -> None:
        def write(model: str) -> None:
            for version in range(1, 11):
                reopen().apply(_route(model, version))

        threads = [threading.Thread(target=write, args=(f"m{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert {model: set(route.shares) for model, route in reopen().routes().items()} == {
            f"m{n}": {"10"} for n in range(4)
        }
        assert {route.generation for route in reopen().routes().values()} == {10}

    def test_ping_returns(self, reopen: Reopen) -> None:
        reopen().ping()
