"""Features on Spark: the plan's SQL (`spark_sql.py`), run by a driver in an environment that has Spark (`tools/spark.sh`).

The driver is a process of its own with that environment's Python: Spark's libraries and Java never come into ours.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelway import faults
from modelway.errors import DataError, EngineError
from modelway.features import spark_driver
from modelway.features.spark_places import hadoop_address, hadoop_settings
from modelway.features.spark_sql import View, function_name, sources, statements
from modelway.features.tables import TableFeatures, TableWork

SETTINGS = {
    # the lake keeps the files of pinned versions itself, however old (`lake/delta/log.py`)
    "spark.databricks.delta.vacuum.enforceTimeTravelWithinDeletedFileRetentionDuration": "false",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",
    "spark.sql.caseSensitive": "true",
    "spark.executorEnv.TZ": "UTC",
    "spark.ui.enabled": "false",
}


class SparkFeatures(TableFeatures):
    """`master` as Spark names it; `python` is the environment's; `settings` are Spark's own, and win over ours.

    `storage` are the options of the object store in which the tables lie, secrets included.
    """

    def __init__(
        self,
        master: str,
        python: Path,
        settings: dict[str, str] | None = None,
        timeout_seconds: float = 24 * 3600,
        storage: Mapping[str, str] | None = None,
    ) -> None:
        self._master, self._python, self._timeout = master, python, timeout_seconds
        self._storage = dict(storage or {})
        self._settings = {**SETTINGS, **hadoop_settings(self._storage), **(settings or {})}

    def compute(self, work: TableWork) -> Path:
        views = statements(work)
        partly = work.out.with_name(f".{work.out.name}.partly")
        shutil.rmtree(partly, ignore_errors=True)
        functions = [
            {"name": function_name(e), "source": e.source, "entry": e.text, "kind": e.kind}
            for e in work.plan.expressions
            if e.source
        ]
        tables = {name: [hadoop_address(p, self._storage), version] for name, (p, version) in sources(work).items()}
        self._run(views, tables, functions, partly)
        faults.point("spark.before-rename")
        partly.rename(work.out)
        return work.out

    def ping(self) -> None:
        self._run([], {}, [], None)

    def _run(
        self, views: list[View], tables: dict[str, list[Any]], functions: list[dict[str, str]], out: Path | None
    ) -> None:
        work = {
            "master": self._master,
            "settings": self._settings,
            "sources": tables,
            "functions": functions,
            "views": [[view.name, view.text] for view in views],
            "out": str(out or ""),
        }
        environment = {**os.environ, "TZ": "UTC", "PYSPARK_PYTHON": str(self._python)}
        environment.pop("PYTHONPATH", None)
        try:
            done = subprocess.run(
                [str(self._python), spark_driver.__file__],
                input=json.dumps(work),
                capture_output=True,
                text=True,
                timeout=self._timeout,
                env=environment,
                check=False,
            )
        except OSError as error:
            raise EngineError(
                f"Spark's Python {self._python} cannot be started: {error.strerror}",
                "make the environment: bash tools/spark.sh DIR, and name DIR/bin/python in stack.yaml",
            ) from error
        except subprocess.TimeoutExpired as error:
            raise EngineError(f"Spark gave no answer within {self._timeout:.0f} s", transient=True) from error
        if done.returncode != 0:
            raise _failed(done.stdout, done.stderr)


def _failed(answer: str, said: str) -> EngineError | DataError:
    fix = "look at the tables and at Spark's own log"
    try:
        last = json.loads(answer.splitlines()[-1])
        told, fix = str(last["error"]), str(last.get("fix", fix))
    except (ValueError, IndexError, KeyError):
        told = " ".join(said.splitlines()[-3:])[-500:]
    return EngineError(f"features on Spark: {told}", fix)
