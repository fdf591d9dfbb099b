"""SASL/SCRAM over TLS, from stack.yaml to a real broker; the password stands in a file and is seen nowhere."""

import logging
from pathlib import Path

import pytest

from modelway.errors import EventLogError, NotFoundError, SpecError
from modelway.spec.load import load_stack
from modelway.workspace import Workspace, create_workspace
from tests.engines.broker import PASSWORD, USER, Broker
from tests.engines.streams import events

pytestmark = pytest.mark.engines


def bank(root: Path, broker: Broker, patience: str = "5s", **changed: str) -> Workspace:
    options = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": USER,
        "ssl.ca.location": str(broker.ca),
        **changed,
    }
    told = ", ".join(f"{name}: '{value}'" for name, value in options.items())
    return create_workspace(
        root,
        f'events: {{kafka: {{bootstrap: "{broker.secure}", prefix: "{root.name}.", patience: {patience}, options: {{{told}}}}}}}\n',
    )


@pytest.fixture
def told(tmp_path, monkeypatch) -> Path:
    """The file that the password stands in."""
    place = tmp_path / "password"
    place.write_text(PASSWORD + "\n")
    monkeypatch.delenv("MODELWAY_KAFKA_PASSWORD", raising=False)
    monkeypatch.setenv("MODELWAY_KAFKA_PASSWORD_FILE", str(place))
    return place


def test_events_go_to_and_fro_through_the_secure_door(broker, tmp_path, told, caplog):
    caplog.set_level(logging.DEBUG)
    workspace = bank(tmp_path / "good", broker, "60s")
    workspace.log.ping()
    workspace.log.append("payments", events(range(50)))
    assert len(workspace.log.read("payments", {})) == 50
    share = workspace.log.join(["payments"], "g", lambda topic, partition: None)
    assert share.take(1, 60.0)
    share.close()
    assert PASSWORD not in f"{workspace!r} {workspace.log!r} {workspace.stack!r} {caplog.text}"
    workspace.close()


def test_a_wrong_password_and_an_unknown_authority_are_said_without_the_password(broker, tmp_path, told):
    told.write_text("another-password")
    workspace = bank(tmp_path / "wrong", broker)
    with pytest.raises(EventLogError, match=r"(?i)authentication|credentials") as caught:
        workspace.log.append("payments", events(range(1)))
    assert "another-password" not in f"{caught.value!r} {caught.value}"
    workspace.close()
    told.write_text(PASSWORD)
    stranger = bank(tmp_path / "stranger", broker, **{"ssl.ca.location": ""})
    with pytest.raises(EventLogError, match=r"(?i)certificate|ssl"):
        stranger.log.ping()
    stranger.close()


def test_without_the_secret_the_place_is_named_and_in_the_file_it_is_refused(broker, tmp_path, monkeypatch):
    monkeypatch.delenv("MODELWAY_KAFKA_PASSWORD", raising=False)
    monkeypatch.delenv("MODELWAY_KAFKA_PASSWORD_FILE", raising=False)
    workspace = bank(tmp_path / "none", broker)
    with pytest.raises(NotFoundError, match="MODELWAY_KAFKA_PASSWORD is not set"):
        workspace.log.ping()
    place = tmp_path / "stack.yaml"
    place.write_text("events: {kafka: {bootstrap: 'b:9092', options: {sasl.password: hunter2}}}\n")
    with pytest.raises(SpecError, match="must not stand in a file") as caught:
        load_stack(place)
    assert "hunter2" not in str(caught.value)
