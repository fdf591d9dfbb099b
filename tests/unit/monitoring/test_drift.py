"""Drift: size and evidence, both; false alarms and planted changes by seeded simulation."""

import numpy as np
import polars as pl
import pytest

from modelway.errors import DataError
from modelway.evidence.two_sample import ks
from modelway.monitoring.drift import drift
from modelway.monitoring.profile import profile, profile_of, read_profile
from modelway.records import Column
from modelway.spec.model import Drift

COLUMNS = [Column("x", "number"), Column("y", "number"), Column("w", "word")]
CLASSES = ("no", "yes")


def rows(rng, n, *, shift=0.0, words="abcd"):
    return pl.DataFrame({"x": rng.normal(shift, 1, n), "y": rng.exponential(size=n), "w": rng.choice(list(words), n)})


def scores(rng, n, shift=0.0):
    p = 1 / (1 + np.exp(-rng.normal(shift, 1, n)))
    return np.column_stack([1 - p, p])


def reference(rng, n=4_000):
    return read_profile(profile(rows(rng, n), COLUMNS, scores(rng, n), CLASSES))


def alarms(findings):
    return [f.column for f in findings if f.drifted]


@pytest.mark.parametrize("smallest", [0.0, 0.1])
def test_no_drift_gives_few_false_alarms_over_many_looks(smallest):
    """Without a smallest distance the share of looks with any alarm is at most about alpha; with one, next to none."""
    rng = np.random.default_rng(7)
    kept, looks = reference(rng), 400
    settings = Drift(min_distance=smallest, alpha=0.05)
    wrong = sum(bool(alarms(drift(kept, rows(rng, 500), scores(rng, 500), settings))) for _ in range(looks))
    assert wrong / looks <= (0.075 if smallest == 0.0 else 0.0)


def test_planted_drift_is_found_and_named():
    rng = np.random.default_rng(1)
    kept = reference(rng)
    assert alarms(drift(kept, rows(rng, 500, shift=0.6), scores(rng, 500), Drift())) == ["x"]
    assert alarms(drift(kept, rows(rng, 500, words="abce"), scores(rng, 500), Drift())) == ["w"]
    assert alarms(drift(kept, rows(rng, 500), scores(rng, 500, shift=1), Drift())) == ["_prediction"]


def test_a_column_that_goes_missing_drifts():
    rng = np.random.default_rng(2)
    kept, now = reference(rng), rows(rng, 400)
    broken = now.with_columns(pl.when(pl.int_range(pl.len()) % 3 == 0).then(None).otherwise(pl.col("y")).alias("y"))
    assert alarms(drift(kept, broken, scores(rng, 400), Drift())) == ["y"]
    silent = now.with_columns(pl.lit(None, pl.Float64).alias("y"), pl.lit("").alias("w"))
    found = drift(kept, silent, scores(rng, 400), Drift())
    assert (alarms(found), found[1].distance) == (["y", "w"], 1.0)


def test_size_without_evidence_and_evidence_without_size_are_no_alarm():
    rng = np.random.default_rng(3)
    few = drift(reference(rng), rows(rng, 20, shift=0.3), scores(rng, 20), Drift(min_rows=1))[0]
    assert few.distance >= 0.1
    assert not few.drifted
    many = drift(reference(rng, 50_000), rows(rng, 50_000, shift=0.08), scores(rng, 50_000), Drift())[0]
    assert many.p_value < 1e-6
    assert not many.drifted


def test_distance_and_p_value_are_those_of_the_two_sample_test():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=900), rng.normal(0.2, 1, size=400)
    kept = profile_of(pl.DataFrame({"x": a}), COLUMNS[:1], np.zeros((900, 1)), ())
    found = drift(kept, pl.DataFrame({"x": b}), np.zeros((400, 1)), Drift())
    distance, p = ks(np.sort(a), np.sort(b))
    assert found[0].distance == pytest.approx(distance)
    assert found[0].p_value == pytest.approx(min(2 * p, 1.0))  # adjusted over two columns
    assert (found[1].distance, found[1].p_value) == (0.0, 1.0)


def test_fewer_rows_than_the_least_are_not_judged():
    rng = np.random.default_rng(5)
    assert drift(reference(rng), rows(rng, 99), scores(rng, 99), Drift()) == ()
    assert len(drift(reference(rng), rows(rng, 100), scores(rng, 100), Drift())) == 4
    assert drift(reference(rng), rows(rng, 0), np.empty((0, 2)), Drift(min_rows=0)) == ()


def test_a_column_that_is_not_there_is_said():
    rng = np.random.default_rng(6)
    with pytest.raises(DataError, match="column y"):
        drift(reference(rng), rows(rng, 200).drop("y"), scores(rng, 200), Drift())


def test_rows_of_a_series_count_for_fewer():
    """Stretches of 250 days out of one autoregressive series: as independent rows most would alarm, as a series few."""
    rng = np.random.default_rng(8)
    noise, x = rng.normal(size=60_000), np.zeros(60_000)
    for i in range(1, len(x)):
        x[i] = 0.9 * x[i - 1] + noise[i]
    flat = np.zeros((len(x), 1))
    kept = profile_of(pl.DataFrame({"x": x[:20_000]}), COLUMNS[:1], flat[:20_000], ())
    settings = Drift(min_distance=0.0)
    wrong = {False: 0, True: 0}
    starts = range(20_000, 59_000, 300)
    for start in starts:
        now = pl.DataFrame({"x": x[start : start + 250]})
        for series in wrong:
            wrong[series] += bool(alarms(drift(kept, now, flat[:250], settings, series=series)))
    assert wrong[False] / len(starts) > 0.3
    assert wrong[True] / len(starts) < 0.08
    moved = pl.DataFrame({"x": x[30_000:30_250] + 5})
    assert alarms(drift(kept, moved, flat[:250], settings, series=True)) == ["x"]


def test_words_of_a_series_count_for_fewer():
    rng = np.random.default_rng(9)
    words = np.repeat(rng.choice(list("ab"), 400), 50)
    kept = profile_of(pl.DataFrame({"w": words}), COLUMNS[2:], np.zeros((len(words), 1)), ())
    now = pl.DataFrame({"w": np.repeat(["a", "b", "a", "a", "b", "a"], 50)})
    strict = drift(kept, now, np.zeros((300, 1)), Drift(min_distance=0.0))[0]
    mild = drift(kept, now, np.zeros((300, 1)), Drift(min_distance=0.0), series=True)[0]
    assert strict.distance == pytest.approx(mild.distance, abs=1e-9)
    assert strict.p_value < 0.001 < 0.05 < mild.p_value


def test_of_many_classes_the_counts_are_judged():
    rng = np.random.default_rng(10)
    three = ("a", "b", "c")
    made = np.eye(3)[rng.integers(0, 3, 900)]
    kept = profile_of(pl.DataFrame({"x": rng.normal(size=900)}), COLUMNS[:1], made, three)
    now = np.eye(3)[rng.choice(3, 300, p=[0.7, 0.2, 0.1])]
    found = drift(kept, pl.DataFrame({"x": rng.normal(size=300)}), now, Drift())
    assert alarms(found) == ["_prediction"]
    assert found[-1].statistic == "jensen_shannon"
