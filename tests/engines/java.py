"""Engines that are Java programs: their artefacts by Maven, kept between runs; a process of ours that ends with the tests."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]


def home() -> Path:
    """Where what was fetched is kept."""
    place = Path(os.environ.get("MODELWAY_ENGINES_HOME", Path.home() / ".cache" / "modelway-engines"))
    place.mkdir(parents=True, exist_ok=True)
    return place


def there() -> bool:
    """Whether Java programs can be fetched and run here."""
    return all(shutil.which(program) for program in ("java", "mvn"))


def maven(name: str, *goal: str) -> Path:
    """The folder that a goal of Maven's dependency plug-in fills, once; `{out}` stands for it."""
    place, part = home() / name, home() / f"{name}.{os.getpid()}.part"
    if not place.exists():
        part.mkdir()
        plugin = f"org.apache.maven.plugins:maven-dependency-plugin:{goal[0]}"
        command = ["mvn", "-q", "-B", plugin, *(word.replace("{out}", str(part)) for word in goal[1:])]
        subprocess.run(command, check=True, capture_output=True, timeout=600, cwd=ROOT)
        part.rename(place)
    return place


def utf8() -> dict[str, str]:
    """The environment of Java programs: they read their arguments as the locale says, and a password is not ASCII here."""
    return {**os.environ, "LC_ALL": "C.UTF-8"}


def free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Program:
    """A server that can be killed as a crash does, and started again with its data."""

    command: list[str]
    log: Path
    ready: Callable[[], bool]
    folder: Path
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    def start(self, within: float = 120.0) -> None:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=self.folder, env=utf8()
            )
        until = time.monotonic() + within
        while not self.ready():
            dead = self.process.poll() is not None or time.monotonic() > until
            assert not dead, self.log.read_text()[-3_000:]
            time.sleep(0.1)

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
