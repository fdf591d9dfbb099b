"""Kafka to Delta, exactly once, on one core: processor seconds a million rows beside Spark's; Avro beside JSON."""

import tempfile
from typing import Any

import orjson

from benchmarks.figures import Figure, Result, Target, figure
from benchmarks.ingest import payments_kinds
from benchmarks.ingesters import ONE_CORE, by_one
from benchmarks.measure import Spread, timed
from benchmarks.report import alone
from benchmarks.rivals.environment import MissingRivalError, ask
from benchmarks.tables import payments
from benchmarks.topics import AGAIN, AVRO, TOPIC, broker, fill, pack, registry
from modelway.flow.streaming import PIECE
from modelway.ingest.avro import decode_avro
from modelway.ingest.json_rows import decode_json

JSON = "json."
SPARKS = (("doubles found", "30 days", 2.5), ("doubles let through", "", None))
"""How Spark is asked: a name, how long it looks for doubles, and the goal."""


def measure(quick: bool) -> Result:
    """On a broker of our own. Ours runs before and after each of Spark's, so that all see the same machine."""
    rows, runs = (20_000, 1) if quick else (2_000_000, 3)
    figures: list[Figure] = []
    notes: list[str] = []
    versions: dict[str, str] = {}
    with broker() as bootstrap:
        size = fill(bootstrap, JSON, rows, 1)
        taken = [by_one(bootstrap, JSON, rows).per_million]
        sparks: list[tuple[str, float | None, dict[str, Any]]] = []
        for named, within, wanted in SPARKS:
            try:
                sparks.append((named, wanted, _spark(bootstrap, rows, within, runs)))
            except MissingRivalError as error:
                notes.append(f"No figures of Spark, {named}: {error}.")
            taken.append(by_one(bootstrap, JSON, rows).per_million)
        own = Spread.of(taken)
        figures.append(figure("JSON → typed → 20 columns under rules → Delta, doubles found: processor", own, "s/M"))
        for named, wanted, told in sparks:
            versions["Spark"] = told["version"]
            figures += _beside(named, wanted, told["runs"], rows, own)
        figures += _avro(bootstrap, rows, own)
    notes += [
        f"20 columns, {size:.0f} bytes a record as JSON, keyed; 1 % have an amount out of range and go to the quarantine; each "
        f"{AGAIN}th record comes twice. Processor seconds are those of the whole process and all its threads, from the first "
        "commit that is seen to the last; one core (`taskset`), one thread for Polars. Spark's: all of a run, in a warm JVM.",
        "The broker runs on the same two cores.",
    ]
    return Result("Kafka to Delta, one core", tuple(figures), tuple(notes), versions)


def _spark(bootstrap: str, rows: int, within: str, runs: int) -> dict[str, Any]:
    """What Spark tells of its runs, the first of which warms its JVM; its rows are counted. Raises MissingRivalError."""
    with tempfile.TemporaryDirectory() as folder:
        asked = {"bootstrap": bootstrap, "topic": JSON + TOPIC, "folder": folder, "within": within}
        told = ask("spark", {**asked, "batch": 200_000, "runs": runs + 1}, before=ONE_CORE)
    expected = rows - rows // 100 + (0 if within else rows // AGAIN - _twice_refused(rows))
    if any(run["rows"] != expected for run in told["runs"]):
        raise AssertionError(f"Spark has {[run['rows'] for run in told['runs']]} rows, and not {expected}")
    return told


def _beside(named: str, wanted: float | None, runs: list[dict[str, Any]], rows: int, own: Spread) -> list[Figure]:
    first, *warm = runs
    found = Spread.of([run["cpu"] / rows * 1e6 for run in warm])
    return [
        figure(f"Spark, {named}: processor, warm", found, "s/M"),
        figure(f"Spark, {named}: processor, first run of its JVM", first["cpu"] / rows * 1e6, "s/M"),
        figure(f"Spark, {named}: the most memory of its JVM", max(run["memory"] for run in runs) / 2**20, "MB"),
        figure(
            f"Spark ({named}) / Modelway (doubles found): processor",
            found.median / own.median,
            "times",
            Target(at_least=wanted) if wanted else None,
        ),
    ]


def _twice_refused(rows: int) -> int:
    """Records that come twice and are out of range: numbers that AGAIN and 100 divide."""
    return len(set(range(0, rows, AGAIN)) & set(range(0, rows, 100)))


def _avro(bootstrap: str, rows: int, json: Spread) -> list[Figure]:
    with registry() as address:
        fill(bootstrap, "avro.", rows, 1, registered=address)
        found = by_one(bootstrap, "avro.", rows, f', registry: {{url: "{address}"}}').per_million
    alone = {form: _decoding(form) for form in ("json", "avro")}
    share = alone["avro"].median / alone["json"].median
    return [
        figure("Avro by a schema registry: processor", found, "s/M"),
        figure("Avro / JSON: processor", found / json.median, "times"),
        figure("JSON: decoding alone, strictly typed", alone["json"], "s/M"),
        figure("Avro: decoding alone", alone["avro"], "s/M"),
        figure("Avro / JSON: decoding alone", share, "times", Target(at_most=0.5)),
    ]


def _decoding(form: str) -> Spread:
    """Processor seconds a million records, in the pieces in which an ingesting process decodes."""
    rows = list(payments(PIECE).iter_rows(named=True))
    if form == "json":
        values, names = [orjson.dumps(row) for row in rows], payments_kinds()
        found = timed(lambda: decode_json(values, names), 20)
    else:
        packed = [pack(row) for row in rows]
        found = timed(lambda: decode_avro(packed, orjson.dumps(AVRO).decode()), 20)
    return found.cpu.times(1e6 / PIECE)


if __name__ == "__main__":
    alone("data", measure)
