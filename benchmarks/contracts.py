"""The contract check: 30 columns in one pass, every breach named by row, column, rule and value; and row by row, as the server
does it."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from benchmarks.figures import Result, Target, figure
from benchmarks.measure import heard, timed
from benchmarks.report import alone
from benchmarks.rivals.environment import MissingRivalError, ask, pin
from benchmarks.tables import ALLOWED, RANGES, TEXTS, WORDS, loans
from modelway.contracts.contract import Contract
from modelway.contracts.row import compile_row
from modelway.contracts.table import check_table
from modelway.spec.model import Rule

RIVALS = ("pandera", "great_expectations")
NULLS = 15
"""Of the number columns so many may not be missing."""


def measure(quick: bool) -> Result:
    """The same frame for all, in memory; rivals read it from Parquet before the clock starts."""
    rows, repetitions = (20_000, 2) if quick else (1_000_000, 5)
    frame, contract = loans(rows), loans_contract()
    found = check_table(frame, contract, "id").table
    named = timed(lambda: check_table(frame, contract, "id").table, repetitions)
    parted = timed(lambda: _parted(frame, contract), repetitions)
    plain = frame.head(2_000 if quick else 50_000).to_dicts()
    check = compile_row(contract)
    row = timed(lambda: [check(one) for one in plain], repetitions)
    figures = [
        figure("modelway: a table", named.wall.rate(rows), "rows/s", note=f"{found.height:,} breaches named"),
        figure("modelway: a table, clock", named.wall, "s"),
        figure("modelway: a table, processor", named.cpu, "s"),
        figure("modelway: a table and its rows parted, processor", parted.cpu, "s", note="what ingestion does"),
        figure("modelway: row by row", row.wall.rate(len(plain)), "rows/s"),
        figure("modelway: one row", row.wall.times(1e6 / len(plain)), "µs"),
    ]
    notes = [
        f"{rows:,} rows, 30 columns: an id that must be unique, {RANGES} numbers with a range ({NULLS} of them never missing), "
        f"{len(WORDS)} of {len(ALLOWED)} words, {len(TEXTS)} texts with a regular expression, of which two differ in each row; "
        "0.1 % of the values of each column break a rule.",
        "Each engine types each column and names every breach by row and value; ours by key and with a reason too. The counts are "
        "the same column by column, but that of equal ids ours blames all but the first, the rivals the first too.",
    ]
    versions = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "loans.parquet"
        frame.write_parquet(place)
        settings = {
            "file": str(place),
            "ranges": RANGES,
            "nulls": NULLS,
            "words": WORDS,
            "allowed": ALLOWED,
            "texts": TEXTS,
            "repetitions": repetitions,
        }
        for rival in RIVALS:
            try:
                told = ask(rival, settings)
            except MissingRivalError as error:
                notes.append(f"No figure: {error}")
                continue
            name, _, number = pin(rival).partition(" ")
            versions[name] = number
            theirs, counted = heard(told["time"]), told["breaches"]
            demand_same(found, counted, name)
            target = Target(at_least=40) if rival == "great_expectations" and not quick else None
            ratio = theirs.cpu.median / named.cpu.median
            figures += [
                figure(f"{name}: a table", theirs.wall.rate(rows), "rows/s", note=f"{sum(counted.values()):,} breaches named"),
                figure(f"{name}: a table, processor", theirs.cpu, "s"),
                figure(f"{name} ÷ modelway: processor", ratio, "×", target),
                figure(f"{name} ÷ modelway: clock", theirs.wall.median / named.wall.median, "×"),
            ]  # fmt: skip
    return Result("contract checks", tuple(figures), tuple(notes), versions)


def _parted(frame: pl.DataFrame, contract: Contract) -> int:
    checked = check_table(frame, contract, "id")
    return checked.accepted.height + checked.quarantined.height


def demand_same(breaches: pl.DataFrame, theirs: Mapping[str, int], rival: str) -> None:
    """Raise ValueError unless the rival blames as many values of each column; of equal ids the rivals blame the first too."""
    ours = dict(breaches["column"].value_counts().iter_rows())
    repeated = breaches.filter(pl.col("rule") == "unique")
    for column, values in repeated.group_by("column").agg(pl.col("value").n_unique()).iter_rows():
        ours[column] += values
    if ours != {column: count for column, count in theirs.items() if count}:
        raise ValueError(f"{rival} found other breaches: {theirs}, and Modelway {ours}")


def loans_contract() -> Contract:
    """The rules of `tables.loans`."""
    numbers = {
        f"number_{n}": Rule(type="float", min=0, max=1_000, nulls=0 if n < NULLS else None) for n in range(RANGES)
    }
    words = {name: Rule.model_validate({"type": "string", "in": ALLOWED}) for name in WORDS}
    texts = {name: Rule(type="string", pattern=pattern) for name, pattern in TEXTS.items()}
    return Contract({"id": Rule(type="int", unique=True), **numbers, **words, **texts})


if __name__ == "__main__":
    alone("contracts", measure)
