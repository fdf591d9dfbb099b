"""The feature engine's checks over arrays and over Ibis on DuckDB, and what is each one's own; and that the checks can fail."""

from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from modelway.errors import EngineError
from modelway.features.arrays import ArrayEngine
from modelway.features.engine import FeatureEngine
from modelway.features.ibis import IbisEngine
from modelway.testing.features import FeatureEngineChecks, plan_with, world


class TestArrays(FeatureEngineChecks):
    @pytest.fixture
    def engine(self) -> FeatureEngine:
        return ArrayEngine()


class TestArraysInSmallPortions(FeatureEngineChecks):
    @pytest.fixture
    def engine(self) -> FeatureEngine:
        return ArrayEngine(pairs=7)


@pytest.mark.parametrize(("seed", "instant"), [(11, "counts"), (12, "does_not_count"), (13, "counts")])
def test_arrays_and_duckdb_give_the_same_to_the_last_bit(seed, instant):
    events, features = world(seed, 300)
    plan = plan_with(features, instant)
    one, other = (engine.compute(events, events, plan) for engine in (ArrayEngine(pairs=1_000), IbisEngine(threads=1)))
    assert_frame_equal(one, other, check_exact=True)


class TestIbis(FeatureEngineChecks):
    @pytest.fixture
    def engine(self) -> Iterator[FeatureEngine]:
        opened = IbisEngine(threads=1)
        yield opened
        opened.close()


@pytest.mark.parametrize("seed", [11, 12])
def test_threads_do_not_show_in_the_last_bit(seed):
    events, features = world(seed, 300)
    plan = plan_with(features)
    one, many = (IbisEngine(threads=n).compute(events, events, plan) for n in (1, 4))
    assert_frame_equal(one, many, check_exact=True)


def test_what_the_engine_fails_at_is_an_engine_error():
    events, features = world(11)
    with pytest.raises(EngineError, match="features"):
        IbisEngine(memory="nonsense").compute(events, events, plan_with(features))


class Hasty(FeatureEngine):
    """Takes all events as if they had been known at once: the usual leak."""

    def compute(self, decisions: pl.DataFrame, events: pl.DataFrame, *more: Any) -> pl.DataFrame:
        return IbisEngine(threads=1).compute(decisions, events.with_columns(pl.col("_arrived").min()), *more)

    def ping(self) -> None: ...

    def close(self) -> None: ...


def test_the_checks_find_an_engine_that_sees_what_had_not_arrived():
    checks = FeatureEngineChecks()
    with pytest.raises(AssertionError):
        checks.test_what_had_not_arrived_is_not_seen(Hasty())
    with pytest.raises(AssertionError):
        checks.test_it_gives_what_the_law_gives(Hasty(), 0, "counts")
