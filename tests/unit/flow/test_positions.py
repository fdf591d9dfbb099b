"""A person decides where a table goes on to read: of one partition, the others stay where they are."""

from dataclasses import dataclass

import pytest

from modelway.errors import StateError
from modelway.events.log import NewEvent
from modelway.flow.feeding import ingest
from modelway.flow.positions import positions, set_positions
from modelway.ingest.source import APP, IDENTITY
from modelway.spec.model import Spec
from modelway.workspace import create_workspace

SPEC = Spec.model_validate(
    {"model": "pay", "task": "regression", "data": {"source": "payments", "key": "id", "target": "amount"},
     "contract": {"id": {"type": "string"}, "amount": {"type": "float"}}}
)  # fmt: skip


@dataclass
class TwoPartitions:
    """What `set_positions` asks of a log: the embedded one has one partition a topic."""

    ends_at: dict[int, int]

    def starts(self, topic):
        return dict.fromkeys(self.ends_at, 0)

    def ends(self, topic):
        return self.ends_at

    def identity(self, topic):
        return 7


@pytest.fixture
def workspace(tmp_path):
    opened = create_workspace(tmp_path / "w", "")
    opened.log.append(
        "payments", [NewEvent("k", b'{"id": "a", "amount": 1}'), NewEvent("k", b'{"id": "b", "amount": 2}')]
    )
    ingest(opened, SPEC)
    yield opened
    opened.close()


def test_the_other_partitions_stay_where_they_are(workspace, monkeypatch):
    seen = workspace.lake.version("payments")
    workspace.lake.move("payments", APP, {0: 2, 1: 5}, numbers={IDENTITY: 7}, seen=seen)
    monkeypatch.setitem(vars(workspace), "log", TwoPartitions({0: 2, 1: 9}))
    set_positions(workspace, "payments", "newest", "me", "why", partition=1)
    assert workspace.lake.positions("payments", APP) == {0: 2, 1: 9}
    set_positions(workspace, "payments", "1", "me", "why", partition=0)
    assert [p.position for p in positions(workspace, "payments")] == [1, 9]


def test_of_a_topic_that_was_made_anew_all_partitions_are_set(workspace, monkeypatch):
    seen = workspace.lake.version("payments")
    workspace.lake.move("payments", APP, {0: 2, 1: 5}, numbers={IDENTITY: 6}, seen=seen)
    monkeypatch.setitem(vars(workspace), "log", TwoPartitions({0: 2, 1: 9}))
    with pytest.raises(StateError, match="made anew"):
        set_positions(workspace, "payments", "oldest", "me", "why", partition=1)
    set_positions(workspace, "payments", "oldest", "me", "why")
    assert workspace.lake.positions("payments", APP) == {0: 0, 1: 0}
