"""The second engine: a contract as a suite of Great Expectations, its Data Docs, and its verdicts on a batch, on pandas.

How its meaning and ours are brought together (tried with 1.24.1):
- NaN, None and "" are one: missing. Both engines ask missing values nothing but whether they may be missing.
- a value of the wrong type is Modelway's to tell, since Modelway reads text as numbers and times: the suite is asked in two views
  (see `counterparts`), and infinity, which is no number here, is handed over as a wrong value.
- of values that come again Great Expectations blames every copy, Modelway all but the first: `Verdicts.also` has the firsts.
- a rule that cannot be evaluated is no breach: `Verdicts.unevaluated`.
- a distribution is not asked of batches with fewer than `min_rows` values, though a suite has no words for that.
"""

import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from modelway.contracts.contract import Contract
from modelway.contracts.counterparts import Counterparts, Expectation, View, counterparts
from modelway.contracts.rules import compiled
from modelway.contracts.typed import typed
from modelway.contracts.values import READ, quoted
from modelway.errors import MissingExtraError
from modelway.spec.contract import ColumnType

if TYPE_CHECKING:
    import pandas as pd

Blame = tuple[int | None, str, str]
"""Row (None: the batch), column, rule."""


@dataclass(frozen=True)
class Verdicts:
    """What Great Expectations found, in the contract's words."""

    breaches: frozenset[Blame]
    also: frozenset[Blame] = frozenset()
    """First copies of values that come again: blamed by Great Expectations only."""
    unevaluated: Mapping[str, str] = field(default_factory=dict)
    """`column: rule` → why it could not be evaluated."""


def suite_json(contract: Contract, name: str) -> dict[str, Any]:
    """The suite as Great Expectations writes it itself. Raises MissingExtraError."""
    with _quiet() as gx:
        return dict(_suite(gx, counterparts(contract).expectations, name).to_json_dict())


def verdicts(contract: Contract, frame: pl.DataFrame) -> Verdicts:
    """Ask the compiled suite of a batch of raw rows."""
    return verdicts_on(contract, views_of(contract, frame))


def verdicts_on(contract: Contract, views: "Mapping[View, pd.DataFrame]") -> Verdicts:
    """The same, of data frames: with one that holds wrong types for both views, rules are left unevaluated."""
    made = counterparts(contract)
    breaches: set[Blame] = set()
    also: set[Blame] = set()
    unevaluated: dict[str, str] = {}
    for one, result in _results(made, views):
        why = _not_evaluated(result)
        if why:
            unevaluated |= {f"{one.column}: {rule}": why for rule in one.rules}
        elif not result["success"]:
            blamed, first = _blamed(one, result["result"], contract, views["read"])
            breaches |= blamed
            also |= first
    return Verdicts(frozenset(breaches), frozenset(also), unevaluated)


def write_docs(contract: Contract, name: str, folder: Path, now: datetime, frame: pl.DataFrame | None = None) -> Path:
    """Data Docs of the suite, and of its verdicts on `frame`, as a folder of web pages; returns the first page."""
    made = counterparts(contract)
    with _quiet() as gx:
        context = _context(gx)
        context.add_data_docs_site("contract", _site(folder))
        for view, expectations in _by_view(made).items():
            suite = context.suites.add(_suite(gx, expectations, name if view == "read" else f"{name} types"))
            if frame is not None:
                _keep(context, suite, _batches(context, view), views_of(contract, frame)[view], now)
        context.build_data_docs(site_names=["contract"])
    return folder / "index.html"


def _keep(context: Any, suite: Any, batches: Any, rows: "pd.DataFrame", now: datetime) -> None:
    """Validate and keep the result for the pages; a checkpoint would stumble over the numpy truth of quantiles (1.24.1)."""
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    found = batches.get_batch(batch_parameters={"dataframe": rows}).validate(suite)
    for result in found.results:
        result.success = bool(result.success)
    run = RunIdentifier(run_time=now)
    found.meta |= {"run_id": run, "validation_time": now}
    key = ValidationResultIdentifier(ExpectationSuiteIdentifier(suite.name), run, "rows")
    context.validation_results_store.set(key, found)


def views_of(contract: Contract, frame: pl.DataFrame) -> "dict[View, pd.DataFrame]":
    """The batch as pandas, once as given and once as read (see `counterparts`)."""
    import pandas as pd

    given: dict[str, Any] = {}
    read: dict[str, Any] = {}
    for name, rule in contract.rules.items():
        raw = frame[name] if name in frame.columns else pl.Series(name, [None] * frame.height, dtype=pl.Null)
        values, wrong = typed(raw, rule.type)
        read[name] = _as_read(values, rule.type)
        given[name] = pd.Series(_as_given(raw, values, wrong, rule.type), dtype=object)
    index = pd.RangeIndex(frame.height)
    return {"given": pd.DataFrame(given, index=index), "read": pd.DataFrame(read, index=index)}


