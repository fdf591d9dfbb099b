"""One declaration, three computations: the table engine, the row function over online values, and the slow reference."""

import math

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from modelway.features.arrays import ArrayEngine
from modelway.features.ibis import IbisEngine
from modelway.features.leaks import BROKEN, Leak, find_leaks, same
from modelway.features.lookback import statement_of
from modelway.features.naive import Law, rows_of, window_value
from modelway.features.online import PastLabel, statements
from modelway.features.plan import Plan, plan_of
from modelway.features.rows import compile_row, groups_of
from modelway.features.sqlite import SqliteOnlineValues
from tests.unit.features.worlds import HOUR, SCHEMA, START, events, spec_of, windows

LAG = st.sampled_from(["0s", "0s", "1h"])
TOGETHER = st.lists(st.booleans(), min_size=12, max_size=12)
INSTANT = st.sampled_from(["counts", "does_not_count"])
JOIN = {"table": "people", "on": "who", "key": "id", "valid_from": "since"}
EXPRESSIONS = {
    "double": {"expr": "x * 2"},
    "big": {"expr": "x > 1"},
    "hour_of": {"expr": "hour(at)"},
    "ratio": {"expr": "x / f0"},
    "called": {
        "python": "f.py:f",
        "uses": ["x", "w", "at", "f0"],
        "source": "def f(x, w, at, f0):\n    return (x or 0) + len(w or '') + at.hour if f0 is not None else None",
    },
    "word": {"python": "f.py:g", "uses": ["w"], "gives": "word", "source": "def g(w):\n    return (w or '?') * 2"},
    "of_person": {"join": {**JOIN, "column": "segment"}, "delay": "1h"},
    "limit": {"join": {**JOIN, "column": "limit", "type": "float"}},
    "over": {"expr": "x > limit"},
}


@st.composite
def people(draw: st.DrawFn) -> pl.DataFrame:
    """Statements about the entities, some of them corrected later."""
    rows, arrived = [], START - 2 * HOUR
    for offset in range(draw(st.integers(0, 8))):
        arrived += draw(st.sampled_from([0, 1, 3])) * HOUR
        since = START + draw(st.integers(-4, 8)) * HOUR
        who, segment = draw(st.sampled_from(["p", "q", "", None])), draw(st.sampled_from(["a", "b", "", None]))
        rows.append(
            (f"s{offset}", since, arrived, 0, offset, 0, who, since, segment, draw(st.sampled_from([None, 1.0, 2.5])))
        )
    kinds = {name: SCHEMA[name] for name in ("_key", "_at", "_arrived", "_partition", "_offset", "_index")}
    own = {"id": pl.String(), "since": SCHEMA["_at"], "segment": pl.String(), "limit": pl.Float64()}
    return pl.DataFrame(rows, {**kinds, **own}, orient="row")


def newest(world: pl.DataFrame) -> pl.DataFrame:
    return world.unique("_key", keep="last", maintain_order=True)


def with_past(decisions: pl.DataFrame, together: list[bool]) -> pl.DataFrame:
    return decisions.with_columns(_together=pl.Series(together[: decisions.height], dtype=pl.Boolean))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(world=events(), declared=windows(), instant=INSTANT, lag=LAG, together=TOGETHER)
def test_the_table_engines_keep_the_law(world, declared, instant, lag, together):
    plan = plan_of(spec_of(declared, instant, lag))
    decisions = with_past(newest(world), together)
    made = ArrayEngine(pairs=20).compute(decisions, world, plan)
    assert_frame_equal(made, IbisEngine(threads=1).compute(decisions, world, plan), check_exact=True)
    assert_frame_equal(made, ArrayEngine().compute(decisions, world.lazy(), plan), check_exact=True)
    past = rows_of(world, plan)
    for place, row in enumerate(rows_of(decisions, plan)):
        for window in plan.windows:
            want = window_value(window, row, past, plan.same_instant)
            assert same(made[window.name][place], want), (window, row, made[window.name][place], want)
    assert find_leaks(made, decisions, world, plan) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(world=events(), declared=windows(), instant=INSTANT, lag=LAG, told=people())
