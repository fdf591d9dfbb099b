"""A version answers logged rows again, off line: as the server does, but with the derived values that stand beside each row."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import cycle
from math import inf
from time import monotonic

import numpy as np
import polars as pl

from modelway.contracts.contract import from_plain
from modelway.contracts.row import compile_row as compile_check
from modelway.errors import DataError, EngineError, GraphError
from modelway.features.plan import Plan
from modelway.features.rows import compile_row
from modelway.flow.forms import open_run
from modelway.flow.logged import Cells, Made
from modelway.flow.runs import Tell
from modelway.isolation.offline import BLOCK, Offline
from modelway.isolation.process import PythonProcess
from modelway.records import Manifest, Version
from modelway.serving.answer import Answer, answer_rows, failed_rows
from modelway.serving.servable import Features, Row, Servable, checked_columns, derived_columns, open_servable
from modelway.validation.latency import measure
from modelway.workspace import Workspace

_LOGGED = "_logged"
"""Beside the columns of a row: its derived values, and when it was served. Names that start with _ are ours."""
_TIMED = 500


@contextmanager
def opened(workspace: Workspace, manifest: Manifest, version: Version) -> Iterator[Servable]:
    """The version as the server holds it, but for its derived values: they are with the row."""
    run = open_run(workspace, manifest, str(version), patient=True)
    try:
        check = compile_check(from_plain(manifest.contract).only(checked_columns(manifest)))
        features, way = _with_its_values(manifest), run.way if isinstance(run, Offline) else None
        yield open_servable(manifest, version.digest, version.number, run, check=check, features=features, way=way)
    finally:
        if isinstance(run, Offline | PythonProcess):
            run.close()


def _with_its_values(manifest: Manifest) -> Features:
    """Raw columns from the row, derived ones as they stand beside it."""
    plan, derived = Plan.from_plain(manifest.features), derived_columns(manifest)
    names = {column.name for column in derived}
    raw_columns = tuple(column for column in plan.columns if column.name not in names)
    raw = compile_row(replace(plan, columns=raw_columns, expressions=(), windows=(), joins=()))
    whole = None if plan.looks_back else compile_row(plan)

    def features(row: Row, key: str, at: datetime, served: datetime) -> tuple[Sequence[float], Sequence[str]]:
        made: Cells | None
        made, served = row[_LOGGED]
        at = at if row.get(manifest.event_time) else served
        if made is None and whole is not None:
            return whole(row, key, at, None, served)  # says why it cannot be computed
        if made is None:
            raise DataError("its features cannot be computed from the lake", "compare with `modelway status`")
        numbers, words = raw(row, key, at, None, served)
        for column, value in zip(derived, made, strict=True):
            (words if column.kind == "word" else numbers).append(value)
        return numbers, words

    return features


def answers_of(
    servable: Servable, rows: pl.DataFrame, raws: Sequence[Row], made: Made, seconds: float, tell: Tell
) -> Sequence[Answer]:
    """`seconds`: what is spent at the most on finding the rows of a block that the version fails on. Raises GraphError."""
    keys, served = rows["key"].to_list(), rows["served"].to_list()
    given = [{**raw, _LOGGED: beside} for raw, *beside in zip(raws, made.cells, served, strict=True)]
    done: list[Answer] = []
    for start in range(0, len(given), BLOCK):
        part = slice(start, start + BLOCK)
        done += _of_block(servable, keys[part], given[part], served[part], monotonic() + seconds)
        tell("answering", len(done) / len(given))
    return done


def _of_block(
    servable: Servable, keys: Sequence[str], rows: Sequence[Row], served: Sequence[datetime], until: float
) -> Sequence[Answer]:
    """A run that fails for all is tried for half of them, until a row that fails is alone, as the server has it by request."""
    try:
        return answer_rows(servable, keys, rows, served[-1])
    except GraphError:
        raise
    except EngineError as error:
        if len(rows) == 1:
            return failed_rows(servable, keys[0], rows, served[0], error.problem)
        if monotonic() > until:
            named = f"{servable.manifest.model}@{servable.number}"
            raise GraphError(
                f"{named} fails on rows, and it takes too long to find which", "look at its graph"
            ) from error
    half = len(rows) // 2
    return [
        *_of_block(servable, keys[:half], rows[:half], served[:half], until),
        *_of_block(servable, keys[half:], rows[half:], served[half:], until),
    ]


def some(rows: int) -> list[int]:
    """The places of rows that are timed, drawn evenly."""
    return [int(place) for place in np.unique(np.linspace(0, rows - 1, _TIMED).astype(int))]


def timed(servable: Servable, rows: pl.DataFrame, raws: Sequence[Row], made: Made) -> Mapping[str, float]:
    """`p50_ms` and `p99_ms` of one row by itself, these in turn."""
    together = zip(rows["key"].to_list(), raws, made.cells, rows["served"].to_list(), strict=True)
    turns = cycle([([key], [{**raw, _LOGGED: (cells, served)}], [served]) for key, raw, cells, served in together])
    return measure(lambda: _of_block(servable, *next(turns), inf), _TIMED, servable.way or (lambda: 0.0))
