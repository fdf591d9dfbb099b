"""The policy: causes, obstacles, keys; and over any sequence the cool-down and the budget are kept."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.records import Trigger
from modelway.retraining.policy import Facts, LastLook, PastRun, budget, decide, interval, wanted_labels
from modelway.spec.model import Retraining

T0 = datetime(2009, 3, 2, tzinfo=UTC)
POLICY = Retraining(on=("drift", "performance", "every 30d", "new_labels 1000"))
FIRST = PastRun("loans-0001", "manual", T0 - timedelta(days=10))
DRIFT = LastLook(T0, drift="2 of 9 columns drifted")


def facts(**changes):
    return Facts(**{"champion": 3, "runs": (FIRST,), **changes})


def auto(days, kind="drift", **more):
    return PastRun(f"loans-{kind}-{days}", kind, T0 + timedelta(days=days), **more)


def test_drift_starts_a_run_that_is_named_by_its_cause():
    found = decide(POLICY, facts(look=DRIFT), T0)
    assert (found.answer, found.kind, found.key) == ("start", "drift", "drift-2009-03-02")
    assert found.trigger == Trigger("drift", "2 of 9 columns drifted")
    later = decide(POLICY, facts(look=DRIFT), T0 + timedelta(hours=7))
    assert later.key == found.key
    hourly = LastLook(T0 + timedelta(hours=21, minutes=5), drift="x")
    assert decide(POLICY, facts(look=hourly), hourly.at).key == "drift-2009-03-02-2105"


@pytest.mark.parametrize(
    ("look", "kind"),
    [
        (LastLook(T0, drift="d", performance="p", labels=5_000), "performance"),
        (LastLook(T0, drift="d", labels=5_000), "drift"),
        (LastLook(T0, labels=1_000), "new_labels"),
        (LastLook(T0, labels=999), None),
        (None, None),
    ],
)
def test_of_several_causes_the_gravest_is_named(look, kind):
    found = decide(POLICY, facts(look=look), T0)
    assert (found.answer, found.kind) == ("start" if kind else "nothing", kind)


def test_a_cause_that_the_policy_does_not_name_is_none():
    all_of_them = LastLook(T0, drift="d", performance="p", labels=5_000)
    assert decide(Retraining(on=()), facts(look=all_of_them), T0).answer == "nothing"
    assert decide(Retraining(on=("drift",)), facts(look=all_of_them), T0).kind == "drift"


def test_the_schedule_counts_from_the_last_run_of_any_kind():
    assert decide(POLICY, facts(), T0 + timedelta(days=19)).answer == "nothing"
    found = decide(POLICY, facts(), T0 + timedelta(days=25))
    assert (found.answer, found.key) == ("start", "schedule-2009-03-22")
    assert decide(POLICY, facts(runs=()), T0).answer == "nothing"


def test_one_look_gives_cause_to_one_run_only():
    runs = (FIRST, auto(0))
    assert decide(POLICY, facts(look=DRIFT, runs=runs), T0 + timedelta(days=5)).answer == "nothing"
    again = LastLook(T0 + timedelta(days=5), drift="still")
    assert decide(POLICY, facts(look=again, runs=runs), again.at).answer == "start"


def test_without_a_champion_and_while_a_run_is_open_nothing_is_decided():
    assert decide(POLICY, facts(champion=None, look=DRIFT), T0).answer == "nothing"
    open_run = PastRun("loans-0002", "manual", T0 - timedelta(days=1), open=True)
    found = decide(POLICY, facts(look=DRIFT, runs=(FIRST, open_run), frozen="by ann"), T0)
    assert (found.answer, found.reason) == ("nothing", "run loans-0002 is open")


@pytest.mark.parametrize(
    ("changes", "obstacle", "words"),
    [
        ({"frozen": "loans frozen by ann: audit"}, "frozen", "frozen by ann"),
        ({"releasing": "loans@4 is being released"}, "release", "loans@4"),
        ({"runs": (FIRST, auto(-0.5))}, "cooldown", "until 2009-03-02 12:00"),
        ({"runs": (FIRST, auto(-2), auto(-3), auto(-4))}, "budget", "3 per 7d is spent until 2009-03-05 00:00"),
    ],
)
def test_refusals_say_the_cause_and_what_forbids(changes, obstacle, words):
    found = decide(POLICY, facts(look=DRIFT, **changes), T0)
    assert (found.answer, found.obstacle, found.key) == ("refuse", obstacle, "drift-2009-03-02")
    assert found.reason.startswith("2 of 9 columns drifted; but ")
    assert words in found.reason


def test_runs_by_hand_and_refits_cost_no_budget():
    runs = tuple(PastRun(f"r{n}", kind, T0) for n, kind in enumerate(["manual", "refit", "manual"]))
    tight = Retraining(on=("drift",), at_most="1 per 7d")
    assert decide(tight, facts(look=DRIFT, runs=runs), T0).answer == "start"
    assert decide(Retraining(on=("drift",), at_most="0 per 7d"), facts(look=DRIFT), T0).obstacle == "budget"


def test_how_the_policy_is_read():
    assert (interval(POLICY), wanted_labels(POLICY)) == (timedelta(days=30), 1_000)
    assert (interval(Retraining()), wanted_labels(Retraining())) == (None, None)
    assert wanted_labels(Retraining(on=("new_labels 50 rows", "new_labels 70"))) == 50
    assert budget(Retraining(at_most="2 per 365d")) == (2, timedelta(days=365))


HOURS = st.integers(1, 60)
TICK = st.tuples(HOURS, st.booleans(), st.booleans(), st.integers(0, 2_000), st.booleans(), st.integers(0, 5))


@given(
    st.lists(TICK, max_size=60),
    st.integers(0, 72),
    st.integers(1, 4),
    st.integers(1, 200),
    st.sampled_from([("drift",), ("performance", "every 2d"), ("drift", "new_labels 500", "every 30h")]),
)
@settings(max_examples=60, deadline=None)
def test_over_any_sequence_cool_down_and_budget_are_kept(ticks, cooldown, count, within, on):
    policy = Retraining(on=on, cooldown=f"{cooldown}h", at_most=f"{count} per {within}h")
    now, runs, starts = T0, [FIRST], []
    for hours, drifted, worse, labels, frozen, lasts in ticks:
        now += timedelta(hours=hours)
        runs = [
            PastRun(r.id, r.kind, r.created, open=r.open and now - r.created < timedelta(hours=lasts)) for r in runs
        ]
        seen = LastLook(now, "d" if drifted else "", "p" if worse else "", labels)
        known = Facts(1, seen, tuple(runs), "frozen" if frozen else "")
        for _ in range(2):  # a tick that died before it opened the run comes to the same decision
            found = decide(policy, known, now)
            assert found == decide(policy, known, now)
        if found.answer == "start":
            assert not frozen
            assert not any(r.open for r in runs)
            assert f"loans-{found.key}" not in {r.id for r in runs}
            starts.append(now)
            runs.append(PastRun(f"loans-{found.key}", found.kind, now, open=True))
            repeated = decide(policy, Facts(1, seen, tuple(runs)), now)
            assert repeated.answer == "nothing"
        elif found.answer == "refuse":
            assert found.reason
            assert found.obstacle
    for earlier, later in itertools.pairwise(starts):
        assert later - earlier >= policy.cooldown
    for start in starts:
        inside = [s for s in starts if start - timedelta(hours=within) < s <= start]
        assert len(inside) <= count


def test_a_composition_is_made_again_for_each_set_of_versions_that_serve():
    policy = Retraining(on=("members",))
    changed = facts(members=("loans@2", "score-card@7"), nothing_new=True)
    found = decide(policy, changed, T0)
    assert (found.answer, found.kind, found.key) == ("start", "members", "members-loans-2-score-card-7")
    assert found.reason == "loans@2, score-card@7 now serves, and the champion asks another version"
    assert decide(policy, facts(), T0).answer == "nothing"
    assert decide(policy, facts(members=("loans@2",), frozen="stopped by ann"), T0).obstacle == "frozen"
    assert decide(POLICY, changed, T0).kind is None, "a policy that does not name it"
    early = facts(members=("loans@2",), runs=(FIRST, auto(-0.5, "members")))
    assert decide(policy, early, T0).obstacle == "cooldown"
