"""A control database of its own for each test, and a clock that is moved by hand."""

import pytest

from tests.unit.monitoring.asking import HandClock
from tests.unit.state.conftest import database

__all__ = ["database"]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()
