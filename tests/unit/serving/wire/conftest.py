"""A server that echoes, on either event loop."""

from collections.abc import Iterator

import pytest

from tests.support.wire import LOOPS, QUICK, Client, Served, wired


@pytest.fixture(params=list(LOOPS))
def loop(request) -> str:
    return str(request.param)


@pytest.fixture
def served(loop) -> Iterator[Served]:
    with wired(QUICK, loop=loop) as server:
        yield server


@pytest.fixture
def client(served) -> Iterator[Client]:
    with served.client() as opened:
        yield opened
