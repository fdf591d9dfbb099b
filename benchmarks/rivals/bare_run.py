"""Bare `session.run` on one tensor again and again: what a server of many rows cannot be quicker than."""

import json
import sys
import time

import numpy as np

from benchmarks.measure import tell
from benchmarks.rivals.session import open_session


def main() -> None:
    asked = json.loads(sys.argv[1])
    session = open_session(asked["graph"])
    rows = np.fromfile(asked["rows"]).reshape(-1, asked["columns"])
    feeds, calls = {"numbers": rows}, 0
    for _ in range(20):
        session.run(["scores"], feeds)
    wall, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < asked["seconds"]:
        session.run(["scores"], feeds)
        calls += 1
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    tell({"rate": calls / wall, "cpu": cpu / calls})


if __name__ == "__main__":
    main()
