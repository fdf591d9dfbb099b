"""A composition out of artefacts: it answers as its members do, it is loaded like any version, and its log says who it was."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.errors import StateError
from modelway.flow import composing
from modelway.flow.forms import open_run
from modelway.flow.serving import loader
from modelway.records import Composition, Manifest, Pinned, dumps, loads
from modelway.serving.answer import answer_rows
from modelway.serving.composed import MEMBER_ROWS
from modelway.serving.log import prediction_events
from modelway.serving.servable import Servable, nowhere, unhurried
from modelway.spec.model import Spec
from modelway.testing.metrics import parse_exposition, sample
from modelway.workspace import Workspace
from tests.unit.serving.made import LOANS, make_workspace, put_composition, put_version

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROW = {"id": "a", "income": 3.0}


@pytest.fixture
def workspace(tmp_path: Path):
    made = make_workspace(tmp_path / "bank")
    yield made
    made.close()


def alone(workspace: Workspace, bias: float, income: float) -> list[float]:
    """What a member says by itself."""
    digest = put_version(workspace, {**LOANS, "model": "alone"}, bias=bias)
    run = open_run(workspace, loads(Manifest, workspace.artifacts.get(digest)), "alone@1")
    return run([[income]], [[]])[0]


def asked(servable: Servable, *rows: dict[str, Any]):
    return answer_rows(servable, [f"q/{n}" for n in range(len(rows))], rows, NOW)


ROUTE = {"route": [{"when": "income > 2", "ask": "rich"}, {"ask": "rest"}]}
BIASES = {"rich": 1.0, "rest": -1.0}


def test_a_router_answers_each_row_as_its_model_does_and_the_log_says_which(workspace):
    servable = loader(workspace)(put_composition(workspace, ROUTE, BIASES), "pricing", 7)
    assert servable.upto is nowhere, "graphs alone are answered on the event loop"
    answers = asked(servable, ROW, {"id": "b", "income": 1.0}, {"id": "c", "income": -1.0})
    assert [one.status for one in answers] == ["ok", "ok", "refused"]
    assert [one.member for one in answers] == ["rich@1", "rest@1", ""]
    np.testing.assert_array_equal(answers[0].scores, alone(workspace, 1.0, 3.0))
    np.testing.assert_array_equal(answers[1].scores, alone(workspace, -1.0, 1.0))
    events = [e.value for e in prediction_events(servable, "q", answers, served=NOW, ms=1.0, upto={})]
    assert b'"member":"rich@1","fallback":""' in events[0]
    assert b'"features":[1.0]' in events[0], "whether the rule held is logged"
    assert b'"member"' not in events[2]


def test_what_was_logged_gives_the_same_answer_again(workspace):
    digest = put_composition(workspace, {**ROUTE, "fallback": {"ask": "rest", "after": "1s"}}, BIASES)
    rows = [{"id": f"r{n}", "income": float(n)} for n in range(5)]
    first, again = (asked(loader(workspace)(digest, "pricing", 7), *rows) for _ in range(2))
    assert [(a.scores, a.member) for a in first] == [(a.scores, a.member) for a in again]


def test_who_answered_is_counted(workspace):
    servable = loader(workspace)(put_composition(workspace, ROUTE, BIASES), "pricing", 7)
    asked(servable, *({"id": f"r{n}", "income": float(n)} for n in range(5)))
    found = parse_exposition(workspace.metrics.exposition())
    named = {"model": "pricing", "version": "7", "fallback": "false"}
    assert found[sample(MEMBER_ROWS, **named, member="rich@1")] == 2
    assert found[sample(MEMBER_ROWS, **named, member="rest@1")] == 3


def test_a_bound_takes_it_off_the_event_loop(workspace):
    late = {**ROUTE, "fallback": {"ask": "rest", "after": "1s"}}
    assert loader(workspace)(put_composition(workspace, late, BIASES), "pricing", 7).upto is unhurried
    manifest = loads(Manifest, workspace.artifacts.get(put_composition(workspace, late, BIASES)))
    assert not open_run(workspace, manifest, "pricing@7", patient=True).waits, "nobody is late where no client waits"


def test_an_ensemble_and_a_chain_come_out_of_artefacts_too(workspace):
    both = loader(workspace)(put_composition(workspace, {"ensemble": {"rich": 3.0, "rest": 1.0}}, BIASES), "pricing", 1)
    want = (3 * np.array(alone(workspace, 1.0, 3.0)) + np.array(alone(workspace, -1.0, 3.0))) / 4
    np.testing.assert_allclose(asked(both, ROW)[0].scores, want, rtol=1e-15)
    steps = ["rich", {"expr": "rich * 0.5 + if(income > 2, 0.1, 0)"}]
    chain = loader(workspace)(put_composition(workspace, {"chain": steps}, {"rich": 1.0}), "pricing", 1)
    np.testing.assert_allclose(asked(chain, ROW)[0].scores[1], alone(workspace, 1.0, 3.0)[1] / 2 + 0.1, rtol=1e-15)


def test_a_row_that_a_member_refuses_is_refused_and_answered_where_there_is_a_fallback(workspace):
    refuses = {"refuses": {"beyond": {"income": 10.0}}}
    bare = put_composition(workspace, ROUTE, BIASES, **refuses)
    answer = asked(loader(workspace)(bare, "pricing", 1), {"id": "a", "income": 11.0})[0]
    assert (answer.status, answer.scores) == ("refused", ())
    assert answer.reason.startswith("rich@1: income: 11 is beyond")
    backed = put_composition(workspace, {**ROUTE, "fallback": {"ask": "rest"}}, BIASES)
    manifest = loads(Manifest, workspace.artifacts.get(backed))
    made = loads(Composition, workspace.artifacts.get(manifest.graph))
    picky = put_version(workspace, {**LOANS, "model": "rich"}, bias=1.0, **refuses)
    made = Composition(made.columns, "binary", 2, made.compose, (Pinned("rich", 1, picky), made.members[1]))
    whole = workspace.artifacts.put(
        dumps(manifest).replace(manifest.graph.encode(), workspace.artifacts.put(dumps(made)).encode())
    )
    answer = asked(loader(workspace)(whole, "pricing", 1), {"id": "a", "income": 11.0})[0]
    assert (answer.status, answer.member) == ("ok", "rest@1")
    assert answer.fallback.startswith("rich@1: income: 11 is beyond")
    np.testing.assert_array_equal(answer.scores, alone(workspace, -1.0, 11.0))


def test_a_member_whose_column_is_not_there_is_refused_when_it_is_loaded(workspace):
    other = {**LOANS, "model": "rich", "contract": {**LOANS["contract"], "age": {"type": "float"}}}
    digest = put_composition(workspace, ROUTE, BIASES)
    manifest = loads(Manifest, workspace.artifacts.get(digest))
    made = loads(Composition, workspace.artifacts.get(manifest.graph))
    pinned = (Pinned("rich", 2, put_version(workspace, other)), made.members[1])
    broken = workspace.artifacts.put(dumps(Composition(made.columns, "binary", 2, made.compose, pinned)))
    whole = workspace.artifacts.put(dumps(manifest).replace(manifest.graph.encode(), broken.encode()))
    with pytest.raises(StateError, match="rich@2 takes age, which the composition does not give it"):
        loader(workspace)(whole, "pricing", 1)


def test_rows_that_a_member_has_learned_from_are_not_held_out():
    from modelway.training.split import HOLDOUT, TRAIN, split_rows, without_learned

    rows = pl.DataFrame({"_key": [f"k{n}" for n in range(200)], "_at": [NOW] * 200, "_target": ["a", "b"] * 100})
    made = split_rows(rows, Spec.model_validate(LOANS).training, by_time=False, classes=("a", "b"))
    seen = rows["_key"].is_in([f"k{n}" for n in range(150)])
    left = without_learned(rows, made, seen, ("a", "b"))
    assert (left.parts.filter(seen) == TRAIN).all()
    np.testing.assert_array_equal(left.parts.filter(~seen), made.parts.filter(~seen))
    assert 0 < left.count(HOLDOUT) < made.count(HOLDOUT)


def test_what_is_pinned_is_none_of_a_spec_that_asks_nobody(workspace):
    assert composing.pinned(workspace, Spec.model_validate(LOANS)) == ()
    assert composing.learned(workspace, ()) is None
