"""One case of ours in a process of its own, from Parquet to columns, so that its memory is its own; prints what it took."""

import json
import sys
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.features_data import joins, windows
from benchmarks.measure import peak_mb, tell, timed
from modelway.features.arrays import ArrayEngine
from modelway.features.joins import joined


def main() -> None:
    asked = json.loads(sys.argv[1])
    folder, case = Path(asked["folder"]), asked["case"]
    found: dict[str, Any] = {"rows": 0}
    if case == "raw":
        found["timed"] = timed(lambda: found.update(rows=raw(folder)), 1, warm=False)
    else:
        found["timed"] = timed(lambda: found.update(rows=ready(folder, case)), 2)
    found["peak_mb"] = peak_mb()
    tell(found)


def raw(folder: Path) -> int:
    """Events and decisions to training rows."""
    decisions, events = pl.read_parquet(folder / "asked.parquet"), pl.scan_parquet(folder / "events.parquet")
    return ArrayEngine().compute(decisions, events, windows()).height


def ready(folder: Path, case: str) -> int:
    """An as-of join of a table that is ready; rows by columns are made, as Feast makes them."""
    decisions = pl.read_parquet(folder / f"{case}_asked.parquet")
    table = pl.scan_parquet(folder / f"{case}.parquet")
    plan = joins([name for name in table.collect_schema().names() if name.startswith("f")])
    return decisions.hstack(joined(decisions, plan, {"ready": table})).height


if __name__ == "__main__":
    main()
