"""Looks at a real workspace: answers through the server's application, labels, alerts, and the runs that follow."""

import json
import time
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from modelway.errors import EngineError, LeaseLostError, SpecError
from modelway.events.log import NewEvent
from modelway.features.plan import plan_of
from modelway.flow import answered, making, releasing
from modelway.flow.retraining import facts_of, retrain
from modelway.flow.runs import record
from modelway.flow.watching import look, trouble, watch
from modelway.monitoring import looks
from modelway.monitoring.alerts import open_alerts
from modelway.monitoring.profile import profile
from modelway.records import OperatingPoint, Trigger, Validation, dumps
from modelway.registry import versions
from modelway.state import freezes, leases, ledger, runs
from modelway.training.prepare import prepare
from tests.unit.monitoring.asking import T0, ask, project
from tests.unit.serving.made import CLASSES, LOANS, put_version

pytestmark = pytest.mark.filterwarnings(
    "ignore::polars.exceptions.PolarsInefficientMapWarning"
)  # ingestion's, of lists
SPEC = {
    **LOANS,
    "monitoring": {"drift": {"window": 200, "min_rows": 50}, "alerts": ["file"]},
    "retraining": {"on": ["drift", "performance", "new_labels 500"], "cooldown": "3d"},
}


@pytest.fixture
def workspace(tmp_path, clock):
    made = project(tmp_path, clock, SPEC)
    yield made
    made.close()


@pytest.fixture
def spec(workspace):
    return workspace.spec("loans")


def incomes(seed, count, shift=0.0):
    return np.abs(np.random.default_rng(seed).normal(2.0 + shift, 1.0, count))


def labelled(income, flip):
    """Good with the very probability that the graph of bias 2 says, then some turned round."""
    rng = np.random.default_rng(int(income.sum() * 1e6) % 2**32)
    good = rng.random(len(income)) < 1 / (1 + np.exp(2.0 - income))
    return np.where(rng.random(len(income)) < flip, ~good, good)


def champion(workspace, spec, number=1):
    """A released version with a reference profile, a training set and a holdout of 400 rows."""
    learned, held = incomes(1, 1_500), incomes(2, 400)
    frame = pl.DataFrame(
        {
            "_key": [f"t{n}" for n in range(1_900)],
            "_at": pl.Series([None] * 1_900, dtype=pl.Datetime("us", "UTC")),
            "_target": ["good" if g else "bad" for g in labelled(np.concatenate([learned, held]), 0.0)],
            "income": np.concatenate([learned, held]),
        }
    )
    run = f"loans-{number:04d}"
    now = workspace.clock.now()
    runs.open_run(workspace.database, run, "loans", Trigger("manual", "because"), now)
    made = prepare(frame, spec, plan_of(spec).columns, (), now, workspace.artifacts, audit=making.audited(spec))
    runs.keep_step(workspace.database, run, "prepare", dumps(made).decode(), 0.1, None)
    p = 1 / (1 + np.exp(2.0 - learned))
    kept = profile(frame.head(1_500), made.columns, np.column_stack([1 - p, p]), CLASSES)
    digest = put_version(workspace, SPEC, 2.0, reference=workspace.artifacts.put(kept))
    validation = Validation((), (), OperatingPoint())
    versions.register(workspace.database, "loans", run, digest, validation, now)
    runs.finish(workspace.database, run, now)
    releasing.release(workspace, "loans", number, "ann", "first")
    releasing.roll_out(workspace, spec)


def day(workspace, clock, name, *, count=200, shift=0.0, flip=0.0, labels=True):
    """A day's requests, their labels, and the evening's tick of monitoring."""
    clock.at += timedelta(hours=12)
    income = incomes(sum(map(ord, name)) + 10, count, shift)
    told = labelled(income, flip)
    if labels:
        known = [{"key": f"{name}{n}", "label": "good" if g else "bad"} for n, g in enumerate(told)]
        workspace.log.append("loans_labels", [NewEvent(one["key"], json.dumps(one).encode()) for one in known])
    ask(workspace, [{"id": f"{name}{n}", "income": float(x)} for n, x in enumerate(income)])
    clock.at += timedelta(hours=12)
    watch(workspace, workspace.spec("loans"))
    return looks.last(workspace.database, "loans")


def causes(workspace):
    return {a.cause for a in open_alerts(workspace.database, "loans")}


