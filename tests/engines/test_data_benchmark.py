"""The benchmarks of the data plane run in small, on a real broker and registry; their rival is measured by hand alone."""

import pytest
from benchmarks import catching_up, data, delays
from benchmarks.rivals.environment import MissingRivalError

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]


def test_one_core_is_measured_in_small(broker, registry, monkeypatch):
    def missing(*_, **__):
        raise MissingRivalError("not here")

    monkeypatch.setattr(data, "ask", missing)
    result = data.measure(quick=True)
    assert all(one.value > 0 for one in result.figures)
    assert {one.unit for one in result.figures} == {"s/M", "times"}
    assert sum("No figures of Spark" in note for note in result.notes) == 2


@pytest.mark.parametrize(("benchmark", "units"), [(delays, {"ms"}), (catching_up, {"s/M", "rows/s", "times", "MB"})])
def test_delays_and_catching_up_are_measured_in_small(broker, benchmark, units):
    result = benchmark.measure(quick=True)
    assert all(one.value > 0 for one in result.figures)
    assert {one.unit for one in result.figures} == units
