"""What every store of online values must keep: subclass OnlineChecks in a test module and give it an `opened` fixture."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from modelway.features.online import OnlineValues, PastEvent, PastLabel

Opened = Callable[[], OnlineValues]
"""A handle on the same values, as another process would have it; the fixture closes what it gave."""
T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LONG = timedelta(days=400)


def event(
    key: str, at: int, *, arrived: int | None = None, card: str = "c1", shop: str = "s1", amount: float = 1.0
) -> PastEvent:
    """`at` and `arrived` in minutes after T0."""
    known = T0 + (at if arrived is None else arrived) * MINUTE
    return PastEvent(key, T0 + at * MINUTE, known, {"card": card, "shop": shop}, {"amount": amount})


def keys(
    values: OnlineValues,
    by: tuple[str, ...] = ("card",),
    entity: tuple[str, ...] = ("c1",),
    *,
    since: int = -10_000,
    until: int = 10_000,
    known: int | None = None,
) -> list[str]:
    moment = None if known is None else T0 + known * MINUTE
    return [e.key for e in values.past(by, entity, T0 + since * MINUTE, T0 + until * MINUTE, moment)]


class OnlineChecks:
    """Each check takes the fixture `opened`; at the start there are no values. Groups: (), (card), (card, shop)."""

    def test_at_the_start_there_is_nothing(self, opened: Opened) -> None:
        values = opened()
        assert (values.upto("events"), values.upto("labels"), keys(values)) == ({}, {}, [])

    def test_a_look_is_open_at_its_left_end_and_in_order(self, opened: Opened) -> None:
        values = opened()
        values.put([event("late", 3), event("b", 2), event("a", 2), event("first", 1)], {0: 4})
        assert keys(values) == ["first", "a", "b", "late"]
        assert keys(values, since=1, until=2) == ["a", "b"]
        assert keys(values, since=3) == []

    def test_an_entity_is_one_column_several_or_none(self, opened: Opened) -> None:
        values = opened()
        values.put([event("a", 1), event("b", 2, shop="s2"), event("c", 3, card="c2")], {0: 3})
        assert keys(values) == ["a", "b"]
        assert keys(values, ("card", "shop"), ("c1", "s2")) == ["b"]
        assert keys(values, (), ()) == ["a", "b", "c"]
        assert keys(values, entity=("c9",)) == []

    def test_what_was_put_comes_back_whole(self, opened: Opened) -> None:
        values = opened()
        given = PastEvent(
            "ä/1", T0 + timedelta(microseconds=1), T0 + MINUTE, {"card": "c1"}, {"amount": 0.1, "kind": "ü"}
        )
        values.put([given], {0: 1})
        assert list(opened().past(("card",), ("c1",), T0, T0 + MINUTE, None)) == [given]

    def test_a_double_is_one_event(self, opened: Opened) -> None:
        values = opened()
        values.put([event("a", 1), event("a", 1)], {0: 2})
        values.put([event("a", 1, arrived=7)], {0: 3})
        assert keys(values) == ["a"]

    def test_a_correction_stands_as_of_its_arrival(self, opened: Opened) -> None:
        values = opened()
        values.put([event("a", 1, amount=1.0)], {0: 1})
        values.put([event("a", 2, arrived=5, amount=2.0)], {0: 2})

        def seen(known: int | None) -> list[tuple[datetime, float | str]]:
            moment = None if known is None else T0 + known * MINUTE
            found = values.past(("card",), ("c1",), T0 - LONG, T0 + LONG, moment)
            return [(e.at, e.values["amount"]) for e in found]

        assert seen(0) == []
        assert seen(4) == [(T0 + MINUTE, 1.0)]
        assert seen(5) == seen(None) == [(T0 + 2 * MINUTE, 2.0)]

    def test_of_two_with_one_arrival_the_later_counts(self, opened: Opened) -> None:
        values = opened()
        values.put([event("a", 1, arrived=5, card="c1"), event("a", 1, arrived=5, card="c2")], {0: 2})
        assert (keys(values), keys(values, entity=("c2",))) == ([], ["a"])

    def test_a_label_is_known_from_its_arrival_before_or_after_its_event(self, opened: Opened) -> None:
        values = opened()
        values.label([PastLabel("early", 1.0, T0)], {0: 1})
        values.put([event("early", 1), event("later", 2)], {0: 2})
        values.label([PastLabel("later", 0.0, T0 + 9 * MINUTE), PastLabel("later", 1.0, T0 + 12 * MINUTE)], {0: 3})

        def targets(known: int | None) -> dict[str, float | None]:
            moment = None if known is None else T0 + known * MINUTE
            return {e.key: e.target for e in values.past(("card",), ("c1",), T0 - LONG, T0 + LONG, moment)}

        assert targets(8) == {"early": 1.0, "later": None}
        assert targets(9) == {"early": 1.0, "later": 0.0}
        assert targets(12) == targets(None) == {"early": 1.0, "later": 1.0}

    def test_an_event_may_bring_its_label(self, opened: Opened) -> None:
        values = opened()
        arrived = T0 + MINUTE
        values.put([PastEvent("a", T0, arrived, {"card": "c1"}, {}, 1.0, arrived)], {0: 1})
        found = values.past(("card",), ("c1",), T0 - LONG, T0, None)
        assert [(e.target, e.label_arrived) for e in found] == [(1.0, arrived)]

    def test_positions_are_kept_by_stream_and_never_go_back(self, opened: Opened) -> None:
        values = opened()
        values.put([event("a", 1)], {0: 5, 1: 2})
        values.label([], {0: 9})
        values.put([], {0: 3})
        assert (opened().upto("events"), opened().upto("labels")) == ({0: 5, 1: 2}, {0: 9})

    def test_what_is_forgotten_is_gone_and_the_rest_stays(self, opened: Opened) -> None:
        values = opened()
        values.put([event("a", 1), event("b", 5)], {0: 2})
        assert values.forget(T0 + 5 * MINUTE) == 1
        assert keys(values) == ["b"]
        assert values.upto() == {0: 2}

    def test_ping_returns(self, opened: Opened) -> None:
        opened().ping()
