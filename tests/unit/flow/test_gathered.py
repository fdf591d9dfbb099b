"""A look reads only what is new, and finds what a look at all would: in any portions, over steps, after a start or a rewriting."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.clock import WallClock
from modelway.events.log import NewEvent
from modelway.flow import gathered
from modelway.flow.arms import SETTLING, Counts, add_shares, arms
from modelway.flow.feeding import ingest
from modelway.flow.gathered import PAIRS, TOGETHER, Gathered, forget, found_in, gather, look
from modelway.flow.known_names import NOBODY, Names
from modelway.flow.release_rows import PLACE, SCHEMA, once
from modelway.records import Release
from modelway.rollout.evidence import Arm
from tests.unit.serving.made import LOANS, make_workspace

pytestmark = pytest.mark.filterwarnings(
    "ignore::polars.exceptions.PolarsInefficientMapWarning"
)  # ingestion's, of lists
T0 = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
SLOW = ((20.0, 24.0),)
FRAME = {**SCHEMA, "_arrived": SCHEMA["served"], **dict.fromkeys(PLACE[1:], pl.Int64())}


def release(state="canary", moved=T0, **evidence) -> Release:
    return Release(1, "loans", 2, 1, state, 0, 0.25 if state == "canary" else 0.0, T0, moved, "asked", evidence)


@st.composite
def traffic(draw):
    """Requests over half an hour, each answered by one version and mostly by the other in shadow; some come again."""
    made = []
    for n in range(draw(st.integers(1, 40))):
        served = T0 + timedelta(seconds=draw(st.integers(1, 1_800)), milliseconds=draw(st.integers(0, 999)))
        mine, caller = draw(st.sampled_from((1, 2))), draw(st.sampled_from((None, "ann", "bob", "cid", "dan")))
        name, rows = f"r{n}", range(draw(st.integers(1, 2)))
        for version in (mine, 3 - mine) if draw(st.integers(0, 9)) else (mine,):
            for again in range(1 + (draw(st.integers(0, 9)) == 0)):
                late = timedelta(milliseconds=draw(st.integers(0, 60_000)))
                for index in rows:
                    status = draw(st.sampled_from(("ok", "ok", "ok", "error", "invalid", "refused")))
                    made.append(
                        {
                            "request": name,
                            "index": index,
                            "key": f"k{n % 7}" if n % 3 else f"{name}/{index}",
                            "at": served,
                            "served": served,
                            "version": version,
                            "shadow": version != mine,
                            "status": status,
                            "scores": [0.1, 0.9] if status == "ok" else [],
                            "ms": float(draw(st.integers(1, 50))),
                            "pinned": n % 11 == 5,
                            "caller": caller,
                            "_arrived": served + late,
                            "_partition": again,
                            "_index": 0,
                        }
                    )
    made.sort(key=lambda one: one["_arrived"])
    return pl.DataFrame([{**one, "_offset": n} for n, one in enumerate(made)], FRAME)


@given(rows=traffic(), data=st.data(), state=st.sampled_from(["shadow", "canary", "full"]), sticky=st.booleans())
@settings(max_examples=60, deadline=None)
def test_in_any_portions_it_is_what_all_at_once_would_be(rows, data, state, sticky):
    standing = release(state, since=T0.isoformat())
    kept, start = Gathered((), ("", T0), 0), 0
    while start < rows.height:
        end = data.draw(st.integers(start + 1, rows.height))
        kept = gather(kept, rows[start:end], standing, SLOW, sticky=sticky)
        found, start = found_in(kept, standing, SLOW, sticky=sticky), end
        whole = once(rows[:end])
        assert found.arms == arms(whole, standing, SLOW, sticky)
        alone = gathered._paired(NOBODY, pl.DataFrame(schema=PAIRS), whole, standing)[1]
        assert set(found.pairs["_key"]) == set(alone["_key"])
        assert found.pairs["_key"].is_unique().all()


@given(rows=traffic(), data=st.data(), sticky=st.booleans(), moved=st.sampled_from([T0, T0 + HOUR / 4]))
@settings(max_examples=40, deadline=None)
def test_arms_of_an_experiment_too(rows, data, sticky, moved):
    none = Counts((Arm(),) * 4)
    count = partial(add_shares, versions=(1, 2), since=T0, moved=moved, sticky=sticky)
    kept, start = Gathered((), ("", T0), 0, counts=none), 0
    while start < rows.height:
        end = data.draw(st.integers(start + 1, rows.height))
        kept, done = gathered._settle(kept, rows[start:end])
        kept = replace(kept, counts=count(kept.counts, done))
        found, start = count(kept.counts, kept.open).arms, end
        assert found == count(none, once(rows[:end])).arms
    live = rows.filter(~pl.col("shadow"), ~pl.col("pinned"), pl.col("served") > moved + SETTLING)
    by_request = live.group_by("version").agg(pl.col("request").n_unique())
    assert dict(by_request.iter_rows()) == {n + 1: arm.requests for n, arm in enumerate(found[2:]) if arm.requests}


def test_what_is_settled_is_kept_no_longer_and_what_repeats_it_is_passed_over():
    def rows(*minutes: float) -> pl.DataFrame:
        common = {"index": 0, "key": "k", "at": T0, "version": 2, "shadow": False, "status": "ok", "pinned": False}
        made = [
            {**common, "request": f"r{n}", "served": T0 + n * timedelta(minutes=1), "scores": [], "ms": 1.0}
            for n in minutes
        ]
        return pl.DataFrame(made, SCHEMA).with_columns(
            pl.col("served").alias("_arrived"), *(pl.lit(0, pl.Int64).alias(name) for name in PLACE[1:])
        )

    kept = gather(Gathered((), ("", T0), 0), rows(1, 2, 3), release(), (), sticky=False)
    assert (kept.open.height, len(kept.seen.hashes)) == (3, 0)
    later = gather(kept, rows(30), release(), (), sticky=False)
    assert (later.open.height, len(later.seen.hashes), later.counts.arms[0].requests) == (1, 3, 3)
    again = gather(later, rows(2).with_columns(_arrived=T0 + HOUR), release(), (), sticky=False)
    assert again.open["request"].to_list() == ["r30"]
    assert found_in(again, release(), (), sticky=False).arms[0].requests == 4


def test_names_are_known_by_their_hash():
    some = NOBODY.plus(pl.Series(["a", "b", "a"]))
    assert len(some.hashes) == 2
    assert some.lacks(pl.Series(["a", "c", "b"])).tolist() == [False, True, False]
    assert some.plus(pl.Series(["b"])) is some
    assert isinstance(some.plus(pl.Series(["c"])), Names)
    assert NOBODY.lacks(pl.Series([], dtype=pl.String)).tolist() == []


# -- on the lake -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def workspace(tmp_path):
    made = make_workspace(tmp_path, WallClock())
    made.places.project("loans").mkdir()
    made.places.spec("loans").write_text(yaml.safe_dump(LOANS))
    yield made
    made.close()


def answer(workspace, names, served=T0 + HOUR, **more):
    """Each request answered by one of both versions, in turn, and by the other in shadow."""
    common = {"index": 0, "digest": "d", "served": served.isoformat(), "status": "ok", "scores": [0.5, 0.5], "ms": 1.0}
    told = [
        {**common, "request": name, "key": name, "version": version, "shadow": version != 1 + n % 2, **more}
        for n, name in enumerate(names)
        for version in (1, 2)
    ]
    workspace.log.append("loans_predictions", [NewEvent(one["request"], json.dumps(one).encode()) for one in told])
    ingest(workspace, workspace.spec("loans"))


def test_a_second_look_reads_only_what_is_new(workspace):
    spec, standing = workspace.spec("loans"), release()
    assert look(workspace, spec, standing, (), 1.0).read == 0
    answer(workspace, [f"a{n}" for n in range(40)])
    first = look(workspace, spec, standing, (), 1.0)
    assert (first.read, [arm.requests for arm in first.arms], first.pairs.height) == (80, [20, 20], 40)
    again = look(workspace, spec, standing, (), 1.0)
    assert (again.read, again.arms) == (0, first.arms)
    answer(workspace, [f"b{n}" for n in range(3)])
    more = look(workspace, spec, standing, (), 1.0)
    assert (more.read, [arm.requests for arm in more.arms], more.pairs.height) == (6, [21, 22], 43)
    forget(workspace, "loans")  # as a process that starts
    whole = look(workspace, spec, standing, (), 1.0)
    assert (whole.read, whole.arms, whole.pairs.height) == (86, more.arms, 43)


def test_another_release_or_share_is_read_from_its_beginning(workspace):
    spec = workspace.spec("loans")
    answer(workspace, [f"a{n}" for n in range(40)])
    assert look(workspace, spec, release(), (), 1.0).read == 80
    assert look(workspace, spec, replace(release(), id=2), (), 1.0).read == 80
    assert 0 < look(workspace, spec, replace(release(), id=2), (), 0.5).read < 80


def test_a_table_that_was_written_anew_is_read_whole(workspace, monkeypatch):
    from modelway.errors import NotFoundError

    spec = workspace.spec("loans")
    answer(workspace, [f"a{n}" for n in range(10)])
    look(workspace, spec, release(), (), 1.0)
    answer(workspace, [f"b{n}" for n in range(2)])

    def untold(*_: object) -> pl.LazyFrame:
        raise NotFoundError("what changed can no longer be told", "read it whole")

    monkeypatch.setattr(workspace.lake, "changes", untold)
    found = look(workspace, spec, release(), (), 1.0)
    assert (found.read, [arm.requests for arm in found.arms]) == (24, [6, 6])


def test_a_step_counts_its_own_requests_and_pairs_go_on(workspace):
    spec = workspace.spec("loans")
    answer(workspace, [f"a{n}" for n in range(40)])
    assert [arm.requests for arm in look(workspace, spec, release(since=T0.isoformat()), (), 1.0).arms] == [20, 20]
    second = release(moved=T0 + 2 * HOUR, since=T0.isoformat())
    answer(workspace, [f"b{n}" for n in range(6)], served=T0 + 3 * HOUR)
    found = look(workspace, spec, second, (), 1.0)
    assert (found.read, [arm.requests for arm in found.arms], found.pairs.height) == (12, [3, 3], 46)
    forget(workspace, "loans")
    whole = look(workspace, spec, second, (), 1.0)
    assert (whole.arms, whole.pairs.height) == (found.arms, 46)


def test_a_caller_counts_once_over_steps(workspace):
    workspace.places.spec("loans").write_text(yaml.safe_dump(LOANS | {"release": {"sticky": "id"}}))
    spec = workspace.spec("loans")
    answer(workspace, [f"a{n}" for n in range(4)], caller="ann")
    answer(workspace, ["b0"], caller="bob", status="error")
    first = look(workspace, spec, release(since=T0.isoformat()), (), 1.0)
    assert sum(arm.requests for arm in first.arms) == 2
    second = release(moved=T0 + 2 * HOUR, since=T0.isoformat())
    answer(workspace, ["b1", "c1"], served=T0 + 3 * HOUR, caller="bob")
    answer(workspace, ["d1"], served=T0 + 3 * HOUR, caller="dan")
    found = look(workspace, spec, second, (), 1.0)
    assert sum(arm.requests for arm in found.arms) == 1  # dan
    assert sum(arm.callers.tried for arm in found.arms) == 2  # bob too, in this step
    forget(workspace, "loans")
    assert look(workspace, spec, second, (), 1.0).arms == found.arms


def test_portions_of_the_first_look_are_put_together(workspace, monkeypatch):
    monkeypatch.setattr("modelway.flow.release_rows._PORTION", 10)
    spec = workspace.spec("loans")
    for n in range(4):
        answer(workspace, [f"{n}-{m}" for m in range(6)])
    found = look(workspace, spec, release(), (), 1.0)
    assert (found.read, [arm.requests for arm in found.arms], found.pairs.height) == (48, [12, 12], 24)
    assert TOGETHER < HOUR
