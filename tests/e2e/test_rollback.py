"""The way back at the command line: from the command to the first answer by the former version, and what is kept of it."""

import resource
import threading
import time

import httpx
import pytest
import yaml

from modelway.flow import releasing
from modelway.records import OperatingPoint, Trigger, Validation
from modelway.registry import versions
from modelway.rollout import store
from modelway.rollout.evidence import Move
from modelway.state import runs
from tests.support.projects import records
from tests.unit.serving.made import LOANS, becomes, make_workspace, put_version, request, running

GENEROUS_SECONDS, PROCESSOR_SECONDS = 20.0, 2.0
"""Promised are two in all, on a machine that has nothing else to do; this one may be shared by many."""
SEEN = {"challenger": {"requests": 200, "errors": 3}, "champion": {"requests": 3_800, "errors": 4}, "pairs": 0}


@pytest.fixture
def workspace(tmp_path):
    """Version 2 is the champion by a release that is over, version 1 was before it."""
    made = make_workspace(tmp_path)
    made.places.project("loans").mkdir()
    made.places.spec("loans").write_text(yaml.safe_dump(LOANS))
    for number in (1, 2):
        run, now = f"loans-{number}", made.clock.now()
        runs.open_run(made.database, run, "loans", Trigger("manual", "because"), now)
        judged = Validation((), (), OperatingPoint())
        versions.register(made.database, "loans", run, put_version(made, bias=float(number)), judged, now)
        runs.finish(made.database, run, now)
        asked = releasing.release(made, "loans", number, "ann", "newer")
        store.move(made.database, asked, Move("full", 0, 1.0, "passed", "good", SEEN), now)
    releasing.apply_route(made, "loans")
    yield made
    made.close()


def processor() -> float:
    """Seconds of the processor that commands took so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_from_the_command_to_the_former_version_no_request_fails(workspace, capsys):
    (workspace.places.spec("loans")).write_text("release: {broken: ]")  # a way back needs no spec
    answers: list[tuple[float, int, str]] = []
    with running(workspace) as (url, _), httpx.Client(base_url=url, timeout=20) as client:
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                reply = client.post("/v2/models/loans/infer", json=request([{"income": 1.5}]))
                answers.append((time.monotonic(), reply.status_code, reply.json().get("model_version", "")))

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            becomes(lambda: answers and answers[-1][2] == "2")
            begun, before = time.monotonic(), processor()
            done = records(workspace.places.root, "rollback", "loans", "--reason", "complaints")
            took = processor() - before
            assert done["state"] == "rolled_back"
            becomes(lambda: answers[-1][2] == "1", seconds=30)
        finally:
            stop.set()
            asking.join()
    back = next(at for at, _, version in answers if at > begun and version == "1")
    assert {status for _, status, _ in answers} == {200}
    with capsys.disabled():
        print(
            f"\nrollback: {back - begun:.2f} s to the first answer by the former version, {took:.2f} s of the processor"
        )
    assert took < PROCESSOR_SECONDS
    assert back - begun < GENEROUS_SECONDS
    entries = records(workspace.places.root, "history")["entries"]
    assert [one["action"] for one in entries[-2:]] == ["release", "champion"]
    assert entries[-2]["data"]["evidence"]["challenger"] == SEEN["challenger"]
    assert (entries[-2]["reason"], entries[-1]["data"]["version"]) == ("complaints", 1)
