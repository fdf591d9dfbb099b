"""A workspace whose clock is moved by hand, and questions to its server: what the tests of looks and of parity share."""

import asyncio
from datetime import UTC, datetime

import httpx
import yaml

from modelway.clock import Clock
from modelway.flow.feeding import ingest
from modelway.flow.serving import server_of
from modelway.serving.app import make_app
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
    async def post() -> None:
        transport = httpx.ASGITransport(app=make_app(server))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            for start in range(0, len(rows), 50):
                body = request(rows[start : start + 50], id=f"q-{rows[start]['id']}")
                assert (await client.post(f"/v2/models/{name}/infer", json=body)).status_code == 200

    server = server_of(workspace)
    server.models.look()
    asyncio.run(post())
    ingest(workspace, workspace.spec(name))
