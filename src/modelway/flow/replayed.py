"""Windows of answered rows computed once more, as the server did: from its own online values, as they were known at the answer.

Where the values are at hand this needs no table, and only the rows that are new since the last look.
"""

import json
from functools import lru_cache
from typing import Any

import polars as pl

from modelway.contracts.contract import from_plain
from modelway.contracts.row import compile_row as compile_check
from modelway.features.online import OnlineValues
from modelway.features.plan import Plan
from modelway.features.rows import compile_row, groups_of
from modelway.flow.serving import values_name
from modelway.records import Manifest
from modelway.serving.servable import checked_columns
from modelway.workspace import Workspace

_PLACE = ("_partition", "_offset", "_index")
_Cells = tuple[list[float], list[str]]


def as_served(workspace: Workspace, manifest: Manifest, plan: Plan, rows: pl.DataFrame) -> pl.DataFrame | None:
    """`_partition`, `_offset`, `_index`, `_key`, `_at` and the plan's columns; None where the values do not reach so far.

    `rows`: those places, `key`, `at`, `served`, `row` (JSON) and `upto`, the position of the values at the answer (JSON).
    """
    name = values_name(manifest)
    places = rows.select(_PLACE).rows()
    memory = _memory(workspace, name)
    new = [n for n, place in enumerate(places) if place not in memory]
    if new:
        values = workspace.online(name, groups_of(plan))
        try:
            if not _reach(values, rows["upto"].unique().to_list()):
                return None
            computed = _computed(manifest, plan, values, rows[new])
        finally:
            values.close()
        memory |= dict(zip((places[n] for n in new), computed, strict=True))
    wanted = set(places)
    for place in [place for place in memory if place not in wanted]:
        del memory[place]
    cells = [memory[place] for place in places]
    return rows.select(*_PLACE, pl.col("key").alias("_key"), pl.col("at").alias("_at")).hstack(_columns(plan, cells))


@lru_cache(maxsize=32)
def _memory(workspace: Workspace, name: str) -> dict[tuple[Any, ...], _Cells]:
    """By place the columns of the rows that the last look asked for: an answer never changes."""
    del workspace, name
    return {}


def _reach(values: OnlineValues, answers: list[str]) -> bool:
    """Whether the values hold all that the answers were given from."""
    here = values.upto()
    needed = ((int(partition), end) for text in answers for partition, end in json.loads(text or "{}").items())
    return all(here.get(partition, 0) >= end for partition, end in needed)


def _computed(manifest: Manifest, plan: Plan, values: OnlineValues, rows: pl.DataFrame) -> list[_Cells]:
    check = compile_check(from_plain(manifest.contract).only(checked_columns(manifest)))
    features = compile_row(plan)
    made = []
    for text, key, at, served in rows.select("row", "key", "at", "served").iter_rows():
        raw = json.loads(text)
        typed, _ = check(raw)
        made.append(features({**raw, **typed}, key, at, values, served))
    return made


def _columns(plan: Plan, cells: list[_Cells]) -> list[pl.Series]:
    numbers, words = (iter(zip(*side, strict=True)) for side in ([c[0] for c in cells], [c[1] for c in cells]))
    return [
        pl.Series(column.name, list(next(numbers)), pl.Float64)
        if column.kind == "number"
        else pl.Series(column.name, list(next(words)), pl.String)
        for column in plan.columns
    ]
