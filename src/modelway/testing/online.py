"""What every store of online values must keep: subclass OnlineChecks in a test module and give it an `opened` fixture."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from modelway.errors import DataError, EngineError
from modelway.expressions.values import microseconds
from modelway.features.online import FAR, Look, OnlineValues, PastEvent, PastLabel, statements
from modelway.features.past import Past

Opened = Callable[[], OnlineValues]
"""A handle on the same values, as another process would have it; the fixture closes what it gave."""
T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
GROUPS = ((), ("card",), ("card", "shop"), (statements("shops"),))
"""What the fixture opens the values for."""


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
    return seen(values, by, entity, since=since, until=until, known=known).keys


def seen(
    values: OnlineValues,
    by: tuple[str, ...] = ("card",),
    entity: tuple[str, ...] = ("c1",),
    *,
    since: int = -10_000,
    until: int = 10_000,
    known: int | None = None,
) -> Past:
    """One look; times in minutes after T0."""
    look = Look(by, entity, _us(since), _us(until))
    return values.look([look], None if known is None else _us(known))[0]


def _us(minutes: int) -> int:
    return microseconds(T0 + minutes * MINUTE)


class OnlineChecks:
    """Each check takes the fixture `opened`; at the start there are no values."""

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
        found = seen(opened(), since=0, until=1)
        assert (found.keys, list(found.at)) == (["ä/1"], [microseconds(given.at)])
        assert {name: list(values) for name, values in {**found.numbers, **found.words}.items()} == {
            "amount": [0.1],
            "kind": ["ü"],
        }

    def test_a_double_is_one_event(self, opened: Opened) -> None:
        values = opened()
        values.put([event("a", 1), event("a", 1)], {0: 2})
        values.put([event("a", 1, arrived=7)], {0: 3})
        assert keys(values) == ["a"]

    def test_a_correction_stands_as_of_its_arrival(self, opened: Opened) -> None:
        values = opened()
        values.put([event("a", 1, amount=1.0)], {0: 1})
        values.put([event("a", 2, arrived=5, amount=2.0)], {0: 2})

        def told(known: int | None) -> list[tuple[int, float]]:
            found = seen(values, known=known)
            return list(zip(found.at, found.numbers.get("amount", ()), strict=True))

        assert told(0) == []
        assert told(4) == [(_us(1), 1.0)]
        assert told(5) == told(None) == [(_us(2), 2.0)]

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
            found = seen(values, known=known)
            told = [target if target == target else None for target in found.targets]
            return dict(zip(found.keys, told, strict=True))

        assert targets(8) == {"early": 1.0, "later": None}
        assert targets(9) == {"early": 1.0, "later": 0.0}
        assert targets(12) == targets(None) == {"early": 1.0, "later": 1.0}

    def test_an_event_may_bring_its_label(self, opened: Opened) -> None:
        values = opened()
        arrived = T0 + MINUTE
        values.put([PastEvent("a", T0, arrived, {"card": "c1"}, {}, 1.0, arrived)], {0: 1})
        assert (list(seen(values, known=1).targets), list(seen(values).targets)) == ([1.0], [1.0])

    def test_positions_are_kept_by_stream_and_never_go_back(self, opened: Opened) -> None:
        values = opened()
        values.put([event("a", 1)], {0: 5, 1: 2})
        values.label([], {0: 9})
        values.put([], {0: 3})
        assert (opened().upto("events"), opened().upto("labels")) == ({0: 5, 1: 2}, {0: 9})

    def test_what_is_forgotten_is_gone_or_refused_and_the_rest_stays(self, opened: Opened) -> None:
        values = opened()
        values.put([event("a", 1), event("b", 5)], {0: 2})
        assert values.forget(T0 + 5 * MINUTE) == 1
        assert keys(values, since=5) == []
        assert keys(values, since=5, until=9) == []
        assert values.upto() == {0: 2}
        for handle in (values, opened()):
            handle.upto()
            with pytest.raises(DataError, match="reaches back"):
                keys(handle, since=3)

    def test_what_is_erased_by_key_leaves_all_groups_with_its_corrections_and_labels(self, opened: Opened) -> None:
        values = opened()
        values.put([event("a", 1), event("b", 2, shop="s2"), event("c", 3, card="c2")], {0: 3})
        values.put([event("a", 2, arrived=5, card="c2", amount=2.0)], {0: 4})
        values.label([PastLabel("a", 1.0, T0), PastLabel("b", 0.0, T0)], {0: 2})
        assert values.erase(["a", "never seen"], {}) == 2
        for handle in (values, opened()):
            assert keys(handle, (), ()) == ["b", "c"]
            assert (keys(handle), keys(handle, entity=("c2",))) == (["b"], ["c"])
            assert keys(handle, ("card", "shop"), ("c1", "s1")) == []
            assert (handle.upto(), handle.upto("labels")) == ({0: 4}, {0: 2})
        assert values.erase(["a"], {}) == 0
        values.put([event("a", 7)], {0: 5})
        target = next(iter(seen(values, since=6).targets))
        assert target != target
        assert list(seen(values, until=6).targets) == [0.0]

    def test_an_entity_is_erased_with_all_its_keys(self, opened: Opened) -> None:
        values, name = opened(), statements("shops")
        said = [PastEvent(f"{s}", T0, T0, {name: s}, {"size": 1.0}) for s in ("s1", "s2")]
        values.put(said, {0: 2}, name)
        values.put([event("a", 1), event("b", 2, card="c2"), event("c", 3, shop="s2")], {0: 3})
        values.put([event("b", 2, arrived=9)], {0: 4})
        assert values.erase([], {"card": "c2"}) == 2
        assert keys(values, (), ()) == ["a", "c"]
        assert values.erase([], {"shop": "s1", name: "s1"}) == 2
        assert keys(values, (), ()) == ["c"]
        found = [values.look([Look((name,), (s,), FAR, _us(9))], None)[0].keys for s in ("s1", "s2")]
        assert found == [[], ["s2"]]

    def test_what_outlives_its_record_is_erased_too(self, opened: Opened) -> None:
        values = opened()
        values.put([event("old", 1), event("new", 5), event("other", 5, card="c2")], {0: 3})
        values.forget(T0 + 4 * MINUTE)
        values.erase([], {"card": "c1"})
        assert keys(values, since=4) == []
        assert keys(values, (), (), since=4) == ["other"]

    def test_of_many_events_the_others_stay_in_order(self, opened: Opened) -> None:
        values = opened()
        values.put([event(f"k{n:04d}", n) for n in range(600)], {0: 600})
        assert values.erase([f"k{n:04d}" for n in range(600) if n % 3], {}) == 400
        assert keys(values) == [f"k{n:04d}" for n in range(0, 600, 3)]
        values.put([event("late", 100)], {0: 601})
        assert keys(values, since=95, until=105) == ["k0096", "k0099", "late", "k0102", "k0105"]

    def test_what_is_cleared_is_as_at_the_start(self, opened: Opened) -> None:
        values = opened()
        values.put([event("a", 1)], {0: 1})
        values.label([PastLabel("a", 1.0, T0)], {0: 1})
        values.clear()
        assert (keys(values), values.upto(), values.upto("labels")) == ([], {}, {})
        values.put([event("a", 2)], {0: 1})
        assert (list(seen(values).at), values.upto()) == ([_us(2)], {0: 1})

    def test_of_a_joined_table_what_holds_stays_however_old(self, opened: Opened) -> None:
        values, name = opened(), statements("shops")
        said = [PastEvent(f"{n}", T0 + n * MINUTE, T0 + n * MINUTE, {name: "s1"}, {"size": float(n)}) for n in range(4)]
        values.put(said, {0: 4}, name)
        values.forget(T0 + 2 * MINUTE)
        found = values.look([Look((name,), ("s1",), FAR, _us(9), newest=True)], None)[0]
        assert (list(found.numbers["size"])[-1], values.upto(name)) == (3.0, {0: 4})
        found = values.look([Look((name,), ("s1",), FAR, _us(2), newest=True)], None)[0]
        assert list(found.numbers["size"]) == [2.0]

    def test_one_call_brings_several_entities_and_groups(self, opened: Opened) -> None:
        values = opened()
        values.put([event("a", 1), event("b", 2, card="c2")], {0: 2})
        looks = [Look(("card",), ("c2",), _us(0), _us(9)), Look((), (), _us(0), _us(9)), Look(("card",), ("x",), 0, 1)]
        assert [past.keys for past in values.look(looks, None)] == [["b"], ["a", "b"], []]

    def test_a_group_that_it_was_not_opened_for_is_an_error(self, opened: Opened) -> None:
        with pytest.raises(EngineError, match="shop"):
            keys(opened(), ("shop",), ("s1",))

    def test_many_events_of_one_entity_come_back_in_order(self, opened: Opened) -> None:
        values = opened()
        places = [(n * 7919) % 1_000 for n in range(1_000)]
        for start in range(0, 1_000, 100):
            values.put([event(f"k{n:04d}", n) for n in places[start : start + 100]], {0: start + 100})
        values.put([event("k0500", 501, arrived=5_000)], {0: 1_001})
        whole = keys(values)
        assert whole[499:503] == ["k0499", "k0501", "k0500", "k0502"]
        assert (len(whole), keys(values, since=998)) == (1_000, ["k0999"])
        assert len(keys(values, known=4_999, since=100, until=600)) == 500

    def test_two_writers_of_the_same_events_double_nothing(self, opened: Opened) -> None:
        one, other = opened(), opened()
        one.put([event("a", 1), event("b", 2)], {0: 2})
        other.put([event("b", 2), event("c", 3)], {0: 3})
        assert (keys(one), one.upto()) == (["a", "b", "c"], {0: 3})

    def test_ping_returns(self, opened: Opened) -> None:
        opened().ping()
