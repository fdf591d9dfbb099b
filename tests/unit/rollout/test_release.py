"""The state machine: what moves a release, what stops it, and its laws over all sequences of evidence."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.records import Release
from modelway.rollout.evidence import Arm, Evidence, Tried
from modelway.rollout.guards import guarded, slow_at
from modelway.rollout.losses import in_blocks, loss, terms
from modelway.rollout.promotion import basis, lasting
from modelway.rollout.release import KEPT, next_move, promising
from modelway.rollout.standing import OPEN, rolled_back, watched
from modelway.spec.model import Guard, Rollout

T0 = datetime(2026, 1, 5, tzinfo=UTC)
ERRORS = Rollout(promote_on="errors")
LOSSES = Rollout(promote_on="losses", shadow=10)


def release(state="waiting", *, step=0, weight=0.0, champion=1, **evidence) -> Release:
    return Release(1, "loans", 2, champion, state, step, weight, T0, T0, "asked", evidence)


def after(before: Release, move) -> Release:
    return replace(before, state=move.state, step=move.step, weight=move.weight, evidence=dict(move.evidence))


def test_what_has_no_loss_is_neither_promoted_nor_stopped_by_one():
    """A detector of anomalies: with few requests its errors decide, or its scores where they are declared."""
    few = Evidence(Arm(5), Arm(5), requests_per_day=1.0)
    odd = replace(few, has_losses=False, losses=(-1.0,) * 500)
    assert (basis(few, Rollout()), basis(odd, Rollout())) == ("losses", "errors")
    assert basis(odd, Rollout(guard=Guard(scores=0.1))) == "scores"
    worse = replace(odd, has_losses=True)
    shadow = release("shadow", basis="errors")
    assert next_move(shadow, worse, ERRORS, T0).state == "rolled_back"
    assert next_move(shadow, odd, ERRORS, T0).state == "shadow"
    assert set(guarded(shadow, odd, ERRORS).log_e) == {"errors", "invalid"}


def test_without_a_champion_it_is_full_at_once():
    move = next_move(release(champion=None), Evidence(), Rollout(), T0)
    assert (move.state, move.weight, move.verdict) == ("full", 1.0, "passed")


@pytest.mark.parametrize(
    ("approval", "people", "state"),
    [
        ("none", (), "shadow"),
        ("one_person", (), "waiting"),
        ("one_person", ("ann",), "shadow"),
        ("two_people", ("ann",), "waiting"),
        ("two_people", ("ann", "ann"), "waiting"),
        ("two_people", ("ann", "bob"), "shadow"),
    ],
)
def test_approvals_are_counted_by_person(approval, people, state):
    assert next_move(release(), Evidence(approved=people), Rollout(approval=approval), T0).state == state


@pytest.mark.parametrize("approval", ["none", "two_people"])
def test_a_rehearsal_that_failed_ends_it_whoever_approves(approval):
    move = next_move(release(), Evidence(rehearsed="50 % change"), Rollout(approval=approval), T0)
    assert (move.state, move.weight, move.verdict) == ("rolled_back", 0.0, "failed")
    assert move.reason == "its rehearsal failed: 50 % change"


def test_enough_requests_in_shadow_open_the_canary():
    shadow = release("shadow")
    few = next_move(shadow, Evidence(Arm(199), Arm(199)), ERRORS, T0)
    assert (few.state, few.verdict) == ("shadow", "undecided")
    assert "1 more requests in shadow" in few.reason
    move = next_move(shadow, Evidence(Arm(200), Arm(200)), ERRORS, T0)
    assert (move.state, move.step, move.weight) == ("canary", 0, 0.05)


def test_zero_errors_pass_after_about_ln_of_alpha_over_margin_requests():
    canary = release("canary", weight=0.05, basis="errors")
    about = math.log(1 / 0.05) / 0.001

    def state(requests: int) -> tuple[int, str]:
        move = next_move(canary, Evidence(Arm(requests), Arm(19 * requests)), ERRORS, T0)
        return move.step, move.reason

    assert state(round(about))[0] == 0
    assert "more requests" in state(round(about))[1]
    assert state(round(1.3 * about))[0] == 1


def test_many_errors_stop_it_at_once_and_say_so():
    move = next_move(release("canary", weight=0.05), Evidence(Arm(100, 10), Arm(1900, 2)), ERRORS, T0)
    assert (move.state, move.weight, move.verdict) == ("rolled_back", 0.0, "failed")
    assert "10 of 100" in move.reason


def test_errors_of_the_steps_multiply():
    """A suspicion that neither step shows alone is shown by both."""
    evidence = Evidence(Arm(200, 4), Arm(600, 1))
    fresh = release("canary", step=1, weight=0.25)
    assert next_move(fresh, evidence, ERRORS, T0).verdict == "undecided"
    suspected = release("canary", step=1, weight=0.25, carried={"errors": 4.2})
    assert next_move(suspected, evidence, ERRORS, T0).verdict == "failed"


def test_late_answers_stop_it_where_the_spec_says_so():
    late = Evidence(Arm(300, slow=(60,)), Arm(900, slow=(9,)), slow_ms=((10.0, 12.0),))
    canary = release("canary", weight=0.25)
    guarded = Rollout(promote_on="errors", guard=Guard(latency_p99=0.2))
    move = next_move(canary, late, guarded, T0)
    assert move.verdict == "failed"
    assert "slower: 60 of 300 answers took more than 12 ms, the champion's 9 of 900 more than 10 ms" in move.reason
    assert next_move(canary, late, ERRORS, T0).verdict == "undecided"


def test_thresholds_of_latency_are_fixed_when_the_canary_begins():
    took = np.linspace(1, 100, 1000)
    assert slow_at(took, Guard()) == ()
    assert slow_at(took, Guard(latency_p99=0.2)) == ((pytest.approx(99.01), pytest.approx(118.812)),)
    whole = slow_at(took, Guard(latency=0.1))
    assert len(whole) == 9
    assert all(b == pytest.approx(1.1 * a) for a, b in whole)
    move = next_move(release("shadow"), Evidence(Arm(200), Arm(200), slow_ms=whole), ERRORS, T0)
    assert move.evidence["slow_ms"] == [list(pair) for pair in whole]
    assert move.evidence["since"] == T0.isoformat()


def test_outputs_that_cannot_be_used_stop_it_too():
    move = next_move(release("canary", weight=0.05), Evidence(Arm(100, 0, 10), Arm(1900, 0, 2)), ERRORS, T0)
    assert move.verdict == "failed"
    assert "more of its outputs cannot be used: 10 of 100 requests" in move.reason


def test_the_guards_share_alpha_and_what_two_suspect_together_stops():
    """Each guard alone is short of 1/α; their mean is not."""
    one = next_move(release("canary", weight=0.1, carried={"errors": 4.0}), Evidence(), ERRORS, T0)
    two = next_move(release("canary", weight=0.1, carried={"errors": 4.0, "invalid": 4.0}), Evidence(), ERRORS, T0)
    assert max(two.evidence["log_e"].values()) < math.log(3 / 0.05)
    assert (one.verdict, two.verdict) == ("undecided", "failed")


SCORES = Rollout(promote_on="scores", shadow=10, guard=Guard(scores=0.05))


def test_scores_promote_within_their_margin_and_stop_beyond_it():
    rng = np.random.default_rng(0)
    near, far = (tuple(rng.normal(mean, 0.05, 400).clip(-1, 1)) for mean in (0.005, -0.15))
    shadow, here = release("shadow", basis="scores"), Evidence(Arm(400), Arm(400), scores=(near,))
    assert next_move(shadow, here, SCORES, T0).state == "canary"
    move = next_move(shadow, replace(here, scores=(far,)), SCORES, T0)
    assert (move.state, "scores have moved by -0.1" in move.reason) == ("rolled_back", True)
    late = T0 + timedelta(minutes=10)
    few = next_move(shadow, replace(here, scores=(near[:60],)), SCORES, late)
    assert few.verdict == "undecided"
    assert "more pairs of scores" in few.reason
    assert "min at this rate (60 so far" in few.reason
    assert "scores of rows" in next_move(shadow, replace(here, scores=()), SCORES, T0).reason


def test_of_several_classes_each_must_stay():
    rng = np.random.default_rng(0)
    near, far = (tuple(rng.normal(mean, 0.05, 400).clip(-1, 1)) for mean in (0.0, 0.15))
    shadow, here = release("shadow", basis="scores"), Evidence(Arm(400), Arm(400), scores=(near, near))
    assert next_move(shadow, here, SCORES, T0).state == "canary"
    assert next_move(shadow, replace(here, scores=(near, far)), SCORES, T0).state == "rolled_back"


def test_a_broken_split_says_so_and_never_promotes():
    canary = release("canary", weight=0.05, basis="errors")
    broken = next_move(canary, Evidence(Arm(6_000), Arm(6_000)), ERRORS, T0)
    assert (broken.verdict, broken.weight) == ("undecided", 0.05)
    assert "routing broken: it got 50.000% of 12,000 requests instead of 0.05" in broken.reason
    assert broken.evidence["split"]["broken"]
    even = next_move(canary, Evidence(Arm(6_000), Arm(114_000)), ERRORS, T0)
    assert (even.verdict, even.step) == ("passed", 1)


def test_with_a_broken_split_errors_are_held_against_what_it_really_got():
    """Half of the requests, and half of the errors: no harm; nearly all of the errors: harm."""
    canary = release("canary", weight=0.05, basis="errors")
    alike = next_move(canary, Evidence(Arm(6_000, 60), Arm(6_000, 60)), ERRORS, T0)
    assert "routing broken" in alike.reason
    worse = next_move(canary, Evidence(Arm(6_000, 110), Arm(6_000, 10)), ERRORS, T0)
    assert "it fails more" in worse.reason


def test_what_speaks_against_the_split_does_not_speak_against_the_version():
    """It got 13 % instead of 10 %, so also 13 % of what is slow: no news of the version, long before the split is called broken."""
    guarded = Rollout(promote_on="errors", guard=Guard(latency=0.0))
    slow = Evidence(Arm(130, slow=(117, 65)), Arm(870, slow=(783, 435)), slow_ms=((1.0, 1.0), (2.0, 2.0)))
    skewed = next_move(release("canary", weight=0.1), slow, guarded, T0)
    assert not skewed.evidence["split"]["broken"]
    assert skewed.evidence["log_e"]["latency"] < 0
    even = Evidence(Arm(100, slow=(99, 95)), Arm(900, slow=(783, 435)), slow_ms=((1.0, 1.0), (2.0, 2.0)))
    assert next_move(release("canary", weight=0.1), even, guarded, T0).evidence["log_e"]["latency"] > 3


def test_callers_are_bounded_by_their_first_request_and_named_so():
    canary = release("canary", weight=0.05, basis="errors")
    few = Evidence(Arm(50, 0, callers=Tried(1000, 0)), Arm(950, 0, callers=Tried(19_000, 0)), unit="callers")
    move = next_move(canary, few, ERRORS, T0 + timedelta(minutes=10))
    assert "more callers" in move.reason
    assert "min at this rate (0 errors of 1,000 at 5% so far)" in move.reason
    assert move.evidence["challenger"] == {
        "requests": 50,
        "errors": 0,
        "invalid": 0,
        "callers": 1000,
        "callers_failed": 0,
    }
    many = replace(few, challenger=Arm(50, 0, callers=Tried(4000, 0)))
    assert next_move(canary, many, ERRORS, T0).step == 1


def test_undecided_says_how_many_requests_and_how_long():
    canary = release("canary", weight=0.05, basis="errors")
    move = next_move(canary, Evidence(Arm(1400), Arm(26_600)), ERRORS, T0 + timedelta(minutes=10))
    assert move.reason == "undecided: about 1,900 more requests, 13 min at this rate (0 errors of 1,400 at 5% so far)"
    busy = next_move(canary, Evidence(Arm(1400), Arm(26_600), sampled=0.1), ERRORS, T0 + timedelta(minutes=10))
    assert "at 5% so far; one in 10 is looked at)" in busy.reason
    bad = next_move(canary, Evidence(Arm(1400, 4), Arm(26_600, 27)), ERRORS, T0 + timedelta(minutes=10))
    assert "many more requests" in bad.reason


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (40.2, "41 s"), (840, "14 min"), (95, "1.58 min"), (3.5 * 3600, "3.5 h"), (12 * 86400, "12 days")],
)
def test_times_are_said_in_their_own_unit(seconds, said):
    assert lasting(timedelta(seconds=seconds)) == said


def test_a_share_is_kept_for_as_long_as_is_declared():
    experiment = Rollout(promote_on="errors", canary=(0.5, 1.0), at_least=timedelta(days=14))
    half, good = release("canary", weight=0.5, basis="errors"), Evidence(Arm(20_000), Arm(20_000))
    early = next_move(half, good, experiment, T0 + timedelta(days=2))
    assert early.reason == "undecided: 12 days more at this weight (at least 14d)"
    bad = Evidence(Arm(20_000, 200), Arm(20_000, 20))
    assert next_move(half, bad, experiment, T0 + timedelta(days=2)).verdict == "failed"
    assert next_move(half, good, experiment, T0 + timedelta(days=14)).state == "full"


def test_blue_green_is_a_release_of_one_step():
    green = Rollout(promote_on="errors", canary=(1.0,), watch=timedelta(days=1))
    few = next_move(release("shadow"), Evidence(Arm(200), Arm(200)), green, T0 + timedelta(minutes=2))
    assert few.verdict == "undecided"  # no canary will bound its errors: the shadow must
    assert "more requests, 29 min at this rate (0 errors of 200 in shadow so far)" in few.reason, few.reason
    move = next_move(release("shadow"), Evidence(Arm(4_500), Arm(4_500)), green, T0)
    assert (move.state, move.weight) == ("full", 1.0)
    assert "all requests, watched for 1d" in move.reason
    assert watched(after(release("shadow"), move))


def test_shadow_alone_has_an_end_and_the_champion_stays():
    alone = Rollout(promote_on="errors", canary=(), shadow=100, at_least=timedelta(days=2))
    good, bad = Evidence(Arm(200), Arm(200)), Evidence(Arm(200, 90), Arm(200))
    early = next_move(release("shadow"), good, alone, T0 + timedelta(days=1))
    assert (early.state, early.verdict) == ("shadow", "undecided")
    assert "24 h more in shadow (at least 2d)" in early.reason
    assert next_move(release("shadow"), bad, alone, T0 + timedelta(days=1)).state == "rolled_back"
    over = next_move(release("shadow"), good, alone, T0 + timedelta(days=2))
    assert (over.state, over.weight, over.verdict) == ("ended", 0.0, "passed")
    assert "shadow only, 200 requests that both answered; not shown: it lacks about" in over.reason
    shown = next_move(release("shadow"), Evidence(Arm(5_000), Arm(5_000)), alone, T0 + timedelta(days=2))
    assert shown.reason == "shadow only, 5,000 requests that both answered; 0 errors of 5000 requests"
    assert next_move(after(release("shadow"), over), good, alone, T0 + timedelta(days=3)).reason == "it is over"


def test_after_the_last_step_the_former_champion_is_held_against_it_for_a_while():
    last = release("canary", weight=0.25, step=1, basis="errors", carried={"errors": 1.0})
    full = after(last, next_move(last, Evidence(Arm(9000), Arm(27_000)), ERRORS, T0))
    assert (full.state, watched(full)) == ("full", True)
    good = Evidence(Arm(500, 1), Arm(500, 1))
    still = next_move(full, good, ERRORS, T0 + timedelta(minutes=20))
    assert (still.state, still.weight, still.verdict) == ("full", 1.0, "undecided")
    assert "in shadow for 40 min more" in still.reason
    over = next_move(after(full, still), good, ERRORS, T0 + timedelta(hours=1))
    assert (over.state, over.weight, over.verdict) == ("full", 1.0, "passed")
    assert not watched(after(full, over))
    bad = next_move(full, Evidence(Arm(500, 20), Arm(500, 1)), ERRORS, T0 + timedelta(minutes=20))
    assert (bad.state, bad.weight, bad.verdict) == ("rolled_back", 0.0, "failed")
    assert "back to version 1" in bad.reason
    assert "watch" not in bad.evidence
    long_after = next_move(full, good, ERRORS, T0 + timedelta(days=200))
    assert long_after.state == "full"


def test_without_a_watch_full_is_the_end():
    last = release("canary", weight=0.25, step=1, basis="errors")
    move = next_move(last, Evidence(Arm(9000), Arm(27_000)), Rollout(promote_on="errors", watch=timedelta(0)), T0)
    assert (move.state, watched(after(last, move))) == ("full", False)


def test_equal_losses_promote_and_worse_ones_stop():
    rng = np.random.default_rng(0)
    noise = tuple(rng.normal(0, 0.02, 200).clip(-0.1, 0.1))
    span, margin = terms(noise, 200, 0.05)
    shadow = release("shadow", basis="losses")
    equal = Evidence(Arm(200), Arm(200), noise, span, margin)
    assert next_move(shadow, equal, LOSSES, T0).state == "canary"
    worse = replace(equal, losses=tuple(d - 0.05 for d in noise))
    move = next_move(shadow, worse, LOSSES, T0)
    assert (move.state, move.verdict) == ("rolled_back", "failed")
    assert "its loss is worse" in move.reason
    none = next_move(shadow, replace(equal, losses=()), LOSSES, T0)
    assert none.verdict == "undecided"
    assert "labels" in none.reason


def test_a_canary_on_losses_waits_for_a_request_at_its_weight():
    noise = tuple(np.random.default_rng(0).normal(0, 0.02, 200).clip(-0.1, 0.1))
    evidence = Evidence(losses=noise, span=0.15, margin=0.02)
    canary = release("canary", weight=0.05, basis="losses")
    assert next_move(canary, evidence, LOSSES, T0).verdict == "undecided"
    assert next_move(canary, replace(evidence, champion=Arm(1)), LOSSES, T0).step == 1


def test_low_traffic_is_promoted_on_losses():
    assert basis(Evidence(requests_per_day=0.7), Rollout()) == "losses"
    assert basis(Evidence(requests_per_day=10_000), Rollout()) == "errors"
    assert basis(Evidence(requests_per_day=10_000), Rollout(promote_on="losses")) == "losses"
    assert basis(Evidence(requests_per_day=0.7), Rollout(guard=Guard(scores=0.05))) == "scores"


def test_the_basis_is_chosen_once_the_shadow_has_seen_its_requests():
    early = next_move(release("shadow"), Evidence(Arm(5), Arm(5), requests_per_day=0.7), Rollout(), T0)
    assert "basis" not in early.evidence
    quiet = next_move(release("shadow"), Evidence(Arm(200), Arm(200), requests_per_day=0.7), Rollout(), T0)
    assert (quiet.state, quiet.evidence["basis"]) == ("shadow", "losses")
    busy = Evidence(Arm(500), Arm(500), requests_per_day=1e6)
    assert next_move(after(release("shadow"), quiet), busy, Rollout(), T0).state == "shadow"
    assert next_move(release("shadow"), busy, Rollout(), T0).state == "canary"


@pytest.mark.parametrize("state", OPEN)
def test_what_is_undecided_for_too_long_goes_back(state):
    late = T0 + Rollout().at_most + timedelta(seconds=1)
    waits = Rollout(approval="two_people")
    move = next_move(release(state, weight=0.05 if state == "canary" else 0.0), Evidence(), waits, late)
    assert move.state == "rolled_back"
    assert "still undecided after 90 days" in move.reason


arms = st.builds(
    lambda n, e, i, s: Arm(n + e + i + s, e, i, (s,)), st.integers(0, 9000), *[st.integers(0, 40) for _ in range(3)]
)
evidences = st.builds(
    Evidence,
    challenger=arms,
    champion=arms,
    losses=st.one_of(
        st.just(()),
        st.builds(
            lambda n, mean: tuple(np.random.default_rng(n).normal(mean, 0.05, n)),
            st.integers(1, 300),
            st.sampled_from([-0.2, -0.01, 0.0, 0.05]),
        ),
    ),
    span=st.just(0.3),
    margin=st.sampled_from([0.0, 0.02, 0.1]),
    slow_ms=st.just(((10.0, 12.0),)),
    scores=st.sampled_from([(), ((),), ((0.01,) * 50,), ((0.5,) * 50, (0.0,) * 50)]),
    requests_per_day=st.sampled_from([0.0, 1.0, 1e6]),
    approved=st.sampled_from([(), ("ann",), ("ann", "bob")]),
)
policies = st.builds(
    Rollout,
    shadow=st.sampled_from([0, 10, 200]),
    canary=st.sampled_from([(0.05, 0.25, 1.0), (1.0,), (0.5,), ()]),
    promote_on=st.sampled_from(["auto", "errors", "losses", "scores"]),
    watch=st.sampled_from([timedelta(0), timedelta(days=2)]),
    at_least=st.sampled_from([timedelta(0), timedelta(days=2)]),
    approval=st.sampled_from(["none", "one_person", "two_people"]),
    guard=st.sampled_from([Guard(), Guard(errors=0.0), Guard(errors=0.05, latency_p99=0.1, scores=0.05)]),
)


@settings(max_examples=60, deadline=None)
@given(policies, st.lists(st.tuples(evidences, st.integers(0, 30)), min_size=1, max_size=8), st.sampled_from([None, 1]))
def test_over_all_sequences_of_evidence(policy, looks, champion):
    now, here = T0, release(champion=champion)
    for evidence, days in looks:
        now += timedelta(days=days)
        move = next_move(here, evidence, policy, now)
        if here.state in OPEN or watched(here):
            back = rolled_back(here, "by hand")
            assert (back.state, back.weight) == ("rolled_back", 0.0)
        else:
            assert (move.state, move.weight) == (here.state, here.weight)
        if move.evidence.get("split", {}).get("broken"):
            assert move.weight <= here.weight
        if here.state in OPEN:
            assert all(name in move.evidence for name in KEPT if name in here.evidence)
        if move.weight > here.weight:
            assert move.verdict == "passed"
        if move.verdict == "failed":
            assert (move.state, move.weight) == ("rolled_back", 0.0)
        if move.verdict == "undecided":
            assert (move.state, move.step, move.weight) == (here.state, here.step, here.weight)
        if champion is not None and move.weight > 0:
            assert here.state != "waiting"
        assert move.reason
        here = after(here, move)


def test_losses_are_those_of_the_book():
    assert loss((0.2, 0.8), "yes", ("no", "yes")) == pytest.approx(0.04)
    assert loss((3.0,), "2.5", ()) == 0.5
    assert loss((0.2, 0.8), "maybe", ("no", "yes")) is None
    assert loss((float("nan"),), "1", ()) is None
    assert loss((1.0,), "many", ()) is None


def test_blocks_are_stretches_of_time_and_the_last_one_waits():
    assert in_blocks([1.0, 3.0, 5.0, 7.0], [0, 5, 10, 25], 10) == [2.0, 5.0]
    assert in_blocks([1.0, 3.0], [0, 5], 0) == [1.0, 3.0]
    assert in_blocks([], [], 10) == []


@pytest.mark.parametrize("n", [12, 50, 400])
def test_an_equal_challenger_mostly_passes_within_what_is_expected(n):
    rng = np.random.default_rng(n)
    passed = 0
    for _ in range(40):
        d = rng.normal(0, 0.03, 300)
        span, margin = terms(tuple(d), n, 0.05)
        evidence = Evidence(Arm(n), Arm(n), tuple(rng.normal(0, 0.03, n)), span, margin)
        passed += next_move(release("shadow", basis="losses"), evidence, LOSSES, T0).state == "canary"
    assert passed >= 28


def test_a_challenger_worse_by_the_margin_hardly_ever_passes():
    rng = np.random.default_rng(1)
    passed = 0
    for _ in range(100):
        span, margin = terms(tuple(rng.normal(0, 0.03, 300)), 100, 0.05)
        coming = rng.normal(-margin, 0.03, 100)
        looks = (Evidence(Arm(n), Arm(n), tuple(coming[:n]), span, margin) for n in range(10, 101, 10))
        passed += any(next_move(release("shadow", basis="losses"), e, LOSSES, T0).state == "canary" for e in looks)
    assert passed <= 10


def test_what_is_ahead_or_quickly_decided_is_not_cut_short_by_automation():
    assert promising(release("shadow", basis="losses", mean_difference=0.01))
    assert promising(release("canary", basis="errors", mean_difference=-0.01))
    assert promising(release("shadow", basis="scores"))
    assert not promising(release("shadow", basis="losses", mean_difference=-0.01))
    assert not promising(release("shadow"))
    assert not promising(release("waiting"))
    assert not promising(release("full", basis="errors"))
