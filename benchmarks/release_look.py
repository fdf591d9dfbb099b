"""A look at a release that has lasted for days: the first one of a process, and those after it, which read only what is new."""

import resource
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from benchmarks.figures import Result, Target, figure
from benchmarks.measure import Spread
from modelway.flow.gathered import look
from modelway.records import Release
from modelway.spec.model import Spec
from modelway.workspace import Workspace, create_workspace

T0 = datetime(2026, 1, 5, tzinfo=UTC)
SLOW = ((5.0, 5.5), (9.0, 9.9))
COMMIT, NEW, LOOKS = 250_000, 1_000, 9
SPEC = """\
model: loans
task: binary
data: {source: loans, key: id, target: ok}
contract: {id: {type: string}, income: {type: float}, ok: {type: string}}
"""


def measure(quick: bool) -> Result:
    """A canary of a quarter, every request answered by both versions, ten requests a second."""
    rows = 20_000 if quick else 5_000_000
    with tempfile.TemporaryDirectory() as folder:
        workspace = create_workspace(Path(folder), "")
        try:
            workspace.places.project("loans").mkdir()
            workspace.places.spec("loans").write_text(SPEC)
            spec, commit = workspace.spec("loans"), min(COMMIT, rows)
            for start in range(0, rows, commit):
                workspace.lake.append("loans_predictions", answers(start, min(start + commit, rows)))
            first, _ = timed(workspace, spec)
            again = []
            for n in range(LOOKS):
                start = rows + n * NEW
                workspace.lake.append("loans_predictions", answers(start, start + NEW))
                seconds, read = timed(workspace, spec)
                again.append(seconds)
                if read != NEW:
                    raise AssertionError(f"a look read {read} rows where {NEW} were new")
        finally:
            workspace.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    figures = (
        figure(f"the first look of a process, at {rows:,} predictions", first, "s"),
        figure(f"a look after it, with {NEW:,} new ones", Spread.of(again), "s", Target(at_most=1.0)),
        figure("the most memory of it all", peak, "MB"),
    )
    return Result("a look at a release", figures, ("Labels are not in it: they are read whole at each look.",))


def timed(workspace: Workspace, spec: Spec) -> tuple[float, int]:
    """Seconds of a look, and the rows that it read."""
    evidence = {"basis": "errors", "slow_ms": [list(pair) for pair in SLOW]}
    begun = T0 - timedelta(days=1)
    standing = Release(1, "loans", 2, 1, "canary", 0, 0.25, begun, begun, "asked", evidence)
    before = time.perf_counter()
    found = look(workspace, spec, standing, SLOW, 1.0)
    return time.perf_counter() - before, found.read


def answers(start: int, end: int) -> pl.DataFrame:
    """Rows of the predictions table: those with even numbers are version 1's, the next ones version 2's of the same request."""
    n = pl.int_range(start, end, eager=True).alias("n")
    request = pl.format("{}a1b2c3d4e5f6a7b8", pl.col("n") // 2)
    served = pl.lit(T0) + pl.duration(milliseconds=pl.col("n") // 2 * 100)
    challenger = (pl.col("n") // 2).hash(1) % 4 == 0
    rows = pl.DataFrame([n]).with_columns(
        request=request,
        index=pl.lit(0, pl.Int64),
        key=request,
        at=served,
        served=served,
        version=pl.col("n") % 2 + 1,
        shadow=challenger != (pl.col("n") % 2 == 1),
        status=pl.lit("ok"),
        ms=(pl.col("n") * 7919 % 1000 / 100.0),
        pinned=pl.lit(False),
        caller=pl.lit(None, pl.String),
        _key=pl.format("{}/0/{}", request, pl.col("n") % 2),
        _content=request,
        _at=served,
        _arrived=served + pl.duration(milliseconds=1),
        _partition=pl.lit(0, pl.Int64),
        _offset=pl.col("n"),
        _index=pl.lit(0, pl.Int64),
    )
    return rows.with_columns(scores=pl.concat_list(pl.col("ms") / 20, 1 - pl.col("ms") / 20)).drop("n")
