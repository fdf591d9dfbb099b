"""The protocol's checks over our server process: a model of single rows, two versions of it, and one with windows."""

from collections.abc import Iterator
from typing import Any

import pytest

from modelway.testing.serving import Row, ServingChecks
from tests.unit.serving.made import CARDS, make_workspace, put_version, route, running

WINDOWS: dict[str, Any] = {**CARDS, "features": {n: f for n, f in CARDS["features"].items() if n != "bad_share"}}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    workspace = make_workspace(tmp_path_factory.mktemp("served"))
    workspace.traffic.apply(route("loans", {1: put_version(workspace, bias=1.5)}))
    renewed = {n: put_version(workspace, WINDOWS, bias=float(n)) for n in (3, 4)}
    workspace.traffic.apply(route("cards", renewed, {3: 0.5, 4: 0.5}))
    with running(workspace) as (found, _):
        yield found
    workspace.close()


class TestRows(ServingChecks):
    @pytest.fixture
    def model(self) -> str:
        return "loans"

    @pytest.fixture
    def rows(self) -> list[Row]:
        return [{"id": f"r{n}", "income": float(n)} for n in range(4)]

    @pytest.fixture
    def refused(self) -> Row:
        return {"id": "bad", "income": -5.0}


class TestWindowsAndTwoVersions(ServingChecks):
    @pytest.fixture
    def model(self) -> str:
        return "cards"

    @pytest.fixture
    def rows(self) -> list[Row]:
        at = "2026-03-01T12:00:00Z"
        return [{"id": f"r{n}", "card": f"c{n}", "amount": float(n), "at": at} for n in range(3)]

    @pytest.fixture
    def refused(self) -> Row:
        return {"id": "bad", "card": "c1", "amount": -1.0, "at": "2026-03-01T12:00:00Z"}
