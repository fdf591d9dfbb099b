"""What the server answered with: features as they are logged, compared with the lake, and made again online."""

import json
import os
import sqlite3
import subprocess
import sys
from datetime import datetime, timedelta

import polars as pl
import pytest

from modelway.errors import StateError
from modelway.events.log import NewEvent
from modelway.expressions.values import microseconds
from modelway.features.online import LABELS, Look, PastEvent
from modelway.features.plan import plan_of
from modelway.features.rows import groups_of
from modelway.flow import answered, releasing
from modelway.flow.feeding import ingest
from modelway.flow.parity import Parity
from modelway.flow.rebuilding import rebuild
from modelway.flow.replayed import as_served
from modelway.flow.watching import compare, look, watch
from modelway.monitoring.alerts import open_alerts
from modelway.records import OperatingPoint, Trigger, Validation
from modelway.registry import versions
from modelway.spec.model import Spec
from modelway.state import erasures, runs
from tests.unit.monitoring.asking import T0, ask, project
from tests.unit.serving.made import CARDS, put_version

pytestmark = pytest.mark.filterwarnings(
    "ignore::polars.exceptions.PolarsInefficientMapWarning"
)  # ingestion's, of lists


def test_windows_are_computed_as_of_each_answer(tmp_path, clock):
    given = {**CARDS, "monitoring": {"drift": {"min_rows": 5}, "alerts": ["file"]}}
    workspace = project(tmp_path, clock, given)
    spec = Spec.model_validate(given)
    digest = put_version(workspace, given)
    runs.open_run(workspace.database, "cards-0001", "cards", Trigger("manual", "x"), T0)
    versions.register(workspace.database, "cards", "cards-0001", digest, Validation((), (), OperatingPoint()), T0)
    releasing.release(workspace, "cards", 1, "ann", "first")
    releasing.roll_out(workspace, spec)
    events = [
        {"id": f"e{n}", "at": (T0 + timedelta(hours=n)).isoformat(), "card": "k", "amount": 10.0, "fraud": n % 2}
        for n in range(4)
    ]
    for event in events:
        clock.at = datetime.fromisoformat(event["at"])
        workspace.log.append("cards", [NewEvent(event["id"], json.dumps(event).encode())])
    clock.at = T0 + timedelta(hours=4)
    ask(workspace, [{"id": "q", "at": clock.at.isoformat(), "card": "k", "amount": 3.0}], "cards")
    found = answered.answers(workspace, spec, 1, clock.at)
    manifest = answered.loads(answered.Manifest, workspace.artifacts.get(digest))
    rows = answered.columns(workspace, spec, manifest, found, clock.at)
    assert [c.name for c in plan_of(spec).columns] == ["amount", "many", "spent", "bad_share"]
    assert rows.select("amount", "many", "spent").row(0) == (3.0, 5.0, 43.0)
    assert answered.scores_of(rows, 2).shape == (1, 2)
    logged = workspace.lake.read("cards_predictions").select("_offset", "served", "row", "upto")
    asked = found.join(logged, on="_offset")
    plan = plan_of(spec)
    served = as_served(workspace, manifest, plan, asked)
    by_engine = answered._by_engine(workspace, spec, manifest, plan, asked, clock.at)
    assert served.equals(by_engine.select(served.columns), null_equal=True)
    behind = asked.with_columns(pl.lit('{"0": 99}').alias("upto"), _offset=pl.col("_offset") + 1)
    assert as_served(workspace, manifest, plan, behind) is None
    labels = answered.final_labels(workspace, spec, clock.at)
    assert dict(zip(labels["_key"], labels["_label"], strict=True)) == {"e0": "0", "e1": "1", "e2": "0", "e3": "1"}
    seen = look(workspace, spec, clock.at)
    assert (seen.rows, seen.drift, seen.performance.answer) == (1, (), "not_applicable")
    workspace.close()


def answering(tmp_path, clock, lag="0s"):
    """A model of cards that serves, four events of one card, and a question."""
    given = {**CARDS, "monitoring": {"drift": {"min_rows": 5}, "alerts": ["file"]}}
    given["data"] = {**given["data"], "lag": lag}
    workspace = project(tmp_path, clock, given)
    spec = Spec.model_validate(given)
    digest = put_version(workspace, given)
    runs.open_run(workspace.database, "cards-0001", "cards", Trigger("manual", "x"), T0)
    versions.register(workspace.database, "cards", "cards-0001", digest, Validation((), (), OperatingPoint()), T0)
    releasing.release(workspace, "cards", 1, "ann", "first")
    releasing.roll_out(workspace, spec)
    for n in range(4):
        clock.at = T0 + timedelta(hours=n)
        row = {"id": f"e{n}", "at": clock.at.isoformat(), "card": "k", "amount": 10.0, "fraud": n % 2}
        workspace.log.append("cards", [NewEvent(row["id"], json.dumps(row).encode())])
    clock.at = T0 + timedelta(hours=4)
    ask(workspace, [{"id": "q", "at": clock.at.isoformat(), "card": "k", "amount": 3.0}], "cards")
    return workspace, spec


