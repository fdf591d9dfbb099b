"""Spark Structured Streaming: a Kafka topic, typed and under the same rules, into Delta; processor seconds of JVM and Python.

One process, one core for its tasks (local[1]); the first run warms the JVM, the others count. With `within`, rows of a key that
came before are dropped (dropDuplicatesWithinWatermark).
"""

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f
from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType, TimestampType

from benchmarks.measure import tell

WORDS, NUMBERS = 5, 10


def main() -> None:
    asked = json.loads(sys.argv[1])
    spark = session()
    runs = []
    for number in range(asked["runs"]):
        before, wall = processor(spark), time.perf_counter()
        table = Path(asked["folder"]) / f"table-{number}"
        stream(spark, asked, table, Path(asked["folder"]) / f"checkpoint-{number}")
        seconds = {"wall": time.perf_counter() - wall, "cpu": processor(spark) - before}
        runs.append({**seconds, "rows": spark.read.format("delta").load(str(table)).count(), "memory": memory(spark)})
    tell({"runs": runs, "version": spark.version})


def session() -> SparkSession:
    made = SparkSession.builder.master("local[1]").config("spark.driver.host", "127.0.0.1")
    for name, value in {
        "spark.driver.memory": "2g",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": "false",
        "spark.databricks.delta.snapshotPartitions": "1",
    }.items():
        made = made.config(name, value)
    spark = made.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def stream(spark: SparkSession, asked: dict[str, Any], table: Path, checkpoint: Path) -> None:
    """All that is in the topic, and then it ends."""
    events = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", asked["bootstrap"])
        .option("subscribe", asked["topic"])
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", asked["batch"])
        .load()
    )
    rows = typed(events).filter(" and ".join(rules()))
    if asked["within"]:
        rows = rows.withWatermark("at", asked["within"]).dropDuplicatesWithinWatermark(["id"])
    query = (
        rows.writeStream.format("delta")
        .option("checkpointLocation", str(checkpoint))
        .trigger(availableNow=True)
        .start(str(table))
    )
    query.awaitTermination()


def typed(events: DataFrame) -> DataFrame:
    """An array of one, taken apart: a filter right behind `from_json` would parse each record once a column."""
    fields = [
        StructField("id", StringType()),
        StructField("customer", LongType()),
        StructField("at", TimestampType()),
        StructField("amount", DoubleType()),
        StructField("count", LongType()),
        *(StructField(f"word_{n}", StringType()) for n in range(WORDS)),
        *(StructField(f"number_{n}", DoubleType()) for n in range(NUMBERS)),
    ]
    read = f.from_json(f.col("value").cast("string"), StructType(fields))
    place = [
        f.col("partition").alias("_partition"),
        f.col("offset").alias("_offset"),
        f.col("timestamp").alias("_arrived"),
    ]
    return events.select(*place, f.explode(f.array(read)).alias("r")).select("_partition", "_offset", "_arrived", "r.*")


def rules() -> list[str]:
    """Those of `payments_source` in `benchmarks.ingest`."""
    allowed = ", ".join(f"'word_{n}'" for n in range(12))
    found = [
        "id is not null",
        "at is not null",
        "amount is not null and amount >= 0",
        "(customer is null or customer >= 0)",
    ]
    found.append("(count is null or count between 0 and 100)")
    found += [f"(word_{n} is null or word_{n} in ({allowed}))" for n in range(WORDS)]
    return found + [f"(number_{n} is null or number_{n} between -1000 and 1000)" for n in range(NUMBERS)]


def processor(spark: SparkSession) -> float:
    """Seconds of the JVM and of this process."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    fields = Path(f"/proc/{jvm(spark)}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + own.ru_utime + own.ru_stime


def memory(spark: SparkSession) -> int:
    """The most that the JVM had in memory, in bytes."""
    lines = Path(f"/proc/{jvm(spark)}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


def jvm(spark: SparkSession) -> int:
    return int(spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid())  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