def told(workspace):
    path = workspace.places.inner / "alerts.ndjson"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(alert["cause"], alert["closed"] is not None) for alert in map(json.loads, lines)]


def test_before_there_is_a_champion_there_is_nothing_to_look_at(workspace, spec):
    watch(workspace, spec)
    retrain(workspace, spec)
    assert looks.last(workspace.database, "loans") is None
    assert runs.recent(workspace.database, "loans", 5) == ()


def test_a_quiet_day_is_a_look_without_causes(workspace, clock, spec):
    champion(workspace, spec)
    held = record(workspace, "loans-0001", "prepare").holdout_rows
    seen = day(workspace, clock, "a")
    assert (seen.version, seen.rows, seen.volume.rows, seen.quality.rows) == (1, 200, 200, 200)
    assert [d.column for d in seen.drift] == ["income", "_prediction"]
    assert seen.performance.answer in ("not_worse", "better", "undecided")
    assert (seen.performance.metric.rows, seen.performance.held.rows) == (200, held)
    assert seen.causes == {}
    assert (seen.quality.missing, seen.labels) == ({"income": 0.0}, 200)
    assert told(workspace) == []
    retrain(workspace, spec)
    assert len(runs.recent(workspace.database, "loans", 5)) == 1


def test_drift_and_a_worse_model_become_alerts_once_and_are_closed_when_they_are_over(workspace, clock, spec):
    champion(workspace, spec)
    day(workspace, clock, "a")
    seen = day(workspace, clock, "b", shift=1.5, flip=0.5)
    assert (set(seen.causes), seen.performance.answer) == ({"drift", "performance"}, "worse")
    watch(workspace, spec)
    assert looks.last(workspace.database, "loans") == seen
    day(workspace, clock, "c", shift=1.5, flip=0.5)
    assert sorted(told(workspace)) == [("drift", False), ("performance", False)]
    day(workspace, clock, "d")
    assert causes(workspace) == set()
    assert sorted(told(workspace)[2:]) == [("drift", True), ("performance", True)]


def test_between_two_looks_a_tick_reads_no_table(workspace, clock, spec, monkeypatch):
    champion(workspace, spec)
    day(workspace, clock, "a")
    monkeypatch.setattr(type(workspace.lake), "scan", lambda *_: pytest.fail("a table was read"))
    clock.at += timedelta(hours=23)
    started = time.perf_counter()
    for _ in range(5):
        watch(workspace, spec)
        retrain(workspace, spec)
    assert (time.perf_counter() - started) / 5 < 0.2


def test_answers_of_other_versions_and_repeated_ones_do_not_count(workspace, clock, spec):
    champion(workspace, spec)
    income = [{"id": f"a{n}", "income": 1.0 + n / 100} for n in range(60)]
    ask(workspace, income)
    ask(workspace, income)  # the same requests once more
    clock.at += timedelta(hours=1)
    found = answered.answers(workspace, spec, 1, clock.at)
    assert found.height == 60
    assert answered.counts(workspace, spec, T0 - timedelta(days=1), clock.at) == {"ok": 60}
    assert answered.answers(workspace, spec, 2, clock.at).height == 0
    seen = look(workspace, spec, clock.at)
    assert (seen.rows, seen.volume.rows) == (60, 60)
    assert answered.counts(workspace, spec, clock.at, clock.at) == {}
    assert answered.answers(workspace, spec, 1, T0 - timedelta(days=1)).height == 0


def test_a_look_is_the_same_until_the_time_moves_and_is_kept_once(workspace, clock, spec):
    champion(workspace, spec)
    day(workspace, clock, "a")
    assert look(workspace, spec, clock.at + timedelta(days=1)) == look(workspace, spec, clock.at + timedelta(days=1))
    assert len(looks.recent(workspace.database, "loans", 5)) == 1


def test_who_lost_the_lease_writes_nothing(workspace, clock, spec):
    champion(workspace, spec)
    mine = leases.take(workspace.database, "model/loans", "a", T0, timedelta(seconds=1))
    leases.take(workspace.database, "model/loans", "b", T0 + timedelta(seconds=2), timedelta(days=1))
    with pytest.raises(LeaseLostError):
        watch(workspace, spec, mine)
    assert looks.last(workspace.database, "loans") is None


