"""A look, what follows from it, and where it is kept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from modelway.errors import LeaseLostError
from modelway.monitoring import looks
from modelway.monitoring.look import Look, causes, drift_words, judged
from modelway.monitoring.performance import Performance
from modelway.monitoring.profile import profile_of
from modelway.monitoring.quality import Quality, Volume, at_least, missing_shares, quality, volume
from modelway.records import Column, DriftFinding, Finding, Metric, dumps, loads
from modelway.spec.model import Spec
from modelway.state import leases

T0 = datetime(2026, 3, 2, tzinfo=UTC)
SPEC = Spec.model_validate({"model": "loans", "task": "binary", "data": {"source": "loans", "target": "ok"}})
WORSE = Performance(
    "worse",
    "brier 0.3 on 100 matured answers against 0.2 on the holdout: shown to be worse",
    Finding("worse", -0.1, -0.15, -0.05, 0.05, None, "bootstrap"),
    Metric("brier", 0.3, 0.25, 0.35, 100, "matured"),
    Metric("brier", 0.2, None, None, 900),
    0.02,
    "power",
)
FINE = Performance("not_worse", "as good as ever")


def found(column, distance=0.3, drifted=True):
    return DriftFinding(column, "ks", distance, 0.1, 1e-6, drifted, 500)


def look(**changes):
    made = Look("loans", 3, T0, 500, (found("age", 0.0, False),), FINE, Quality(500), Volume(500, 1.0, 500.0, 480.0))
    return replace(made, **changes)


def test_a_look_comes_back_from_json():
    made = look(
        drift=(found("a"), found("b", 0.5)), performance=WORSE, quality=Quality(9, 1, 2, {"a": 0.5}, {"a": 0.0})
    )
    whole = replace(made, causes=causes(made, SPEC))
    assert set(whole.causes) == {"drift", "performance", "errors"}
    assert loads(Look, dumps(whole)) == whole


def test_a_look_that_finds_nothing_has_no_causes():
    assert causes(look(), SPEC) == {}


def test_drift_is_one_cause_and_names_the_farthest_columns_first():
    many = look(drift=tuple(found(f"c{n}", n / 10) for n in range(1, 9)))
    (severity, text) = causes(many, SPEC)["drift"]
    assert severity == "note"
    assert "8 of 8 columns drifted in the last 500 requests: c8 (ks 0.80, p 1e-06), c7" in text
    assert "and 3 more" in text
    assert drift_words(many) in text


@pytest.mark.parametrize(
    ("performance", "severity"), [(FINE, "note"), (WORSE, "ticket"), (Performance("undecided", ""), "ticket")]
)
def test_drift_is_a_note_while_performance_is_shown_to_be_as_it_was(performance, severity):
    assert causes(look(drift=(found("a"),), performance=performance), SPEC)["drift"][0] == severity


def test_worse_performance_calls_people_where_the_tier_is_high():
    assert causes(look(performance=WORSE), SPEC)["performance"] == ("ticket", f"loans@3: {WORSE.reason}")
    assert causes(look(performance=WORSE), SPEC.model_copy(update={"tier": "high"}))["performance"][0] == "page"


@pytest.mark.parametrize(
    ("quality", "wanted"),
    [
        (Quality(1_000, errors=1), set()),  # 0.1 % are allowed
        (Quality(1_000, errors=20), {"errors"}),
        (Quality(100, refused=6), set()),
        (Quality(100, refused=12), {"refused"}),
        (Quality(0), set()),
    ],
)
def test_errors_and_refusals_need_evidence(quality, wanted):
    assert set(causes(look(quality=quality), SPEC)) == wanted


@pytest.mark.parametrize(
    ("volume", "absent"),
    [
        (Volume(0, 1.0, 0.0, 100.0), True),
        (Volume(20, 1.0, 20.0, 100.0), False),
        (Volume(0, 0.1, 0.0, 100.0), False),  # ten were to be expected
        (Volume(0, 1.0, 0.0, None), False),
    ],
)
def test_requests_that_stay_away_are_a_cause(volume, absent):
    assert ("volume" in causes(look(volume=volume), SPEC)) == absent


def test_an_alert_is_not_over_because_it_could_not_be_judged():
    before = look()
    blind = look(drift=(), performance=Performance("not_applicable", ""), quality=Quality(0))
    assert judged(blind, before) == {"volume"}
    assert judged(look(), before) == {"drift", "performance", "errors", "refused", "volume"}
    assert judged(replace(blind, version=4), before) == judged(look(), before)
    assert judged(blind, None) == {"volume"}


def test_quality_counts_answers_and_missing_inputs():
    columns = [Column("x", "number"), Column("w", "word")]
    learned = pl.DataFrame({"x": [1.0, None, 3.0, 4.0], "w": ["a", "", "b", "b"]})
    kept = profile_of(learned, columns, np.zeros((4, 1)), ())
    now = pl.DataFrame({"x": [None, float("nan")], "w": ["a", None]})
    made = quality({"ok": 3, "refused": 1, "error": 1}, now, kept)
    assert (made.rows, made.refused, made.errors) == (5, 1, 1)
    assert (made.missing, made.missing_in_training) == ({"x": 1.0, "w": 0.5}, {"x": 0.25, "w": 0.25})
    assert missing_shares(now.clear(), kept) == {}
    assert quality({}, now, None) == Quality(0)


def test_volume_is_a_rate_beside_the_usual_one():
    assert volume(50, T0, T0 + timedelta(hours=12), [80, 100, 1, 120, 90, 110]) == Volume(50, 0.5, 100.0, 100)
    assert volume(0, T0, T0, []) == Volume(0, 0.0, 0.0, None)


def test_one_error_of_few_proves_little():
    assert at_least(0, 10) == 0.0
    assert at_least(1, 10) == pytest.approx(0.005116, abs=1e-6)  # 1 − 0.95^(1/10)
    assert at_least(10, 10) == pytest.approx(0.05 ** (1 / 10))


def test_a_look_is_kept_once_for_each_moment(database):
    first = looks.keep(database, look())
    assert looks.keep(database, look(rows=1)) == first
    later = looks.keep(database, look(at=T0 + timedelta(days=1)))
    looks.keep(database, replace(look(), model="cards"))
    assert looks.last(database, "loans") == later
    assert looks.recent(database, "loans", 5) == (later, first)
    assert looks.last(database, "nothing") is None


def test_a_look_is_not_kept_by_who_lost_the_lease(database):
    mine = leases.take(database, "model/loans", "a", T0, timedelta(seconds=1))
    leases.take(database, "model/loans", "b", T0 + timedelta(seconds=2), timedelta(seconds=1))
    with pytest.raises(LeaseLostError):
        looks.keep(database, look(), mine)
    assert looks.last(database, "loans") is None
