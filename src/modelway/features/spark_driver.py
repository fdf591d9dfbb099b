"""What runs inside the Spark environment: reads tables at their versions, makes views from SQL, writes the last one as Parquet.

Started by `spark.py` as a script, with the work as JSON on standard input; it imports nothing of Modelway, so that the environment
needs Spark alone. The answer is one line of JSON: {"rows": N} or {"error": "…"}.
"""

import json
import re
import sys
from collections.abc import Callable
from typing import Any

_KEPT = ("versions", "d0")
"""Views that every group of windows reads: computed once."""
_FILE_SYSTEMS = {
    "s3a": ("org.apache.hadoop.fs.s3a.S3AFileSystem", "org.apache.hadoop:hadoop-aws"),
    "abfss": ("org.apache.hadoop.fs.azurebfs.SecureAzureBlobFileSystem", "org.apache.hadoop:hadoop-azure"),
    "gs": ("com.google.cloud.hadoop.fs.gcs.GoogleHadoopFileSystem", "com.google.cloud.bigdataoss:gcs-connector"),
}
"""By scheme the class that reads it, and the artefact that brings the class."""


class OutOfReachError(Exception):
    """A table lies where this Spark cannot read."""

    def __init__(self, place: str, artefact: str) -> None:
        super().__init__(f"the tables lie in {place}, and this Spark has no jar that reads there ({artefact})")
        self.fix = (
            f"name it in stack.yaml: features: {{spark: {{settings: {{spark.jars.packages: {artefact}}}}}}}, "
            "or put that jar and what it needs into the jars of Spark's environment"
        )


def main() -> int:
    work = json.load(sys.stdin)
    told = answer(lambda: run(work))
    sys.stdout.write(json.dumps(told) + "\n")
    return int("error" in told)


def answer(do: Callable[[], int]) -> dict[str, Any]:
    """What is told of the work: the number of rows, or the error."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        return {"rows": do()}
    except OutOfReachError as error:
        return {"error": str(error), "fix": error.fix}
    except PySparkException as error:
        return {"error": str(error).splitlines()[0][:2_000]}
    except Py4JJavaError as error:
        return {"error": str(error.java_exception.toString()).splitlines()[0][:2_000]}


def run(work: dict[str, Any]) -> int:
    """The number of rows written; 0 for a ping."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(work["master"]).appName("modelway")
    for name, value in work["settings"].items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    try:
        return made(spark, work)
    finally:
        spark.stop()


def made(spark: Any, work: dict[str, Any]) -> int:
    """The work in a session that stands."""
    if not work["views"]:
        return int(spark.range(1).count()) - 1
    demand_reach([place for place, _ in work["sources"].values()], classes_of(spark))
    types: dict[str, dict[str, str]] = {}
    for name, (place, version) in work["sources"].items():
        table = spark.read.format("delta").option("versionAsOf", version).load(place)
        table.createOrReplaceTempView(name)
        types[name] = dict(table.dtypes)
    for function in work["functions"]:
        register(spark, **function)
    kept = []
    for name, text in work["views"]:
        view = spark.sql(read_cells(text, types))
        if name in _KEPT:
            kept.append(view.persist())
        view.createOrReplaceTempView(name)
    try:
        spark.table("result").write.mode("error").parquet(work["out"])
        return int(spark.read.parquet(work["out"]).count())
    finally:
        for view in kept:
            view.unpersist()


def demand_reach(places: list[str], has: Callable[[str], str]) -> None:
    """Raise OutOfReachError for a place whose file system is not there; `has` tells of a class Hadoop's version, or ""."""
    for place in places:
        scheme, found, _ = place.partition("://")
        if found and scheme in _FILE_SYSTEMS and not has(_FILE_SYSTEMS[scheme][0]):
            name, version = _FILE_SYSTEMS[scheme][1], has("org.apache.hadoop.util.VersionInfo")
            raise OutOfReachError(place, f"{name}:{version}" if name.startswith("org.apache") else name)


def classes_of(spark: Any) -> Callable[[str], str]:
    """What Java knows."""
    java = spark.sparkContext._jvm.org.apache

    def has(name: str) -> str:
        loads = java.spark.util.Utils.classIsLoadable(name)
        return str(java.hadoop.util.VersionInfo.getVersion()) if loads else ""

    return has


def read_cells(text: str, types: dict[str, dict[str, str]]) -> str:
    """`as_number(`x`)` and its like, by the type in which the view's own table stores the column."""
    kinds: dict[str, str] = {}
    for table, columns in types.items():
        if re.search(rf"from {table}\b", text):
            kinds |= columns

    def cast(match: "re.Match[str]") -> str:
        column = match[2].replace("``", "`")
        return CELLS[match[1]](match[2], kinds.get(column))

    return re.sub(r"as_(number|word|moment)\(`((?:[^`]|``)+)`\)", cast, text)


def number(name: str, kind: str | None) -> str:
    if kind is None:
        return "cast(null as double)"
    if kind in ("date", "timestamp"):
        return f"(cast(unix_micros(cast(`{name}` as timestamp)) as double) / 86400000000)"
    made = f"try_cast(`{name}` as double)"
    return f"(case when not isnan({made}) then {made} end)"


def word(name: str, kind: str | None) -> str:
    if kind is None:
        return "cast(null as string)"
    if kind in ("float", "double"):
        whole = f"cast(cast(`{name}` as bigint) as string)"
        shown = f"cast(`{name}` as string)"
        return f"(case when isnan(`{name}`) then null when `{name}` = floor(`{name}`) then {whole} else {shown} end)"
    return f"nullif(cast(`{name}` as string), '')"


def moment(name: str, kind: str | None) -> str:
    return "cast(null as timestamp)" if kind is None else f"try_cast(`{name}` as timestamp)"


CELLS = {"number": number, "word": word, "moment": moment}


def register(spark: Any, name: str, source: str, entry: str, kind: str) -> None:
    """A Python function of a feature: missing is None on both sides, times are in UTC."""
    from datetime import UTC, datetime

    def call(*given: Any) -> Any:
        space: dict[str, Any] = {}
        exec(source, space)
        cells = [one.replace(tzinfo=UTC) if isinstance(one, datetime) else one for one in given]
        made = space[entry](*cells)
        if kind == "word":
            return made or None
        return None if made is None or made != made or abs(made) == float("inf") else float(made)

    spark.udf.register(name, call, "string" if kind == "word" else "double")


if __name__ == "__main__":
    sys.exit(main())
