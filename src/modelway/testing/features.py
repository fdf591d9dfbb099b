"""What every feature engine must keep: subclass FeatureEngineChecks in a test module and give it an `engine` fixture."""

import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from modelway.errors import DataError
from modelway.features.derived import SameInstant
from modelway.features.engine import FeatureEngine
from modelway.features.naive import rows_of, window_value
from modelway.features.plan import Plan, plan_of
from modelway.spec.model import Spec

START = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
FRAME: dict[str, Any] = {
    "_key": pl.String(),
    "_at": pl.Datetime("us", "UTC"),
    "_arrived": pl.Datetime("us", "UTC"),
    "_partition": pl.Int64(),
    "_offset": pl.Int64(),
    "_index": pl.Int64(),
    "at": pl.Datetime("us", "UTC"),
    "who": pl.String(),
    "where": pl.String(),
    "x": pl.Float64(),
    "w": pl.String(),
    "_target": pl.String(),
    "_label_arrived": pl.Datetime("us", "UTC"),
}
_NUMBERS = (None, float("nan"), -1.5, 0.0, 0.1, 0.2, 3.0, 1e16, -1e16, 1e99, 1e101, 1e-101)
_STATS = {
    "x": ("count", "sum", "mean", "std", "min", "max", "distinct", "last", "ratio"),
    "w": ("distinct", "count"),
    "": ("count",),
}
_OF_NUMBERS = ("count", "sum", "mean", "std", "min", "max", "distinct", "last")


def _placed(n: int, since: float, arrived: float) -> tuple[Any, ...]:
    return (f"s{n}", START + since * HOUR, START + arrived * HOUR, 0, n, 0)


def plan_with(features: dict[str, Any], same_instant: str = "counts", lag: str = "0s") -> Plan:
    """A model of events with a number `x`, a word `w`, two entities `who` and `where`, and a label that comes later."""
    contract = {"id": "string", "at": "datetime", "x": "float", "w": "string"}
    data: dict[str, Any] = {"source": "world", "target": "y", "positive": "1", "key": "id", "event_time": "at"}
    data |= {"entities": ["who", "where"], "labels": {"source": "labels"}, "same_instant": same_instant, "lag": lag}
    return plan_of(
        Spec.model_validate(
            {
                "model": "world",
                "task": "binary",
                "data": data,
                "contract": {name: {"type": kind} for name, kind in contract.items()},
                "features": features,
            }
        )
    )


def event(
    key: str,
    at: float,
    *,
    arrived: float | None = None,
    who: str | None = "p",
    where: str | None = "r",
    x: float | None = 1.0,
    w: str | None = "a",
    target: str | None = None,
    label_arrived: float | None = None,
) -> dict[str, Any]:
    """One row; times in hours after START, and it arrives when it happens unless told."""
    moment = START + at * HOUR
    return {
        "_key": key,
        "_at": moment,
        "_arrived": moment if arrived is None else START + arrived * HOUR,
        "at": moment,
        "who": who,
        "where": where,
        "x": x,
        "w": w,
        "_target": target,
        "_label_arrived": None if label_arrived is None else START + label_arrived * HOUR,
    }


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    """The rows, placed in the log in their order."""
    return pl.DataFrame([{"_partition": 0, "_offset": n, "_index": 0, **row} for n, row in enumerate(rows)], FRAME)


