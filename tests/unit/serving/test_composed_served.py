"""A server that answers with a composition: while a member is late, or dead, its fallback answers, and the log says so."""

import os
import signal
from pathlib import Path

import httpx
import pytest

from tests.unit.serving.made import becomes, make_workspace, predictions, put_composition, request, route, running
from tests.unit.serving.test_python_served import children, put_python

ROUTE = {
    "route": [{"when": "income > 10", "ask": "loans"}, {"ask": "rest"}],
    "fallback": {"ask": "backup", "after": "1s"},
}


@pytest.fixture
def workspace(tmp_path: Path):
    made = make_workspace(tmp_path)
    yield made
    made.close()


def test_one_request_through_all_that_goes_wrong(workspace):
    """At an income of 13 the Python model dies, at 14 it hangs; each request keeps its id, and fails no other row."""
    members = {"loans": put_python(workspace, seconds=20.0), "rest": 1.0, "backup": 2.0}
    workspace.traffic.apply(route("pricing", {4: put_composition(workspace, ROUTE, members)}))
    with running(workspace) as (url, process), httpx.Client(timeout=60) as client:

        def ask(name: str, *incomes: float) -> list[tuple[str, str]]:
            """Who answered each row, and why the fallback did."""
            rows = [{"id": f"{name}-{n}", "income": income} for n, income in enumerate(incomes)]
            reply = client.post(f"{url}/v2/models/pricing/infer", json=request(rows, id=name))
            assert reply.status_code == 200, reply.text
            assert reply.json()["id"] == name
            events = sorted(
                (e for e in predictions(workspace, "pricing") if e["request"] == name), key=lambda e: e["index"]
            )
            assert [e["status"] for e in events] == ["ok"] * len(rows)
            assert {e["version"] for e in events} == {4}
            return [(e["member"], e["fallback"]) for e in events]

        well = ("loans@1", "")
        becomes(lambda: ask(f"well-{len(predictions(workspace, 'pricing'))}", 11.0, 1.0) == [well, ("rest@1", "")], 60)
        (member, why), other = ask("dies", 13.0, 1.0)
        assert (member, other) == ("backup@1", ("rest@1", ""))
        assert "died" in why, why
        becomes(lambda: ask(f"again-{len(predictions(workspace, 'pricing'))}", 12.0) == [well], 60)
        assert ask("hangs", 14.0) == [("backup@1", "loans@1 took longer than 1000 ms")]
        (hanging,) = children(process.pid)
        os.kill(hanging, signal.SIGKILL)
        becomes(lambda: ask(f"at-last-{len(predictions(workspace, 'pricing'))}", 12.0) == [well], 60)
        said = client.get(f"{url}/metrics").text
        assert 'fallback="true",member="backup@1",model="pricing",version="4"' in said