def test_drift_starts_one_run_and_refusals_stand_in_the_ledger_once(workspace, clock, spec):
    champion(workspace, spec)
    day(workspace, clock, "b", shift=1.5)
    for _ in range(3):
        retrain(workspace, spec)
    (pending,) = runs.pending(workspace.database, "loans")
    assert (pending.id, pending.trigger.kind) == ("loans-drift-2026-01-06", "drift")
    assert "income" in pending.trigger.reason
    runs.finish(workspace.database, pending.id, clock.at)
    day(workspace, clock, "c", shift=1.5)
    for _ in range(3):
        retrain(workspace, spec)
    entries = [e for e in ledger.history(workspace.database, "loans") if e.action == "retraining_refused"]
    assert [(e.subject, e.data["obstacle"]) for e in entries] == [("loans-drift-2026-01-07", "cooldown")]
    assert "cool-down lasts until 2026-01-09" in entries[0].reason
    freezes.freeze(workspace.database, "loans", "ann", "audit", clock.at)
    for name in "defg":
        day(workspace, clock, name, shift=1.5)
        retrain(workspace, spec)
    assert runs.pending(workspace.database, "loans") == ()
    obstacles = [
        e.data["obstacle"] for e in ledger.history(workspace.database, "loans") if e.action == "retraining_refused"
    ]
    assert obstacles == ["cooldown", "frozen"]
    freezes.thaw(workspace.database, "loans", "ann", "done", clock.at)
    retrain(workspace, spec)
    assert [r.id for r in runs.pending(workspace.database, "loans")] == ["loans-drift-2026-01-11"]
    ledger.verify(workspace.database)


def test_labels_are_counted_and_a_look_at_a_former_champion_is_no_fact(workspace, clock, spec):
    champion(workspace, spec)
    day(workspace, clock, "a", count=600)
    retrain(workspace, spec)
    (pending,) = runs.pending(workspace.database, "loans")
    assert pending.trigger.kind == "new_labels"
    runs.finish(workspace.database, pending.id, clock.at)
    assert facts_of(workspace, spec).look is not None
    with workspace.database.write() as connection:
        from modelway.state.champions import set_champion

        set_champion(connection, "loans", 2, clock.at, who="ann", reason="test")
    assert facts_of(workspace, spec).look is None


def test_a_run_by_hand_that_was_never_begun_does_not_block(workspace, clock, spec):
    champion(workspace, spec)
    runs.open_run(workspace.database, "loans-0009", "loans", Trigger("manual", "x"), clock.at)
    assert not any(run.open for run in facts_of(workspace, spec).runs)
    runs.start(workspace.database, "loans-0009", None)
    assert [run.id for run in facts_of(workspace, spec).runs if run.open] == ["loans-0009"]


def test_trouble_is_one_alert_until_a_whole_tick_went_well(workspace, clock, spec):
    champion(workspace, spec)
    for n in range(3):
        watch(workspace, spec)
        trouble(workspace, "loans", EngineError(f"tracking does not answer after {n} s", "start it"))
        clock.at += timedelta(seconds=1)
    assert causes(workspace) == {"trouble: tracking does not answer after # s"}
    assert told(workspace) == [("trouble: tracking does not answer after # s", False)]
    watch(workspace, spec)
    assert causes(workspace)
    watch(workspace, spec)
    assert causes(workspace) == set()
    assert told(workspace)[-1] == ("trouble: tracking does not answer after # s", True)
    trouble(workspace, "loans", EngineError("the lake is away"))
    trouble(workspace, "loans", EngineError("the log is away"))
    assert causes(workspace) == {"trouble: the log is away"}


def test_trouble_with_the_spec_itself_reaches_terminal_and_file(workspace, capsys):
    workspace.places.spec("loans").write_text("model: [")
    trouble(workspace, "loans", SpecError("modelway.yaml:1: no key", "write one"))
    assert "no key" in capsys.readouterr().err
    assert told(workspace) == [("trouble: modelway.yaml:#: no key", False)]


def test_trouble_with_the_database_does_not_end_the_loop(workspace, monkeypatch, caplog):
    def broken(*_):
        raise EngineError("the control database does not answer")

    monkeypatch.setattr(type(workspace.database), "write", broken)
    trouble(workspace, "loans", EngineError("the lake is away"))
    assert "no alert could be booked" in caplog.text
