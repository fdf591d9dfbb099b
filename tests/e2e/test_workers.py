"""Several serving processes under one supervisor: whatever happens to one of them, the others answer, and nothing is lost."""

import json
import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from modelway.control.supervisor import RESTARTS
from modelway.testing.metrics import parse_exposition
from tests.support.projects import bank, modelway, ok, processes, records
from tests.support.running import address, until, up

LOAN = {"income": 2_000.0, "debt": 100.0, "job": "office"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = bank(tmp_path_factory.mktemp("workers"))
    stack = root / "stack.yaml"
    stack.write_text(stack.read_text().replace("port: 0", "port: 0, workers: 2"))
    assert "workers: 2" in stack.read_text()
    ok("run", "loans", cwd=root)
    ok("release", "loans", cwd=root)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "bank"))


def pids(root: Path) -> list[int]:
    found = [root / ".modelway/server.json", root / ".modelway/server-1.json"]
    return [int(json.loads(place.read_text())["pid"]) for place in found if place.exists()]


class Load:
    """Clients that ask one after the other, each on a connection of its own; a broken connection is opened anew."""

    def __init__(self, url: str) -> None:
        self.url, self.answered, self.failed = url, list[str](), Counter[str]()
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(8)]

    def _ask(self, number: int) -> None:
        client, count = httpx.Client(base_url=self.url, timeout=30), 0
        while not self._stop.is_set():
            name = f"{number}-{count}"
            count += 1
            try:
                reply = client.post("/predict/loans", json={**LOAN, "_id": name})
                with self._lock:
                    if reply.status_code == 200:
                        self.answered.append(name)
                    else:
                        self.failed[str(reply.status_code)] += 1
            except httpx.TransportError as error:
                with self._lock:
                    self.failed[type(error).__name__] += 1
                client.close()
                client = httpx.Client(base_url=self.url, timeout=30)
        client.close()

    def more(self, count: int = 200) -> None:
        """Wait for so many further answers."""
        wanted = len(self.answered) + count
        until(lambda: len(self.answered) >= wanted, what=lambda: f"{len(self.answered)} of {wanted}; {self.failed}")

    @contextmanager
    def going(self) -> Iterator["Load"]:
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(30)


def ready(root: Path) -> str:
    until(lambda: records(root, "status")["models"]["loans"]["champion"] == 1, what="nothing was released")
    url = address(root)
    assert url is not None
    until(lambda: httpx.post(f"{url}/predict/loans", json=LOAN).status_code == 200, what="it does not answer")
    return url


def logged(root: Path) -> Counter[str]:
    ok("ingest", "loans", cwd=root)
    from modelway.workspace import open_workspace

    workspace = open_workspace(root)
    try:
        return Counter(workspace.lake.read("loans_predictions")["request"].to_list())
    finally:
        workspace.close()


def test_a_killed_worker_fails_nothing_but_what_it_was_answering(root):
    with up(root):
        with Load(ready(root)).going() as load:
            load.more()
            first = pids(root)
            assert len(set(first)) == 2
            os.kill(first[1], signal.SIGKILL)
            load.more()
            until(lambda: len(pids(root)) == 2 and pids(root)[1] != first[1], what="it was not started again")
            load.more()
            shown = parse_exposition(httpx.get(f"{load.url}/metrics").content)
            restarts = {dict(labels)["worker"]: n for (name, labels), n in shown.items() if name == RESTARTS}
            assert restarts == {"1": 1}
        assert sum(load.failed.values()) <= 8  # one for each client at most
        assert pids(root)[0] == first[0]
    assert processes(root) == ()
    found = logged(root)
    assert [name for name in load.answered if found[name] != 1] == []


def test_serving_processes_are_renewed_and_stopped_without_a_failed_request(root):
    with up(root):
        with Load(ready(root)).going() as load:
            load.more()
            before = pids(root)
            assert "2 serving processes were renewed" in ok("renew", cwd=root)
            assert set(pids(root)).isdisjoint(before)
            load.more()
            stack, sound, after = root / "stack.yaml", (root / "stack.yaml").read_text(), pids(root)
            stack.write_text(sound.replace("workers: 2", "workers: 2, tls: {certificate: none.pem, key: none.key}"))
            said = modelway("renew", cwd=root)
            assert "the old process goes on: " in said.err, said
            assert "none.pem" in said.err, said
            assert pids(root) == after
            stack.write_text(sound)
            stopped = pids(root)[0]
            os.kill(stopped, signal.SIGTERM)  # it finishes what it was asked
            until(lambda: len(pids(root)) == 2 and pids(root)[0] != stopped, what="it was not started again")
            load.more()
        assert load.failed == {}
    found = logged(root)
    assert [name for name in load.answered if found[name] != 1] == []


def test_any_worker_shows_the_figures_of_all(root):
    with up(root):
        url = ready(root)
        for _ in range(60):
            httpx.post(f"{url}/predict/loans", json=LOAN).raise_for_status()  # each on a connection of its own

        def counted() -> dict[str, float]:
            found = parse_exposition(httpx.get(f"{url}/metrics").content)
            asked = [
                (dict(labels), value) for (name, labels), value in found.items() if name == "modelway_requests_total"
            ]
            return {labels["worker"]: value for labels, value in asked if labels["status"] == "200"}

        until(lambda: len(counted()) == 2 and sum(counted().values()) >= 60, what=lambda: str(counted()))


def test_without_a_supervisor_there_is_nothing_to_renew(root):
    said = modelway("renew", cwd=root)
    assert "nothing is up" in said.err
    assert "fix: modelway up" in said.err
