"""An experiment's looks: a worse arm is stopped and the others go on, equal ones seldom are, broken routing concludes nothing."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.records import Experiment
from modelway.rollout.evidence import Arm
from modelway.rollout.experiment import LOADING, Seen, answering, begun, judged, shares_now
from modelway.rollout.experiment_report import ERRORS, LOSS, Measure, report
from modelway.rollout.routes import experiment_route
from modelway.serving.routes import choose, without_missing
from tests.support.thorough import THOROUGH

T0 = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
ALPHA = 0.05


def asked(shares=None, requests=None) -> Experiment:
    arms = {"2": 0.2, "3": 0.2, "4": 0.2} if shares is None else shares
    return Experiment(
        7, "loans", 1, arms, {}, "waiting", 86_400.0, requests, T0, T0, None, "asked", {"asked_by": "ann"}
    )


def running(shares=None, requests=None) -> Experiment:
    waiting = asked(shares, requests)
    told = {**begun(waiting, 1.0, ALPHA).evidence, "answering": T0.isoformat()}
    starting = replace(waiting, state="starting", ends=T0 + DAY, evidence=told)
    there = Seen({}, dict.fromkeys(shares_now(starting), 1))
    return after(starting, answering(starting, there, T0 + LOADING), T0 + LOADING)


def after(experiment, turn, now):
    moved = now if (turn.state, turn.stopped) != (experiment.state, experiment.stopped) else experiment.moved
    return replace(experiment, state=turn.state, stopped=turn.stopped, moved=moved, evidence=turn.evidence)


def seen(**arms) -> Seen:
    return Seen({int(name[1:]): Arm(*counts) for name, counts in arms.items()})


EVEN = {"v1": (4_000, 8), "v2": (2_000, 4), "v3": (2_000, 4), "v4": (2_000, 4)}


def test_an_arm_that_fails_more_is_stopped_and_the_others_go_on_with_what_was_found():
    before = running()
    turn = judged(before, seen(**{**EVEN, "v3": (2_000, 60)}), T0 + DAY / 2)
    assert (turn.state, list(turn.stopped), turn.verdict) == ("running", ["3"], "failed")
    assert "it fails more: 60 of 2,000 requests, of the champion's 8 of 4,000" in turn.stopped["3"]
    now = after(before, turn, T0 + DAY / 2)
    assert shares_now(now) == pytest.approx({1: 0.6, 2: 0.2, 4: 0.2})
    assert set(turn.evidence["carried"]["log_e"]) == {"2", "3", "4"}
    again = judged(now, seen(v1=(600, 1), v2=(200, 0), v3=(0, 0), v4=(200, 0)), T0 + DAY / 2)
    assert again.verdict == "undecided"
    assert again.evidence["arms"]["1"]["requests"] == 4_600
    assert again.evidence["arms"]["3"] == {"requests": 2_000, "units": 2_000, "errors": 60, "invalid": 0}
    fresh = judged(running({"2": 0.2, "4": 0.2}), seen(v1=(600, 1), v2=(200, 0), v4=(200, 0)), T0)
    carried = turn.evidence["arms"]["2"]["log_e"]["errors"]
    assert again.evidence["arms"]["2"]["log_e"]["errors"] == pytest.approx(
        carried + fresh.evidence["arms"]["2"]["log_e"]["errors"], abs=1e-5
    )


def test_nothing_counts_before_each_arm_has_answered_for_a_while():
    waiting = asked()
    starting = replace(waiting, state="starting", ends=T0 + DAY, evidence=begun(waiting, 1.0, ALPHA).evidence)
    silent = answering(starting, Seen({}, {1: 500, 2: 3, 3: 0, 4: 1}), T0)
    assert (silent.state, silent.reason) == ("starting", "waits until @3 answers: no request has come to it")
    all_there = Seen({}, {1: 500, 2: 3, 3: 1, 4: 1})
    once = answering(starting, all_there, T0)
    assert once.state == "starting"
    then = replace(starting, evidence=once.evidence)
    assert answering(then, all_there, T0 + LOADING / 2).state == "starting"
    assert answering(then, all_there, T0 + LOADING).state == "running"
    over = answering(starting, Seen({}, {1: 500, 2: 3, 3: 0, 4: 1}), T0 + DAY)
    assert (over.state, over.reason) == ("ended", "its time was over before each arm had answered")


def test_it_ends_at_its_time_its_number_of_requests_or_when_no_arm_is_left():
    assert judged(running(), seen(**EVEN), T0 + DAY).state == "ended"
    assert judged(running(), seen(**EVEN), T0 + DAY / 2).state == "running"
    assert judged(running(requests=10_000), seen(**EVEN), T0).state == "ended"
    assert judged(running(requests=10_001), seen(**EVEN), T0).state == "running"
    worse = {**EVEN, "v2": (2_000, 80), "v3": (2_000, 80), "v4": (2_000, 0, 80)}
    turn = judged(running(), seen(**worse), T0)
    assert (turn.state, set(turn.stopped)) == ("ended", {"2", "3", "4"})
    assert "more of its outputs cannot be used" in turn.stopped["4"]


def test_routing_that_is_broken_is_told_and_stops_no_arm_for_what_is_its_share():
    skewed = {"v1": (4_000, 40), "v2": (4_000, 40), "v3": (2_000, 20), "v4": (2_000, 20)}
    turn = judged(running(), seen(**skewed), T0)
    assert (turn.state, turn.stopped) == ("running", {})
    assert turn.reason.startswith("undecided: routing broken, @1 33.3")
    assert turn.evidence["split"]["broken"]


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500)), min_size=4, max_size=4),
    st.integers(0, 2),
)
def test_more_errors_of_an_arm_never_speak_for_it_and_shares_add_up(counts, which):
    arms = {f"v{n + 1}": (total + bad + odd, bad, odd) for n, (total, bad, odd) in enumerate(counts)}
    turn = judged(running(), seen(**arms), T0)
    requests, errors, invalid = arms[f"v{which + 2}"]
    # the same requests, more of them failed
    more = min(requests, errors + 20)
    other = judged(running(), seen(**{**arms, f"v{which + 2}": (requests, more, invalid)}), T0)
    number = str(which + 2)
    assert other.evidence["arms"][number]["stop"] >= turn.evidence["arms"][number]["stop"] - 1e-6
    assert math.isclose(sum(shares_now(after(running(), turn, T0)).values()), 1.0)


EQUAL, ONE_BAD, ONE_WORSE = (0.005,) * 4, (0.005, 0.005, 0.005, 0.05), (0.005, 0.005, 0.005, 0.025)


def simulated(rates, runs, looks, requests, seed) -> list[tuple[int, list[str]]]:
    """Of runs with three arms of 20 % beside the champion: at which look which arms were stopped first."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(runs):
        given = rng.multinomial(requests, (0.4, 0.2, 0.2, 0.2), looks)
        errors, given = rng.binomial(given, rates).cumsum(axis=0), given.cumsum(axis=0)
        experiment = running()
        for look in range(looks):
            arms = {f"v{n + 1}": (int(given[look, n]), int(errors[look, n])) for n in range(4)}
            turn = judged(experiment, seen(**arms), T0)
            if turn.stopped:
                found.append((look + 1, sorted(turn.stopped)))
                break
    return found