def test_served_features_are_logged_and_equal_those_of_the_lake(tmp_path, clock):
    workspace, spec = answering(tmp_path, clock)
    ingest(workspace, spec)
    logged = workspace.lake.read("cards_predictions")["features"].to_list()
    assert [json.loads(one)[:2] for one in logged] == [[5.0, 43.0]]
    late = {"id": "late", "at": T0.isoformat(), "card": "k", "amount": 99.0, "fraud": 1}
    clock.at += timedelta(hours=1)
    workspace.log.append(
        "cards", [NewEvent("late", json.dumps(late).encode())]
    )  # a late event changes nothing that was right
    ingest(workspace, spec)
    assert compare(workspace, spec, 1, clock.at) == Parity(1)
    workspace.close()


def test_an_event_that_was_on_its_way_is_judged_by_the_position(tmp_path, clock):
    workspace, spec = answering(tmp_path, clock)
    clock.at -= timedelta(minutes=1)  # its stamp is before the answer, and it came into the log after it
    row = {"id": "slow", "at": T0.isoformat(), "card": "k", "amount": 99.0, "fraud": 1}
    workspace.log.append("cards", [NewEvent("slow", json.dumps(row).encode())])
    clock.at += timedelta(minutes=2)
    ingest(workspace, spec)
    assert compare(workspace, spec, 1, clock.at) == Parity(1)
    workspace.close()


def test_a_wrong_online_value_is_an_alert_that_names_everything(tmp_path, clock):
    workspace, spec = answering(tmp_path, clock)
    clock.at += timedelta(minutes=1)
    (store,) = (workspace.places.inner / "online").glob("*.db")
    with sqlite3.connect(store) as connection:  # e2 is lost, as a store that loses writes would
        connection.execute("delete from chunks")
    lost = workspace.online(store.stem, groups_of(plan_of(spec)))
    kept = [PastEvent("e9", T0, T0, {"card": "k"}, {"amount": 1.0}, 1.0, T0)]
    lost.put(kept, {})
    lost.close()
    ask(workspace, [{"id": "q2", "at": clock.at.isoformat(), "card": "k", "amount": 3.0}], "cards")
    ingest(workspace, spec)
    watch(workspace, spec)
    found = {alert.cause: alert for alert in open_alerts(workspace.database, "cards")}
    assert set(found) >= {"parity: many", "parity: spent"}
    text = found["parity: spent"].text
    assert "spent of row q2 (card 'k', 2026-01-05 04:01:00) was served as 4.0, and the lake gives 43.0" in text
    assert "e3 at 2026-01-05 03:00:00" in text
    assert "1 of 2 answers differ" in text
    workspace.close()


def test_an_answer_that_may_have_counted_a_person_who_was_erased_since_is_no_alert(tmp_path, clock):
    workspace, spec = answering(tmp_path, clock)
    ingest(workspace, spec)
    workspace.upkeep.erase("cards", pl.col("_key") == "e3", (), {})
    differing = compare(workspace, spec, 1, clock.at)
    assert {one.feature for one in differing.differences} >= {"many", "spent"}
    erased = erasures.open_request(workspace.database, "cards", {"key": "e3"}, clock.at, clock.at, "ann", "asked")
    assert compare(workspace, spec, 1, clock.at) == Parity(1)
    erasures.close(workspace.database, erased, clock.at + timedelta(minutes=1), {})
    assert compare(workspace, spec, 1, clock.at) == Parity(1)
    clock.at += timedelta(hours=1)
    ask(workspace, [{"id": "q2", "at": clock.at.isoformat(), "card": "k", "amount": 3.0}], "cards")
    ingest(workspace, spec)
    later = compare(workspace, spec, 1, clock.at)  # the values online still count e3
    assert {one.key for one in later.differences} == {"q2"}
    workspace.close()


def test_online_values_are_built_again_from_the_lake_as_they_were(tmp_path, clock):
    workspace, spec = answering(tmp_path, clock)
    plan = plan_of(spec)
    (store,) = (workspace.places.inner / "online").glob("*.db")
    look_at = [Look(("card",), ("k",), 0, microseconds(clock.at))]

    def held():
        values = workspace.online(store.stem, groups_of(plan))
        past = values.look(look_at, None)[0]
        found = (
            past.keys,
            list(past.at),
            list(past.numbers["amount"]),
            list(past.targets),
            values.upto(),
            values.upto(LABELS),
        )
        values.close()
        return found

    before = held()
    rebuilt = rebuild(workspace, "cards")
    assert (rebuilt.version, rebuilt.events, dict(rebuilt.upto)) == ("cards@1", 4, {0: 4})
    assert held()[:5] == before[:5]
    for file in (workspace.places.inner / "online").glob("*.db*"):
        file.unlink()
    rebuild(workspace, "cards")
    assert held()[:5] == before[:5]
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    workspace.places.server.write_text(json.dumps({"url": "http://127.0.0.1:1", "pid": ended.pid}))
    rebuild(workspace, "cards")  # a server that was killed left its page behind
    workspace.places.server.write_text(json.dumps({"url": "http://127.0.0.1:1", "pid": os.getpid()}))
    with pytest.raises(StateError, match="half built"):
        rebuild(workspace, "cards")
    workspace.close()
