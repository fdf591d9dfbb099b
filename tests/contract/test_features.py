"""The feature engine's checks over Ibis on DuckDB, and what is its own: threads do not show; and that the checks can fail."""

from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from modelway.errors import EngineError
from modelway.features.engine import FeatureEngine
from modelway.features.ibis import IbisEngine
from modelway.testing.features import FeatureEngineChecks, plan_with, world


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
