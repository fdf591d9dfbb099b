"""Pandera on polars, lazily: all breaches of all rules."""

import json
import sys

import pandera.polars as pa
import polars as pl

from benchmarks.measure import tell, timed


def main() -> None:
    asked = json.loads(sys.argv[1])
    frame = pl.read_parquet(asked["file"])
    columns = {"id": pa.Column(pl.Int64, unique=True)}
    for number in range(asked["ranges"]):
        may_miss = number >= asked["nulls"]
        columns[f"number_{number}"] = pa.Column(pl.Float64, pa.Check.in_range(0, 1_000), nullable=may_miss)
    for name in asked["words"]:
        columns[name] = pa.Column(pl.String, pa.Check.isin(list(asked["allowed"])), nullable=True)
    for name, pattern in asked["texts"].items():
        columns[name] = pa.Column(pl.String, pa.Check.str_matches(pattern), nullable=True)
    schema = pa.DataFrameSchema(columns)
    found: dict[str, int] = {}

    def check() -> None:
        try:
            schema.validate(frame, lazy=True)
        except pa.errors.SchemaErrors as errors:
            found.clear()
            found.update(errors.failure_cases["column"].value_counts().iter_rows())

    time = timed(check, asked["repetitions"])
    tell({"time": time, "breaches": found})


if __name__ == "__main__":
    main()
