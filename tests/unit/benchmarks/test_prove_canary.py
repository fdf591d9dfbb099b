"""The simulation of releases, with few runs: traffic is what it says, rules stop when they say, the machine keeps its promise."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks import prove_canary
from benchmarks.canary_rules import RULES
from benchmarks.canary_traffic import EARLIER, Minutes, Scene, traffic
from benchmarks.prove_canary import ALIKE, GUARDED, OURS, PLANTED, WHOLE, Found, drive, page, play, result_of, whole_way

EQUAL, TIMES_FIVE = ALIKE[0], next(scene for scene in PLANTED if scene.name == "errors × 5, 10/s")


def test_traffic_has_the_rates_that_the_scene_says():
    scene = Scene("", 100, 400, errors=0.01, times_errors=3, times_latency=1.5)
    ours, theirs = traffic(scene, np.random.default_rng(0))
    asked, others = ours.requests.sum(), theirs.requests.sum()
    assert asked / (asked + others) == pytest.approx(0.1, abs=0.002)
    assert ours.errors.sum() / asked == pytest.approx(0.03, rel=0.05)
    assert theirs.errors.sum() / others == pytest.approx(0.01, rel=0.05)
    timed, theirs_timed = asked / 10, others / 10  # ten of a hundred in each second
    assert theirs.slow.sum(axis=0) / theirs_timed == pytest.approx(
        [0.9, 0.75, 0.5, 0.25, 0.1, 0.05, 0.01, 0.005, 0.001], rel=0.2
    )
    assert (ours.slow.sum(axis=0) / timed > theirs.slow.sum(axis=0) / theirs_timed).all()
    assert np.median(theirs.p99) == pytest.approx(EARLIER[6], rel=0.02)
    assert np.median(ours.p99) == pytest.approx(1.5 * EARLIER[6], rel=0.05)


def test_failing_callers_make_ten_errors_or_one():
    singly = Scene("", 10, 600, burst=10)
    each, once = (
        traffic(scene, np.random.default_rng(1))[1].errors.sum()
        for scene in (singly, replace(singly, counted="callers"))
    )
    assert each / once == pytest.approx(10, rel=0.3)


def test_a_stall_makes_more_slow_answers_and_no_more_requests():
    calm = Scene("", 10, 600, errors=0.001)
    still, stalled = (traffic(one, np.random.default_rng(5))[1] for one in (calm, replace(calm, stalls=True)))
    assert stalled.slow[:, 6].sum() > 1.5 * still.slow[:, 6].sum()
    assert (stalled.slow[:, 0] <= stalled.requests).all()


def minutes(errors, requests=100, p99=1.0) -> Minutes:
    errors = np.asarray(errors)
    n = np.full(len(errors), requests)
    return Minutes(n, errors, np.zeros_like(errors), np.zeros((len(errors), 9), dtype=int), np.full(len(errors), p99))


@pytest.mark.parametrize(
    ("name", "stops"),
    [("≥ 99 % a minute", 5), ("≥ 95 %", None), ("1.2 × stable", 4), ("Flagger", 5), ("z-test", 0)],
)
def test_a_rule_stops_when_it_says(name, stops):
    """Three errors of a hundred in each minute but the first two, against none."""
    rule = next(rule for rule in RULES if name in rule.name)
    canary = minutes([5, 0, *[3] * 28])
    champion = minutes([0] * 30, requests=900)
    assert rule.stops(canary, champion) == stops
    assert rule.stops(champion, champion) is None


def test_a_slow_minute_is_a_failed_check_of_flagger_alone():
    slow, usual = minutes([0] * 9, p99=9.0), minutes([0] * 9)
    assert [rule.stops(slow, usual) for rule in RULES] == [None, None, None, 4, None]


def test_equal_versions_are_not_stopped_and_worse_ones_soon_are():
    rng = np.random.default_rng(2)
    equal = [drive(*traffic(replace(EQUAL, looks=60), rng), GUARDED, rng) for _ in range(12)]
    worse = [drive(*traffic(TIMES_FIVE, rng), GUARDED, rng) for _ in range(12)]
    assert sum(one.state == "rolled_back" for one in equal) <= 2
    assert all(one.state == "rolled_back" for one in worse)
    assert np.median([one.look for one in worse]) <= 20


def test_a_broken_split_is_called_so_and_stops_nothing():
    rng = np.random.default_rng(3)
    found = play(Scene("x", 10, 90, share=0.3, alike=True), 8, [3])[0]
    assert (found.broken, found.stopped) == (1.0, 0.0)
    assert drive(*traffic(Scene("y", 10, 90), rng), GUARDED, rng).broken is False


def test_the_whole_way_ends_full_for_an_equal_version_and_back_for_a_worse_one():
    equal, worse = (whole_way(scene, 4, [4]) for scene in (WHOLE[0], WHOLE[2]))
    assert equal.passed >= 0.75
    assert (worse.passed, worse.stopped) == (0.0, 1.0)


def test_the_page_and_the_figures_hold_every_scene(monkeypatch):
    scenes = (*ALIKE, *PLANTED)
    found = [Found(scene.name, rule, 0.01, 8.0, 20) for scene in scenes for rule in (OURS, *(r.name for r in RULES))]
    found += [Found(scene.name, OURS, 0.0, 50.0, 20, passed=1.0) for scene in WHOLE]
    figures = result_of(found, 1.0).figures
    assert len({one.name for one in figures}) == len(figures)
    text = page(found, 20)
    for scene in scenes:
        assert text.count(f"| {scene.name} |") == 1
        assert any(one.name.startswith(scene.name) for one in figures)
    goal = next(one for one in figures if one.name == "errors × 5, 10/s: median")
    assert (goal.target, goal.met) == ("≤ 12 min", True)
    assert prove_canary.ALPHA == 0.05
