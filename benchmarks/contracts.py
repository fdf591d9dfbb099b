"""The contract check: 30 columns in one pass, every breach named by row, column, rule and value; and row by row, as the server
does it."""

import tempfile
from pathlib import Path

from benchmarks.figures import Result, figure
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
    found = check_table(frame, contract, "id")
    breaches = found.table.height
    table = timed(lambda: check_table(frame, contract, "id"), repetitions)
    plain = frame.head(2_000 if quick else 50_000).to_dicts()
    check = compile_row(contract)
    row = timed(lambda: [check(one) for one in plain], repetitions)
    figures = [
        figure("modelway: a table", table.wall.rate(rows), "rows/s", note=f"{breaches:,} breaches named"),
        figure("modelway: a table, clock", table.wall, "s"),
        figure("modelway: a table, processor", table.cpu, "s"),
        figure("modelway: row by row", row.wall.rate(len(plain)), "rows/s"),
        figure("modelway: one row", row.wall.times(1e6 / len(plain)), "µs"),
    ]
    notes = [
        f"{rows:,} rows, 30 columns: an id that must be unique, {RANGES} numbers with a range ({NULLS} of them never missing), "
        f"{len(WORDS)} of {len(ALLOWED)} words, {len(TEXTS)} texts with a regular expression, of which two differ in each row; "
        "0.1 % of the values of each column break a rule.",
        "Ours also types each column, parts accepted rows from refused ones, and writes a reason for each breach. Of equal ids it "
        "refuses all but the first, the rivals the first too.",
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
            theirs = heard(told["time"])
            figures += [
                figure(f"{name}: a table", theirs.wall.rate(rows), "rows/s", note=f"{told['breaches']:,} breaches named"),
                figure(f"{name}: a table, processor", theirs.cpu, "s"),
                figure(f"{name} ÷ modelway: processor", theirs.cpu.median / table.cpu.median, "×"),
                figure(f"{name} ÷ modelway: clock", theirs.wall.median / table.wall.median, "×"),
            ]  # fmt: skip
    return Result("contract checks", tuple(figures), tuple(notes), versions)


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
