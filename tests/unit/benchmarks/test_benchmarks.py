"""Each benchmark runs at its smallest size and yields figures; how long anything takes is no matter here."""

import json
import math

import polars as pl
import pytest
from benchmarks import (
    backfill,
    contracts,
    drift,
    features,
    ingest,
    lookup,
    python_model,
    release_look,
    run,
    serving,
    serving_speed,
    start,
    step,
    wrk,
)
from benchmarks.figures import Figure, Target, figure
from benchmarks.measure import Spread, heard, tell, timed
from benchmarks.report import number, page
from benchmarks.rivals import environment
from benchmarks.rivals.environment import MissingRivalError


@pytest.fixture
def no_rivals(monkeypatch):
    """Rivals are installed by the benchmarks, not by the tests."""

    def refuse(rival):
        raise MissingRivalError(f"{rival} is left out")

    monkeypatch.setattr(environment, "python_of", refuse)


@pytest.mark.parametrize(
    "module",
    [start, step, ingest, backfill, contracts, features, lookup, drift, python_model, release_look],
    ids=lambda m: m.__name__,
)
def test_yields_figures_and_says_which_rivals_are_missing(module, no_rivals):
    result = module.measure(True)
    assert all(
        math.isfinite(one.value) and one.low <= one.value <= one.high for one in result.figures if one.low is not None
    )
    assert len({one.name for one in result.figures}) == len(result.figures) >= 3
    said = [note for note in result.notes if note.startswith("No figure: ")]
    assert len(said) == {step: 2, contracts: 2, features: 1, lookup: 1, drift: 1}.get(module, 0)


@pytest.mark.slow
@pytest.mark.parametrize("module", [run, serving], ids=lambda m: m.__name__)
def test_the_seven_commands_yield_figures(module):
    names = {one.name for one in module.measure(True).figures}
    assert names >= ({"one row, p50", "one row, p99"} if module is serving else {"2,000 rows: step train"})


@pytest.mark.slow
@pytest.mark.skipif(not wrk.there(), reason="wrk, taskset and two cores are needed")
def test_the_speed_of_serving_yields_figures_of_all_that_need_no_environment_of_their_own(no_rivals):
    result = serving_speed.measure(True)
    names = {one.name for one in result.figures}
    assert names >= {"modelway, matrix ÷ uvicorn: rate", "1,000 rows binary, 4 clients ÷ bare session.run: rate"}
    assert names >= {f"rate that is left with {what}" for what in ("metrics and traces of 1 %", "prediction log")}
    assert not any("MLServer" in name for name in names)
    assert [note for note in result.notes if note.startswith("No figure: ")] == ["No figure: mlserver is left out"]


def test_without_wrk_the_speed_of_serving_says_what_is_missing(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    result = serving_speed.measure(True)
    assert not result.figures
    assert "wrk" in result.notes[0]


def test_a_spread_is_the_median_the_least_and_the_greatest():
    spread = Spread.of([3.0, 1.0, 2.0, 9.0, 4.0])
    assert (spread.median, spread.low, spread.high, spread.repetitions) == (3.0, 1.0, 9.0, 5)
    assert spread.rate(18) == Spread(6.0, 2.0, 18.0, 5)
    assert spread.times(2) == Spread(6.0, 2.0, 18.0, 5)


def test_the_warm_call_does_not_count_and_each_call_is_prepared():
    calls = []
    found = timed(lambda: calls.append("do"), 3, before=lambda: calls.append("before"))
    assert calls == ["before", "do"] * 4
    assert (found.wall.repetitions, found.first is None) == (3, False)
    assert timed(lambda: None, 2, warm=False).first is None


def test_what_a_rival_tells_is_heard(capsys):
    found = timed(lambda: None, 2)
    tell({"time": found})
    assert heard(json.loads(capsys.readouterr().out.splitlines()[-1])["time"]) == found


@pytest.mark.parametrize(
    ("target", "value", "met", "words"),
    [
        (Target(at_most=150), 150.0, True, "≤ 150 ms"),
        (Target(at_most=150), 150.1, False, "≤ 150 ms"),
        (Target(at_least=-0.005), -0.005, True, "≥ −0.005 ms"),
        (Target(at_least=-0.005), -0.006, False, "≥ −0.005 ms"),
    ],
)
def test_a_target_holds_at_its_bound(target, value, met, words):
    made = figure("x", value, "ms", target)
    assert (made.met, made.target) == (met, words)


def test_the_page_shows_a_missed_target_and_a_missing_rival():
    about = {
        "taken": "2026-01-01 00:00 UTC",
        "cores": 2,
        "memory_gib": 8.0,
        "system": "Linux",
        "python": "3.11",
        "libraries": {},
    }
    about |= {"omp_num_threads": "not set", "load_before": 0.1, "load_after": 1.0}
    kept = {"benchmark": "x", "title": "t", "machine": about, "notes": ["No figure: r 1 failed"], "versions": {}}
    kept["figures"] = [vars(Figure("slow", 1234.5, "ms", 1.0, 2000.0, 5, "≤ 150 ms", False))]
    text = page([kept])
    assert "| slow | 1,234 ms | 1–2,000 (5) | ≤ 150 ms | **no** |  |" in text
    assert "- No figure: r 1 failed" in text


def test_numbers_keep_three_digits():
    assert [number(v) for v in (0.001234, -0.0051, 12.345, 1234567.8)] == ["0.00123", "−0.0051", "12.3", "1,234,568"]


def test_a_rival_that_blames_other_values_is_no_rival():
    breaches = pl.DataFrame(
        {"column": ["id", "id", "x"], "rule": ["unique", "unique", "max"], "value": ["0", "0", "9"]}
    )
    contracts.demand_same(breaches, {"id": 3, "x": 1, "y": 0}, "theirs")
    with pytest.raises(ValueError, match="found other breaches"):
        contracts.demand_same(breaches, {"id": 3, "x": 2}, "theirs")
