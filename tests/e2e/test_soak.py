"""The short ones of the soak and of the broken models, by the benchmarks' own code."""

import pytest
from benchmarks import broken_models, soak
from benchmarks.figures import Result

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def missed(result: Result) -> list[tuple[str, float, str]]:
    """The targets that were not met; how long things took is no matter on a busy machine."""
    return [(one.name, one.value, one.note) for one in result.figures if one.met is False and one.unit != "s"]


def test_nothing_fails_while_everything_happens():
    result = soak.run(6_000, rounds=1)
    assert missed(result) == []
    happened = {one.name: one.value for one in result.figures}
    assert happened["requests"] >= 6_000
    assert happened["kills (signal 9)"] == happened["ends (SIGTERM)"] == happened["renewals of both"] == 1


def test_broken_versions_hurt_only_their_own_share():
    result = broken_models.run(6, seed=3)
    assert missed(result) == []
    assert {one.name: one.value for one in result.figures}["pushed"] == 6
