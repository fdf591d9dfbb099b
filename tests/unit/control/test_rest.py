"""A model at rest is looked at again when something came, something was decided, its spec changed, or time went by."""

from datetime import UTC, datetime

import pytest

from modelway.control import loop, rest
from modelway.control.rest import Rest
from modelway.errors import EngineError
from modelway.events.log import NewEvent
from modelway.monitoring import alerts
from modelway.state import freezes
from modelway.workspace import create_workspace

SPEC = """\
model: {name}
task: binary
data: {{source: {name}_rows, key: id, target: y}}
contract: {{id: {{type: string}}, x: {{type: float}}}}
"""


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A workspace of two models, and the models that were looked at since it was last asked."""
    workspace = create_workspace(tmp_path / "bank", "")
    for name in ("cards", "loans"):
        place = workspace.places.spec(name)
        place.parent.mkdir(parents=True)
        place.write_text(SPEC.format(name=name))
    looked, resting = [], Rest()
    monkeypatch.setattr(loop.lifecycle, "tend", lambda workspace, model, lease: looked.append(model))

    def ticked():
        looked.clear()
        loop.tick(workspace, "me", resting)
        return list(looked)

    yield workspace, ticked
    workspace.close()


def test_nothing_new_is_not_looked_at_again(world):
    _, ticked = world
    assert (ticked(), ticked(), ticked()) == (["cards", "loans"], [], [])


@pytest.mark.parametrize("topic", ["loans_rows", "loans_labels", "loans_predictions"])
def test_what_came_is_looked_at(world, topic):
    workspace, ticked = world
    ticked()
    workspace.log.append(topic, [NewEvent("1", b"{}")])
    assert (ticked(), ticked()) == (["loans"], [])


def test_what_was_decided_is_looked_at(world):
    workspace, ticked = world
    ticked()
    freezes.freeze(workspace.database, "loans", "ann", "audit", datetime.now(UTC))
    assert (ticked(), ticked()) == (["cards", "loans"], [])


def test_a_changed_spec_is_looked_at(world):
    workspace, ticked = world
    ticked()
    place = workspace.places.spec("cards")
    place.write_text(place.read_text() + "monitoring: {every: 1h}\n")
    assert (ticked(), ticked()) == (["cards"], [])


def test_time_alone_is_looked_at_too(world, monkeypatch):
    _, ticked = world
    monkeypatch.setattr(rest, "LONGEST", 0.0)
    assert ticked() == ticked() == ["cards", "loans"]


def test_after_trouble_there_is_no_rest(world, monkeypatch):
    _, ticked = world
    ticked()

    def fail(workspace, model, lease):
        raise EngineError("no space", "free some")

    monkeypatch.setattr(loop.lifecycle, "tend", fail)
    troubled = []
    monkeypatch.setattr(loop.lifecycle, "trouble", lambda workspace, model, error: troubled.append(model))
    monkeypatch.setattr(rest, "LONGEST", 0.0)
    resting = Rest()
    loop.tick(world[0], "me", resting)
    loop.tick(world[0], "me", resting)
    assert troubled == ["cards", "loans"] * 2


def test_whatever_goes_wrong_with_one_model_the_others_are_tended(world, monkeypatch):
    workspace, _ = world
    tended = []

    def tend(workspace, model, lease):
        tended.append(model)
        if model == "cards":
            raise ValueError("high <= 0")

    monkeypatch.setattr(loop.lifecycle, "tend", tend)
    loop.tick(workspace, "me")
    assert tended == ["cards", "loans"]
    assert [a.text for a in alerts.open_alerts(workspace.database, "cards")] == [
        "failed unexpectedly: ValueError: high <= 0\n  fix: send us the log of the control loop"
    ]
    assert alerts.open_alerts(workspace.database, "loans") == ()
