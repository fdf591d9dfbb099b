"""Ingestion in the loop: each look takes what was there when it began."""

from modelway.events.log import NewEvent
from modelway.flow import feeding
from modelway.ingest.batch import ingest_batch
from modelway.spec.model import Spec
from modelway.workspace import create_workspace

SPEC = {
    "model": "loans",
    "task": "binary",
    "data": {"source": "rows", "key": "id", "target": "y"},
    "contract": {"id": {"type": "string"}},
}


def test_steady_traffic_does_not_keep_the_loop_from_its_other_steps(tmp_path, monkeypatch):
    workspace, spec, passes = create_workspace(tmp_path / "bank", ""), Spec.model_validate(SPEC), []

    def busy(log, lake, source, known, limit):
        passes.append(source.topic)
        assert len(passes) < 50
        log.append(source.topic, [NewEvent("k", b"{}")])
        return ingest_batch(log, lake, source, known, limit)

    monkeypatch.setattr(feeding, "ingest_batch", busy)
    feeding.ingest(workspace, spec)
    workspace.close()
    assert len(passes) == 3
