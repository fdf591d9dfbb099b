"""Load by `wrk` from one core on a server on another: rate, latency, and what a request costs the server's processor."""

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_suffix(".lua")
CORE = "1"
"""Where the client runs; servers have core 0."""


@dataclass(frozen=True)
class Load:
    """Requests that are sent in turn; `head` is the length of the JSON part of a binary body, 0 when all is JSON."""

    path: str
    files: tuple[Path, ...]
    kind: str = "application/json"
    head: int = 0


@dataclass(frozen=True)
class Shot:
    """Of one round: answered requests by second, seconds (latency), processor seconds each, the share of a core that was busy.

    `failed`: refused or broken; they are in no rate, but wrk has them in its latency.
    """

    requests: int
    failed: int
    rate: float
    p50: float
    p99: float
    cpu: float
    busy: float


def there() -> bool:
    """Whether `wrk` and `taskset` are installed, and this process may use both cores."""
    return {0, int(CORE)} <= os.sched_getaffinity(0) and all(shutil.which(name) for name in ("wrk", "taskset"))


def fire(url: str, pid: int, load: Load, clients: int, seconds: int) -> Shot:
    """Ask as fast as answers come; raises RuntimeError when nothing is answered."""
    command = ["taskset", "-c", CORE, "wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "-s", str(SCRIPT), url, "--"]
    words = [load.path, load.kind, str(load.head), *map(str, load.files)]
    cpu = processor(pid)
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    cpu = processor(pid) - cpu
    if done.returncode != 0:
        raise RuntimeError(f"wrk ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    told = json.loads(done.stdout.strip().splitlines()[-1])
    count, wall = told["requests"] - told["failed"], told["seconds"]
    if count <= 0:
        raise RuntimeError(f"{told['failed']} of {told['requests']} requests to {url}{load.path} failed")
    return Shot(count, told["failed"], count / wall, told["p50"], told["p99"], cpu / count, cpu / wall)


def processor(pid: int) -> float:
    """Seconds of the processor that a process has had, all its threads together (as `/proc/PID/stat`, but in nanoseconds)."""
    return time.clock_gettime((~pid << 3) | 2)  # the process's clock, as clock_getcpuclockid names it
