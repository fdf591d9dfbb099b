"""A workspace whose clock is moved by hand, and questions to its server: what the tests of looks and of parity share."""

from datetime import UTC, datetime

import httpx
import yaml

from modelway.clock import Clock
from modelway.flow.feeding import ingest
from modelway.flow.serving import server_of
from tests.support.serving import serving
from tests.unit.serving.made import make_workspace, request

T0 = datetime(2026, 1, 5, tzinfo=UTC)


class HandClock(Clock):
    def __init__(self) -> None:
        self.at = T0

    def now(self) -> datetime:
        return self.at


def project(root, clock, given):
    made = make_workspace(root, clock)
    made.places.project(given["model"]).mkdir(parents=True)
    made.places.spec(given["model"]).write_text(yaml.safe_dump(given))
    return made


def ask(workspace, rows, name="loans"):
    server = server_of(workspace)
    server.models.look()
    with serving(server) as url, httpx.Client(base_url=url) as client:
        for start in range(0, len(rows), 50):
            body = request(rows[start : start + 50], id=f"q-{rows[start]['id']}")
            assert client.post(f"/v2/models/{name}/infer", json=body).status_code == 200
    ingest(workspace, workspace.spec(name))
