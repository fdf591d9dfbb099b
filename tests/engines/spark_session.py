"""What runs inside Spark's environment for all tests: one session, which does what comes through a socket, one after another.

`python spark_session.py SOCKET DRIVER`; a request is the work of `features/spark_driver.py`, or {"read": PATH, "versions": […]}.
"""

import json
import runpy
import socketserver
import sys
from typing import Any

from pyspark.sql import SparkSession

place, script = sys.argv[1:]
driver: dict[str, Any] = runpy.run_path(script)
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",  # compiling costs more than a few hundred rows do
    "spark.databricks.delta.snapshotPartitions": "1",
}


def session(settings: dict[str, str]) -> SparkSession:
    builder = SparkSession.builder.master("local[2]").appName("tests")
    for name, value in {**settings, **SETTINGS}.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def answer(work: dict[str, Any]) -> dict[str, Any]:
    spark = session(work["settings"])
    if "read" in work:
        found = {}
        for version in work["versions"]:
            reader = spark.read.format("delta")
            rows = (reader.option("versionAsOf", version) if version else reader).load(work["read"])
            found[version] = [json.loads(text) for text in rows.orderBy("_key").toJSON().collect()]
        return found
    told: dict[str, Any] = driver["answer"](lambda: driver["made"](spark, work))
    return told


class Request(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        made = answer(json.loads(self.rfile.read()))
        self.wfile.write(json.dumps(made).encode() + b"\n")


with socketserver.UnixStreamServer(place, Request) as server:
    server.serve_forever()