SLOW, RUNS = pytest.mark.slow, 1_000 if THOROUGH else 300


@pytest.mark.parametrize(("runs", "looks", "requests"), [(150, 40, 300), pytest.param(RUNS, 60, 600, marks=SLOW)])
def test_equal_arms_are_stopped_no_more_often_than_promised(runs, looks, requests):
    assert len(simulated(EQUAL, runs, looks, requests, 3)) <= ALPHA * runs


@pytest.mark.parametrize(
    ("rates", "runs", "looks", "requests"), [(ONE_BAD, 100, 40, 300), pytest.param(ONE_WORSE, 200, 60, 600, marks=SLOW)]
)
def test_a_bad_arm_is_stopped_and_its_equals_are_not(rates, runs, looks, requests):
    found = simulated(rates, runs, looks, requests, 12)
    assert len(found) >= 0.9 * runs
    assert np.median([look for look, _ in found]) <= 12
    assert sum(arms != ["4"] for _, arms in found) <= ALPHA * runs


def test_whoever_is_with_an_arm_stays_with_it_when_another_is_stopped():
    digests = {n: str(n) for n in range(1, 5)}
    before = running()
    first = experiment_route(before, digests)
    for gone in ("2", "3", "4"):
        then = experiment_route(replace(before, stopped={gone: "worse"}), digests)
        assert sum(then.shares.values()) == pytest.approx(1.0)
        for n in range(2_000):
            was = choose(first, f"c{n}")
            assert choose(then, f"c{n}") == (1 if was == int(gone) else was)
    shares = np.bincount([choose(first, f"c{n}") for n in range(20_000)], minlength=5)[1:] / 20_000
    assert shares == pytest.approx([0.4, 0.2, 0.2, 0.2], abs=0.015)
    partial = without_missing(first, frozenset({1, 2, 4}))
    assert {choose(partial, f"c{n}") for n in range(2_000) if choose(first, f"c{n}") == 3} == {1}


