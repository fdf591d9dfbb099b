"""The seven commands on the credit-card data, typed as a user types them: each a process of its own, with its seconds."""

import csv
import gzip
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.machine import user_environment

DATA = Path(__file__).parents[1] / "examples" / "credit_risk" / "uci_credit_card_default.csv.gz"
TARGET, KEY = "class", "ID"
MODEL = "loans"
MODELWAY = str(Path(sys.executable).with_name("modelway"))
_READY_SECONDS = 60.0


@dataclass
class Bank:
    """A workspace in an empty folder; `seconds` by command, in the order in which they were typed."""

    root: Path
    seconds: dict[str, float] = field(default_factory=dict)

    def type(self, name: str, *words: str, inside: bool = True) -> str:
        """Run a command and return what it prints; a refused version (exit code 1 of `run`) is no failure of the benchmark."""
        started = time.perf_counter()
        place = self.root / "bank" if inside else self.root
        done = subprocess.run(
            [MODELWAY, *words], cwd=place, env=user_environment(), capture_output=True, text=True, check=False
        )
        self.seconds[name] = time.perf_counter() - started
        if done.returncode not in ((0, 1) if name == "run" else (0,)):
            raise RuntimeError(f"modelway {name} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        return done.stdout

    def started(self, train: str = "../train.csv") -> None:
        """`init` and `new`."""
        self.type("init", "init", "bank", inside=False)
        self.type("new", "new", MODEL, "--data", train, "--target", TARGET)
        (self.root / "bank" / "stack.yaml").write_text("serving: {host: 127.0.0.1, port: 0}\n")

    def run(self) -> dict[str, Any]:
        """`run --json`."""
        return dict(json.loads(self.type("run", "run", MODEL, "--json")))

    def run_again(self) -> dict[str, float]:
        """A second run in the same workspace, timed part by part."""
        command = [sys.executable, str(Path(__file__).with_name("inside.py")), MODEL]
        done = subprocess.run(
            command, cwd=self.root / "bank", env=user_environment(), capture_output=True, text=True, check=True
        )
        return dict(json.loads(done.stdout.splitlines()[-1]))

    @contextmanager
    def up(self) -> Iterator[str]:
        """`up` until the block ends; the address at which the model answers. Stopped by Ctrl-C."""
        started = time.perf_counter()
        log = (self.root / "up.log").open("wb")
        process = subprocess.Popen(
            [MODELWAY, "up"], cwd=self.root / "bank", env=user_environment(), stdout=log, stderr=log
        )
        try:
            yield self._ready(started, process)
        finally:
            stopped = time.perf_counter()
            process.send_signal(signal.SIGINT)
            process.wait(60)
            self.seconds["stop"] = time.perf_counter() - stopped
            log.close()

    def _ready(self, started: float, process: "subprocess.Popen[bytes]") -> str:
        """Ready is the server; a model that was just released is taken up a little later."""
        place = self.root / "bank" / ".modelway" / "server.json"
        while time.perf_counter() - started < _READY_SECONDS and process.poll() is None:
            url = json.loads(place.read_text())["url"] if place.is_file() else None
            if url and "up" not in self.seconds and _answers(f"{url}/v2/health/live"):
                self.seconds["up"] = time.perf_counter() - started
            if url and _answers(f"{url}/v2/models/{MODEL}/ready"):
                self.seconds["up, model answers"] = time.perf_counter() - started
                return str(url)
            time.sleep(0.02)
        raise RuntimeError(f"modelway up is not ready: {(self.root / 'up.log').read_text()[-500:]}")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def rows() -> list[dict[str, str]]:
    """The data set, as text."""
    with gzip.open(DATA, "rt", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, chosen: list[dict[str, str]], *, target: bool = True) -> None:
    """As CSV, with or without the target."""
    names = [name for name in chosen[0] if target or name != TARGET]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(chosen)