def test_rows_and_tables_give_the_same_to_the_last_bit(tmp_path_factory, world, declared, instant, lag, told):
    plan = Plan.from_plain(plan_of(spec_of({**declared, **EXPRESSIONS}, instant, lag)).to_plain())
    decisions = newest(world)
    made = ArrayEngine().compute(decisions, world, plan, tables={"people": told})
    assert_frame_equal(
        made, ArrayEngine().compute(decisions, world, plan, tables={"people": told.lazy()}), check_exact=True
    )
    row_features = compile_row(plan)
    online = SqliteOnlineValues(tmp_path_factory.mktemp("online") / "online.db", groups_of(plan))
    for offset, event in enumerate(world.iter_rows(named=True)):
        online.put([row_features.event(event, event["_key"], event["_at"], event["_arrived"])], {0: offset + 1})
    for n, row in enumerate(told.iter_rows(named=True)):
        said = statement_of(plan.joins, row, row["_at"], row["_arrived"], (0, n, 0))
        online.put([said] if said else [], {0: n + 1}, statements("people"))
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
    plan = plan_of(spec_of(LEAKY, "does_not_count"))
    world = long_world()
    twins = world.gather_every(4).with_columns(pl.col("_key") + "'", pl.col("_offset") + 100)
    world = pl.concat([world, twins])
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


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(world=events(), lag=LAG, told=people(), together=TOGETHER)
def test_joins_keep_the_law_on_both_times(world, lag, told, together):
    plan = plan_of(spec_of({name: EXPRESSIONS[name] for name in ("of_person", "limit")}, "counts", lag))
    decisions = with_past(newest(world), together)
    made = ArrayEngine().compute(decisions, world, plan, tables={"people": told})
    for other in (told.drop("_partition", "_offset", "_index"), told.lazy(), told.reverse()):
        assert_frame_equal(made, ArrayEngine().compute(decisions, world, plan, tables={"people": other}))
    assert find_leaks(made, decisions, world, plan, tables={"people": told}) == []


def test_a_statement_from_the_future_or_corrected_later_is_found_by_its_name():
    plan = plan_of(spec_of({"of_person": {"join": {**JOIN, "column": "segment"}}}))
    world = long_world().head(6)
    said = [(0, 0, "first"), (0, 4, "corrected"), (9, 0, "next year's")]
    rows = [
        (f"s{n}", START + since * HOUR, START + came * HOUR, 0, n, 0, who, segment)
        for n, (since, came, segment) in enumerate(said)
        for who in "pq"
    ]
    told = pl.DataFrame(
        rows,
        [*(c for c in SCHEMA if c.startswith("_") and "label" not in c and c != "_target"), "id", "segment"],
        orient="row",
    )
    right = IbisEngine().compute(world, world, plan, tables={"people": told})
    assert find_leaks(right, world, world, plan, tables={"people": told}) == []
    assert right["of_person"].to_list()[1:5] == ["first", "first", "first", "corrected"]
    planted = {"corrected": "a statement that had not arrived", "next year's": "a statement that holds from later on"}
    for value, kind in planted.items():
        made = right.with_columns(of_person=pl.lit(value))
        assert kind in {leak.kind for leak in find_leaks(made, world, world, plan, tables={"people": told})}


def test_of_statements_that_hold_from_one_moment_on_the_last_to_arrive_counts_in_whatever_order_they_are_given():
    plan = plan_of(spec_of({"of_person": {"join": {**JOIN, "column": "segment"}}}))
    world = long_world().filter(pl.col("_arrived") == pl.col("_at")).head(4)
    frame = {c: SCHEMA[c] for c in ("_key", "_at", "_arrived", "_partition", "_offset", "_index")}
    rows = [
        (f"s{who}{n}", START - HOUR, START - HOUR * (40 - n), 0, n, 0, who, f"v{n}") for who in "pq" for n in range(30)
    ]
    told = pl.DataFrame(rows, {**frame, "id": pl.String(), "segment": pl.String()}, orient="row")
    for other in (told, told.reverse(), told.sample(fraction=1.0, shuffle=True, seed=5)):
        made = ArrayEngine().compute(world, world, plan, tables={"people": other})
        assert made["of_person"].to_list() == ["v29"] * 4