def measures(rng, rates, losses):
    bad = {n: {0: rng.binomial(1, rate, 3_000).astype(float)} for n, rate in rates.items()}
    lost = {n: {0: rng.normal(loss, 0.1, 1_000)} for n, loss in losses.items()}
    return [Measure(ERRORS, bad), Measure(LOSS, lost)]


def told(made, stopped=(), void=""):
    took = {n: (3_000, np.full(3_000, 2.0)) for n in made[0].values}
    return report("loans", 1, sorted(made[0].values), stopped, made, took, "requests", ALPHA, void)


def test_the_best_arm_is_named_only_when_shown_against_each_other():
    rng, even = np.random.default_rng(5), {1: 0.01, 2: 0.01, 3: 0.01}
    clear = told(measures(rng, even, {1: 0.3, 2: 0.2, 3: 0.25}))
    assert (clear.basis, clear.best) == (LOSS, 2)
    assert clear.conclusion.endswith("next: modelway release loans --version 2")
    assert clear.intervals == 2 * 3 + 3
    near = told(measures(rng, even, {1: 0.3, 2: 0.2, 3: 0.2}))
    assert near.best is None
    assert "the champion stays" in near.conclusion
    champion = told(measures(rng, even, {1: 0.2, 2: 0.3, 3: 0.3}))
    assert champion.best == 1
    assert "modelway release" not in champion.conclusion
    no_labels = [measures(rng, {1: 0.05, 2: 0.01, 3: 0.05}, {})[0], Measure(LOSS, {})]
    assert (told(no_labels).basis, told(no_labels).best) == (ERRORS, 2)


def test_a_stopped_arm_is_out_of_the_race_and_what_is_void_concludes_nothing():
    rng, even = np.random.default_rng(6), {1: 0.01, 2: 0.01, 3: 0.01}
    made = measures(rng, even, {1: 0.3, 2: 0.2, 3: 0.2})
    assert told(made, stopped=[3]).best == 2
    broken = told(made, stopped=[3], void="routing broken: nothing is concluded")
    assert (broken.best, broken.conclusion) == (None, "routing broken: nothing is concluded")
    assert "each arm was shown to be worse" in told(made, stopped=[2, 3]).conclusion


def test_equal_arms_have_a_best_no_more_often_than_promised():
    rng, named = np.random.default_rng(7), 0
    for _ in range(200):
        named += told(measures(rng, {1: 0.02, 2: 0.02, 3: 0.02}, {1: 0.3, 2: 0.3, 3: 0.3})).best is not None
    assert named <= ALPHA * 200