def world(seed: int, size: int = 40) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Events in which instants, arrivals, corrections and entities collide, and six windows over anything."""
    draw = random.Random(seed)
    rows, arrived, labels = [], 0.0, dict[str, tuple[str | None, float | None]]()
    for _ in range(size):
        arrived += draw.choice((0, 0, 1, 2))
        at, key = arrived + draw.randint(-6, 2), f"k{draw.randint(0, size)}"
        labels.setdefault(key, draw.choice(((None, None), ("0", at + 1), ("1", at), ("1", at + 5))))
        target, known = labels[key]
        rows.append(
            event(
                key,
                at,
                arrived=arrived,
                who=draw.choice(("p", "q", None)),
                where=draw.choice("rs"),
                x=draw.choice(_NUMBERS),
                w=draw.choice((None, "", "a", "b", "ä")),
                target=target,
                label_arrived=known,
            )
        )
    return frame(*rows), {f"f{n}": _window(draw) for n in range(6)}


def _window(draw: random.Random) -> dict[str, Any]:
    of = draw.choice(("x", "x", "w", "target", ""))
    made: dict[str, Any] = {"stat": draw.choice(_STATS.get(of, _OF_NUMBERS)), "window": f"{draw.randint(5, 12)}h"}
    if of:
        made["of"] = of
    if by := draw.choice((None, "who", ["who", "where"])):
        made["by"] = by
    if of == "target" or draw.random() < 0.4:
        made["delay"] = f"{draw.randint(1, 4)}h"
    if draw.random() < 0.3:
        made["default"] = draw.choice((0.0, -1.0))
    return made


class FeatureEngineChecks:
    """Each check takes the fixture `engine`. `tolerance` is relative, and 0 for an engine that gives every last bit."""

    tolerance = 0.0

    def same(self, one: float, other: float) -> bool:
        return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=self.tolerance, abs_tol=0.0)

    def equal(self, one: pl.DataFrame, other: pl.DataFrame) -> None:
        """The same frames, numbers within the tolerance."""
        assert one.schema == other.schema
        for name in one.columns:
            for mine, theirs in zip(one[name].to_list(), other[name].to_list(), strict=True):
                both = isinstance(mine, float) and isinstance(theirs, float)
                assert self.same(mine, theirs) if both else mine == theirs, (name, mine, theirs)

    def expect(self, engine: FeatureEngine, plan: Plan, events: pl.DataFrame, *wanted: float) -> None:
        """The first window of the last row, then of the row before, … as wanted, newest first."""
        made = engine.compute(events, events, plan)[plan.windows[0].name].to_list()[::-1]
        assert all(self.same(one, other) for one, other in zip(made, wanted, strict=False)), (made, wanted)

    @pytest.mark.parametrize("seed", range(10))
    @pytest.mark.parametrize("instant", ["counts", "does_not_count"])
    def test_it_gives_what_the_law_gives(self, engine: FeatureEngine, seed: int, instant: SameInstant) -> None:
        events, features = world(seed)
        plan = plan_with(features, instant)
        decisions = events.unique("_key", keep="last", maintain_order=True)
        made, past = engine.compute(decisions, events, plan), rows_of(events, plan)
        for window in plan.windows:
            found = made[window.name].to_list()
            right = [window_value(window, row, past, instant) for row in rows_of(decisions, plan)]
            wrong = [pair for pair in zip(found, right, strict=True) if not self.same(*pair)]
            assert wrong == [], window

    def test_a_window_is_open_at_its_far_end(self, engine: FeatureEngine) -> None:
        plan = plan_with({"n": {"stat": "count", "by": "who", "window": "3h"}})
        self.expect(engine, plan, frame(event("a", 0), event("b", 1), event("c", 3)), 2.0, 2.0, 1.0)

    def test_what_had_not_arrived_is_not_seen(self, engine: FeatureEngine) -> None:
        plan = plan_with({"n": {"stat": "count", "by": "who", "window": "9h"}})
        self.expect(engine, plan, frame(event("late", 1, arrived=5), event("b", 3), event("c", 6)), 3.0, 1.0)

    def test_what_happens_later_is_not_seen_though_it_is_there(self, engine: FeatureEngine) -> None:
        plan = plan_with({"n": {"stat": "count", "by": "who", "window": "9h"}})
        self.expect(engine, plan, frame(event("later", 5, arrived=1), event("b", 3)), 1.0)

    def test_a_correction_stands_from_its_arrival(self, engine: FeatureEngine) -> None:
        plan = plan_with({"s": {"stat": "sum", "of": "x", "by": "who", "window": "9h", "delay": "1h"}})
        events = frame(event("a", 1), event("b", 3), event("a", 1, arrived=4, x=10.0), event("c", 5))
        self.expect(engine, plan, events, 11.0)
        assert engine.compute(events[1:2], events, plan)["s"].to_list() == [1.0]

    def test_a_label_counts_from_its_arrival_and_never_for_its_own_row(self, engine: FeatureEngine) -> None:
        plan = plan_with({"r": {"stat": "mean", "of": "target", "by": "who", "window": "9h", "delay": "1h"}})
        known = event("a", 1, target="1", label_arrived=5)
        events = frame(known, event("b", 3, target="0", label_arrived=3), event("c", 4), event("d", 6))
        self.expect(engine, plan, events, 0.5, 0.0, float("nan"), float("nan"))

    def test_an_event_of_the_same_instant_counts_as_declared_or_as_asked(self, engine: FeatureEngine) -> None:
        events = frame(event("a", 1), event("b", 1))
        for declared, wanted in (("counts", 2.0), ("does_not_count", 0.0)):
            plan = plan_with({"n": {"stat": "count", "by": "who", "window": "9h"}}, declared)
            self.expect(engine, plan, events, wanted)
        assert engine.compute(events, events, plan, "counts")["n"].to_list() == [2.0, 2.0]

    def test_a_ratio_is_the_own_value_by_the_mean_of_the_others(self, engine: FeatureEngine) -> None:
        plan = plan_with({"r": {"stat": "ratio", "of": "x", "by": "who", "window": "9h"}})
        events = frame(
            event("a", 1, x=2.0), event("b", 2, x=4.0), event("c", 3, x=None), event("d", 4, x=0.0), event("e", 5)
        )
        self.expect(engine, plan, events, 0.5, 0.0, float("nan"), 2.0, float("nan"))

    def test_a_declared_lag_hides_what_had_just_arrived(self, engine: FeatureEngine) -> None:
        plan = plan_with({"n": {"stat": "count", "by": "who", "window": "9h"}}, lag="1h")
        events = frame(event("a", 1), event("b", 2.5, arrived=3), event("c", 3.5), event("d", 4))
        self.expect(engine, plan, events, 3.0, 2.0)

    def test_rows_that_came_in_a_file_lag_by_their_own_times(self, engine: FeatureEngine) -> None:
        plan = plan_with({"n": {"stat": "count", "by": "who", "window": "9h"}}, lag="1h")
        events = frame(*(event(name, at, arrived=100) for name, at in (("a", 1), ("b", 2), ("c", 2.5), ("d", 4))))
        self.expect(engine, plan, events, 1.0, 1.0, 1.0, 1.0)
        self.expect(engine, plan, events.with_columns(_together=True), 4.0, 2.0, 2.0, 1.0)

    def test_a_joined_table_gives_what_held_and_was_known(self, engine: FeatureEngine) -> None:
        join = {"table": "people", "on": "who", "key": "id", "valid_from": "since"}
        features = {
            "segment": {"join": {**join, "column": "segment"}},
            "limit": {"join": {**join, "column": "limit", "type": "float"}, "default": -1.0},
            "earlier": {"join": {**join, "column": "segment"}, "delay": "2h"},
            "rich": {"expr": 'segment == "gold"'},
        }
        said = [("p", 0, 0, "tin", 1.0), ("p", 2, 4, "gold", None), ("p", 2, 6, "gilt", 3.0), ("p", 9, 1, "later", 9.0)]
        people = pl.DataFrame(
            [
                (*_placed(n, since, arrived), who, segment, limit)
                for n, (who, since, arrived, segment, limit) in enumerate(said)
            ],
            ["_key", "_at", "_arrived", "_partition", "_offset", "_index", "id", "segment", "limit"],
            orient="row",
        )
        asked = frame(
            event("a", 1), event("b", 3), event("c", 4), event("d", 6), event("e", 6, who="q"), event("f", 6, who=None)
        )
        made = engine.compute(asked, asked, plan_with(features), tables={"people": people})
        assert made["segment"].to_list() == ["tin", "tin", "gold", "gilt", "", ""]
        assert made["limit"].to_list() == [1.0, 1.0, -1.0, 3.0, -1.0, -1.0]
        assert made["earlier"].to_list() == ["", "tin", "gold", "gilt", "", ""]
        assert made["rich"].to_list()[:4] == [0.0, 0.0, 1.0, 0.0]
        none = engine.compute(asked, asked, plan_with(features))
        assert (set(none["segment"]), set(none["limit"])) == ({""}, {-1.0})

    def test_an_entity_or_time_that_is_missing_sees_nothing(self, engine: FeatureEngine) -> None:
        plan = plan_with({"n": {"stat": "count", "by": ["who", "where"], "window": "9h"}})
        timeless = {**event("c", 2), "_at": None, "at": None}
        self.expect(
            engine, plan, frame(event("a", 1), event("b", 2, who=None), timeless, event("d", 2, where="")), 0, 0, 0
        )

    def test_expressions_come_before_and_after_windows(self, engine: FeatureEngine) -> None:
        features = {
            "double": {"expr": "x * 2"},
            "hour_of": {"expr": "hour(at)"},
            "s": {"stat": "sum", "of": "double", "by": "who", "window": "9h"},
            "share": {"expr": "x / s"},
        }
        events = frame(event("a", 1.5, x=1.0), event("b", 2, x=3.0))
        made = engine.compute(events, events, plan_with(features))
        assert made.select("double", "hour_of", "s", "share").rows() == [(2.0, 1.0, 2.0, 0.5), (6.0, 2.0, 8.0, 0.375)]

    def test_what_was_given_stands_and_the_columns_of_the_plan_follow(self, engine: FeatureEngine) -> None:
        events, features = world(99)
        plan, decisions = plan_with(features), events.unique("_key", keep="first", maintain_order=True).reverse()
        made = engine.compute(decisions, events, plan)
        given = [name for name in decisions.columns if name not in {column.name for column in plan.columns}]
        self.equal(made.select(given), decisions.select(given))
        assert {c.name: made.schema[c.name] for c in plan.columns} == {
            c.name: pl.String() if c.kind == "word" else pl.Float64() for c in plan.columns
        }
        assert sum(made.select(c.name for c in plan.columns).null_count().row(0)) == 0

    def test_a_decision_is_the_same_alone_and_among_others(self, engine: FeatureEngine) -> None:
        events, features = world(7)
        plan = plan_with(features)
        whole = engine.compute(events, events, plan)
        for place in (0, events.height // 2, events.height - 1):
            self.equal(engine.compute(events[place : place + 1], events, plan), whole[place : place + 1])

    def test_the_order_in_which_events_are_given_does_not_matter(self, engine: FeatureEngine) -> None:
        events, features = world(8)
        plan = plan_with(features)
        mixed = events.sample(fraction=1.0, shuffle=True, seed=1)
        self.equal(engine.compute(events, mixed, plan), engine.compute(events, events, plan))

    def test_lazy_events_give_the_same(self, engine: FeatureEngine) -> None:
        events, features = world(9)
        plan = plan_with(features)
        self.equal(engine.compute(events, events.lazy(), plan), engine.compute(events, events, plan))

    def test_no_decisions_and_no_events_are_no_error(self, engine: FeatureEngine) -> None:
        events, _ = world(3)
        features = {
            "n": {"stat": "count", "by": "who", "window": "9h", "delay": "1h"},
            "s": {"stat": "sum", "of": "x", "by": "who", "window": "9h", "delay": "1h"},
        }
        plan = plan_with(features)
        none = engine.compute(events.clear(), events, plan)
        assert (none.height, set(none.columns) >= {c.name for c in plan.columns}) == (0, True)
        alone = engine.compute(events, events.clear(), plan)
        assert alone["n"].to_list() == [0.0] * events.height
        assert all(map(math.isnan, alone["s"].to_list()))

    def test_a_raw_column_that_is_not_there_is_missing_in_every_row(self, engine: FeatureEngine) -> None:
        plan = plan_with({"s": {"stat": "sum", "of": "x", "by": "who", "window": "9h"}})
        events = frame(event("a", 1), event("b", 2)).drop("x", "w")
        made = engine.compute(events, events, plan)
        assert all(math.isnan(value) for name in ("x", "s") for value in made[name].to_list())
        assert made["w"].to_list() == ["", ""]

    @pytest.mark.parametrize("column", ["_key", "_at", "_arrived"])
    def test_a_frame_that_cannot_be_placed_in_time_is_refused(self, engine: FeatureEngine, column: str) -> None:
        plan = plan_with({"n": {"stat": "count", "by": "who", "window": "9h"}})
        events = frame(event("a", 1))
        with pytest.raises(DataError, match=column):
            engine.compute(events.drop(column), events, plan)
        with pytest.raises(DataError, match=column):
            engine.compute(events, events.drop(column), plan)

    def test_ping_returns(self, engine: FeatureEngine) -> None:
        engine.ping()
