"""One declaration, three computations: the table engine, the row function over online values, and the slow reference."""

import math

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelway.features.ibis import IbisEngine
from modelway.features.leaks import BROKEN, Leak, find_leaks, same
from modelway.features.naive import Law, rows_of, window_value
from modelway.features.online import PastLabel
from modelway.features.plan import Plan, plan_of
from modelway.features.rows import compile_row
from modelway.features.sqlite import SqliteOnlineValues
from tests.unit.features.worlds import HOUR, events, spec_of, windows

INSTANT = st.sampled_from(["counts", "does_not_count"])
EXPRESSIONS = {
    "double": {"expr": "x * 2"},
    "big": {"expr": "x > 1"},
    "hour_of": {"expr": "hour(at)"},
    "ratio": {"expr": "x / f0"},
}


def newest(world: pl.DataFrame) -> pl.DataFrame:
    return world.unique("_key", keep="last", maintain_order=True)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(world=events(), declared=windows(), instant=INSTANT)
def test_the_table_engine_keeps_the_law(world, declared, instant):
    plan = plan_of(spec_of(declared, instant))
    decisions = newest(world)
    made = IbisEngine(threads=1).compute(decisions, world, plan)
    past = rows_of(world, plan)
    for place, row in enumerate(rows_of(decisions, plan)):
        for window in plan.windows:
            want = window_value(window, row, past, plan.same_instant)
            assert same(made[window.name][place], want), (window, row, made[window.name][place], want)
    assert find_leaks(made, decisions, world, plan) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(world=events(), declared=windows(), instant=INSTANT)
def test_rows_and_tables_give_the_same_to_the_last_bit(tmp_path_factory, world, declared, instant):
    plan = Plan.from_plain(plan_of(spec_of({**declared, **EXPRESSIONS}, instant)).to_plain())
    decisions = newest(world)
    made = IbisEngine(threads=1).compute(decisions, world, plan)
    row_features = compile_row(plan)
    online = SqliteOnlineValues(tmp_path_factory.mktemp("online") / "online.db")
    for offset, event in enumerate(world.iter_rows(named=True)):
        online.put([row_features.event(event, event["_key"], event["_at"], event["_arrived"])], {0: offset + 1})
    labels = newest(world.filter(pl.col("_target").is_not_null())).sort("_label_arrived")
    online.label(
        [PastLabel(r["_key"], float(r["_target"]), r["_label_arrived"]) for r in labels.iter_rows(named=True)], {0: 1}
    )
    numbers = [c.name for c in plan.columns if c.kind == "number"]
    words = [c.name for c in plan.columns if c.kind == "word"]
    for place, row in enumerate(decisions.iter_rows(named=True)):
        got_numbers, got_words = row_features(row, row["_key"], row["_at"], online, row["_arrived"])
        for name, value in zip(numbers, got_numbers, strict=True):
            assert same(value, made[name][place]), (name, row, value, made[name][place])
        assert got_words == [made[name][place] for name in words]
    online.close()


LEAKY = {
    "n": {"stat": "count", "by": "who", "window": "6h"},
    "s": {"stat": "sum", "of": "x", "by": "who", "window": "6h"},
    "rate": {"stat": "mean", "of": "target", "by": "who", "window": "20h", "delay": "3h"},
    "labels": {"stat": "count", "of": "target", "by": "who", "window": "20h", "delay": "3h"},
}


def long_world() -> pl.DataFrame:
    """Two entities, an event an hour, some that arrive late, labels five hours after their events."""
    from tests.unit.features.worlds import SCHEMA, START

    rows = []
    for n in range(60):
        at = START + n * HOUR
        arrived = at + (4 * HOUR if n % 5 == 0 else 0 * HOUR)
        label = at + 5 * HOUR
        rows.append((f"k{n}", at, arrived, 0, n, 0, "pq"[n % 2], "r", float(n % 7), "a", str(n % 3 // 2), label))
    return pl.DataFrame(rows, SCHEMA, orient="row")


def leaks_of(world: pl.DataFrame, decisions: pl.DataFrame, plan: Plan, law: Law) -> list[Leak]:
    """What is found when all windows are computed with one rule broken."""
    rows, past = rows_of(decisions, plan), rows_of(world, plan)
    made = decisions.with_columns(
        pl.Series(w.name, [window_value(w, row, past, plan.same_instant, law) for row in rows]) for w in plan.windows
    )
    return find_leaks(made, decisions, world, plan)


def test_every_kind_of_leak_is_found_by_its_name_and_none_where_there_is_none():
    plan = plan_of(spec_of(LEAKY))
    world = long_world()
    backfilled = world.with_columns(pl.col("_arrived").max())
    for decisions in (world, backfilled):
        assert find_leaks(IbisEngine().compute(decisions, world, plan), decisions, world, plan) == []
    for kind, law in BROKEN.items():
        found = [*leaks_of(world, world, plan, law), *leaks_of(world, backfilled, plan, law)]
        assert kind in {leak.kind for leak in found}
        assert all(not same(leak.found, leak.right) for leak in found)


def test_a_value_that_no_broken_rule_explains_is_still_found():
    plan = plan_of(spec_of(LEAKY))
    world = long_world()
    wrong = IbisEngine().compute(world, world, plan).with_columns(s=pl.lit(math.pi))
    found = find_leaks(wrong, world, world, plan)
    assert {leak.column for leak in found} == {"s"}
    assert {leak.kind for leak in found} == {""}
