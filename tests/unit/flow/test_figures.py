"""What a scraper is shown of ingestion is what status says, and a log that is away hides nothing else."""

import pytest

from modelway.errors import EventLogError
from modelway.events.log import NewEvent
from modelway.flow import figures
from modelway.flow.feeding import ingest
from modelway.flow.figures import Figures
from modelway.flow.positions import set_positions
from modelway.flow.reporting import topics_status
from modelway.testing.metrics import parse_exposition, sample
from modelway.workspace import create_workspace

SPEC = """
model: pay
task: binary
data: {source: payments, key: id, target: fraud}
contract:
  id: {type: string, nulls: 0}
  amount: {type: float, min: 0}
  fraud: {type: int, in: [0, 1]}
"""


@pytest.fixture
def workspace(tmp_path):
    made = create_workspace(tmp_path / "bank", "")
    made.places.project("pay").mkdir()
    made.places.spec("pay").write_text(SPEC)
    yield made
    made.close()


def send(workspace, numbers, amount: object = 1.0) -> None:
    rows = (f'{{"id": "p{n}", "amount": {amount}, "fraud": 0}}'.encode() for n in numbers)
    workspace.log.append("payments", [NewEvent("k", row) for row in rows])


def shown(workspace) -> dict:
    return parse_exposition(workspace.metrics.exposition())


def test_figures_are_those_of_status(workspace):
    looked = Figures(workspace)
    looked.look()
    assert shown(workspace) == {}
    send(workspace, range(8))
    looked.look()
    assert shown(workspace)[sample(figures.LAG_EVENTS, topic="payments")] == 8
    assert shown(workspace)[sample(figures.LAG_SECONDS, topic="payments")] >= 0
    send(workspace, [8, 9], "-1")
    send(workspace, range(3))
    ingest(workspace, workspace.spec("pay"))
    looked.look()
    found, told = shown(workspace), topics_status(workspace)["payments"]
    assert found[sample(figures.LAG_EVENTS, topic="payments")] == told["lag_rows"] == 0
    assert found[sample(figures.REFUSED, topic="payments")] == told["quarantine_share"] == 2 / 13
    counted = {
        o: found[sample(figures.ROWS, topic="payments", outcome=o)] for o in ("accepted", "double", "quarantined")
    }
    assert counted == {"accepted": 8, "double": 3, "quarantined": 2}
    assert told["breaches"] == {"amount: min": 2}
    assert found[sample(figures.BREACHES, topic="payments", rule="amount: min")] == 2


def test_counts_go_up_by_what_is_new(workspace):
    looked = Figures(workspace)
    for start in (0, 5):
        send(workspace, range(start, start + 5))
        ingest(workspace, workspace.spec("pay"))
        looked.look()
        looked.look()
    assert shown(workspace)[sample(figures.ROWS, topic="payments", outcome="accepted")] == 10


def test_a_log_that_is_away_hides_the_lag_alone(workspace, monkeypatch):
    send(workspace, range(5))
    ingest(workspace, workspace.spec("pay"))
    looked = Figures(workspace)
    looked.look()
    asked = []

    def away() -> None:
        asked.append(1)
        raise EventLogError("nobody answers", "look", transient=True)

    monkeypatch.setattr(workspace.log, "ping", away)
    looked.look()
    assert len(asked) == 1
    found = shown(workspace)
    assert sample(figures.LAG_EVENTS, topic="payments") not in found
    assert found[sample(figures.ROWS, topic="payments", outcome="accepted")] == 5


def test_positions_that_a_person_set_are_no_lag(workspace):
    send(workspace, range(5))
    ingest(workspace, workspace.spec("pay"))
    send(workspace, range(5, 9))
    looked = Figures(workspace)
    looked.look()
    assert shown(workspace)[sample(figures.LAG_EVENTS, topic="payments")] == 4
    set_positions(workspace, "payments", "newest", "ann", "they were a mistake")
    looked.look()
    assert shown(workspace)[sample(figures.LAG_EVENTS, topic="payments")] == 0