def _as_read(values: pl.Series, kind: ColumnType) -> Any:
    """Dates as their midnight: Great Expectations reads bounds as times, and a set's values as text of such."""
    import pandas as pd

    if kind == "float":
        return pd.Series(values.to_numpy(), dtype="float64")
    if kind == "int":
        return pd.Series(pd.array(values.to_list(), dtype="Int64"))
    if kind in ("date", "datetime"):
        moments = values.cast(pl.Datetime("us")).dt.replace_time_zone("UTC") if kind == "date" else values
        return pd.Series(moments.to_list(), dtype="datetime64[us, UTC]")
    return pd.Series(values.to_list(), dtype=object)


def _as_given(raw: pl.Series, values: pl.Series, wrong: pl.Series, kind: ColumnType) -> list[Any]:
    """Wrong values as text, which is of no other type; for a column of text, in a tuple."""
    if not wrong.any():
        return values.to_list()
    told = [quoted(value) if odd else None for value, odd in zip(raw.to_list(), wrong, strict=True)]
    odd_ones = [None if text is None else (text,) if kind == "string" else text for text in told]
    return [value if odd is None else odd for value, odd in zip(values.to_list(), odd_ones, strict=True)]


def _results(made: Counterparts, views: "Mapping[View, pd.DataFrame]") -> Iterator[tuple[Expectation, dict[str, Any]]]:
    """Each expectation with its result: all rows and values are named."""
    with _quiet() as gx:
        context = _context(gx)
        for view, expectations in _by_view(made).items():
            batch = _batches(context, view).get_batch(batch_parameters={"dataframe": views[view]})
            known = {json.dumps(one.meta, sort_keys=True): one for one in expectations}
            found = batch.validate(_suite(gx, expectations, view), result_format="COMPLETE")
            for result in found.results:
                meta = json.dumps(dict(result.expectation_config.meta), sort_keys=True)
                yield known[meta], {"success": result.success, "result": result.result, "errors": result.exception_info}


def _by_view(made: Counterparts) -> dict[View, list[Expectation]]:
    views: tuple[View, ...] = ("given", "read")
    parted = {view: [one for one in made.expectations if one.view == view] for view in views}
    return {view: expectations for view, expectations in parted.items() if expectations}


def _not_evaluated(result: Mapping[str, Any]) -> str:
    """The exception's message, or "". Without one `exception_info` says so itself; with one it is by metric."""
    errors = result["errors"] or {}
    told = [errors] if "raised_exception" in errors else list(errors.values())
    return next((str(one.get("exception_message") or "failed") for one in told if one.get("raised_exception")), "")


def _blamed(
    one: Expectation, found: Mapping[str, Any], contract: Contract, read: "pd.DataFrame"
) -> tuple[set[Blame], set[Blame]]:
    """What it blames in our sense, and the first copies, which it blames besides."""
    rule = contract.rules.get(one.column)
    (name, *_) = one.rules
    if (
        rule is not None
        and rule.distribution is not None
        and (name == "mean" or name.startswith(("quantile ", "new_")))
    ):
        few = int(read[one.column].notna().sum()) < max(1, rule.distribution.min_rows)
        return (set() if few else {(None, one.column, name)}), set()
    if "unexpected_index_list" not in found:
        return {(None, one.column, name)}, set()
    rows, values = found["unexpected_index_list"], found["unexpected_list"]
    if one.type in ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique"):
        columns = [one.column] if rule is not None else list(one.kwargs["column_list"])
        first = read.loc[rows, columns].drop_duplicates().index
        return {(row, one.column, name) for row in set(rows) - set(first)}, {(row, one.column, name) for row in first}
    if one.type == "expect_column_values_to_be_between" and rule is not None and set(one.rules) <= {"min", "max"}:
        bounds = [q for q in compiled(one.column, rule).questions if q.name in one.rules]
        pairs = zip(rows, values, strict=True)
        read_again = READ[rule.type] if rule.type == "date" else _same
        return {(row, one.column, q.name) for row, value in pairs for q in bounds if q.breaks(read_again(value))}, set()
    return {(row, one.column, name) for row in rows}, set()


def _same(value: Any) -> Any:
    return value


def _suite(gx: Any, expectations: list[Expectation] | tuple[Expectation, ...], name: str) -> Any:
    configured = [
        {"type": one.type, "kwargs": dict(one.kwargs), "meta": one.meta, "severity": one.severity}
        for one in expectations
    ]
    return gx.ExpectationSuite(name=name, expectations=configured)


def _context(gx: Any) -> Any:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    return context


def _batches(context: Any, view: str) -> Any:
    return context.data_sources.add_pandas(view).add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")


def _site(folder: Path) -> dict[str, Any]:
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    return {"class_name": "SiteBuilder", "store_backend": store, "site_index_builder": index}


@contextmanager
def _quiet() -> Iterator[Any]:
    """The library, imported on use: no word to its makers, none of its warnings and progress to ours."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import great_expectations as gx
        except ImportError as error:
            raise MissingExtraError("great-expectations", "great-expectations") from error
        logger = logging.getLogger("great_expectations")
        before, logger.disabled = logger.disabled, True
        try:
            yield gx
        finally:
            logger.disabled = before
