"""Prefect: a flow of tasks in a row; its own local server, on SQLite, is started before and not counted."""

import json
import os
import sys
import tempfile

from benchmarks.measure import tell, timed
from benchmarks.work import STEPS, work


def main() -> None:
    asked = json.loads(sys.argv[1])
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        os.environ |= {
            "PREFECT_HOME": home,
            "PREFECT_LOGGING_LEVEL": "ERROR",
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        }
        from prefect import flow, task

        @task
        def step(number: int) -> str:
            return work(number)

        @flow
        def chain(length: int) -> None:
            for number in range(length):
                step(number)

        tell(
            {
                "short": timed(lambda: [chain(STEPS) for _ in range(asked["runs"])], asked["repetitions"]),
                "long": timed(lambda: chain(STEPS * 10), asked["repetitions"]),
            }
        )


if __name__ == "__main__":
    main()
