"""Dagster: a job of ops in a row, in this process, its runs and events kept in its own SQLite."""

import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from dagster import DagsterInstance, job, op

from benchmarks.measure import tell, timed
from benchmarks.work import STEPS, work


def chain(length: int) -> Any:
    """A job of so many steps, each after the one before it."""

    @op
    def first() -> str:
        return work(0)

    @op
    def later(before: str) -> str:
        return work(len(before))

    @job(name=f"chain_{length}")
    def made() -> None:
        last = first()
        for number in range(1, length):
            last = later.alias(f"later_{number}")(last)

    return made


def main() -> None:
    asked = json.loads(sys.argv[1])
    with tempfile.TemporaryDirectory() as home:
        os.environ["DAGSTER_HOME"] = home
        (Path(home) / "dagster.yaml").write_text(
            "telemetry:\n  enabled: false\npython_logs:\n  python_log_level: CRITICAL\n"
        )
        logging.disable(logging.CRITICAL)
        short, long = chain(STEPS), chain(STEPS * 10)
        with DagsterInstance.get() as instance:

            def runs(made: Any, number: int) -> None:
                for _ in range(number):
                    assert made.execute_in_process(instance=instance).success

            tell(
                {
                    "short": timed(lambda: runs(short, asked["runs"]), asked["repetitions"]),
                    "long": timed(lambda: runs(long, 1), asked["repetitions"]),
                }
            )


if __name__ == "__main__":
    main()
