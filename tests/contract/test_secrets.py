"""The checks of secrets over the environment, and that those who ask for one keep it to themselves."""

import pytest
import sqlalchemy as sa

from modelway.errors import EngineError, NotFoundError, SpecError
from modelway.monitoring.sinks import open_sinks
from modelway.secrets.environment import EnvironmentSecrets
from modelway.secrets.port import Secrets
from modelway.state.database import Database
from modelway.testing.secrets import VALUE, Put, SecretsChecks
from modelway.workspace import Places, Workspace


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> Put:
    for name in ("STATE_PASSWORD", "WEBHOOK_ONCALL", "WEBHOOK_ON_CALL"):
        monkeypatch.delenv(f"MODELWAY_{name}", raising=False)
    return lambda name, value: monkeypatch.setenv(f"MODELWAY_{name.upper()}", value)


class TestEnvironment(SecretsChecks):
    @pytest.fixture
    def secrets(self) -> EnvironmentSecrets:
        return EnvironmentSecrets()


class Vault(Secrets):
    """A place that is not the environment; `problem` is what it answers with."""

    def __init__(self, values: dict[str, str], problem: Exception | None = None) -> None:
        self._values, self._problem = values, problem

    def get(self, name: str) -> str:
        if self._problem:
            raise self._problem
        if name not in self._values:
            raise NotFoundError(f"the vault has no {name}", f"vault put {name}")
        return self._values[name]

    def place(self, name: str) -> str:
        return f"the vault's {name}"

    def ping(self) -> None: ...


def test_the_variable_and_the_command_are_named(put):
    with pytest.raises(NotFoundError, match="MODELWAY_WEBHOOK_ON_CALL is not set") as raised:
        EnvironmentSecrets().get("webhook_on-call")
    assert raised.value.fix.startswith("export MODELWAY_WEBHOOK_ON_CALL=")


def test_a_webhooks_address_comes_from_wherever_secrets_are(tmp_path):
    (sink,) = open_sinks(["webhook:chat"], tmp_path / "f", Vault({"webhook_chat": "no address/hidden"}))
    with pytest.raises(EngineError, match="webhook:chat") as raised:
        sink.ping()
    assert raised.value.fix == "check the address in the vault's webhook_chat"
    assert "hidden" not in f"{raised.value}{sink!r}"
    with pytest.raises(SpecError, match="names webhook:chat, but the vault has no webhook_chat") as missing:
        open_sinks(["webhook:chat"], tmp_path / "f", Vault({}))
    assert "vault put webhook_chat" in missing.value.fix


def test_a_databases_password_comes_from_there_too_and_is_not_shown(monkeypatch, tmp_path):
    """The engine is only asked for: no driver of PostgreSQL is needed to see what it would be opened with."""
    asked = []
    monkeypatch.setattr(sa, "create_engine", lambda url, **_: asked.append(url))
    url = "postgresql+psycopg://modelway@db/control"
    for secrets in (Vault({"state_password": VALUE}), Vault({})):
        Database(url, secrets)
    assert [one.password for one in asked] == [VALUE, None]
    assert VALUE not in f"{asked[0]} {asked[0]!r}"
    with pytest.raises(EngineError, match="sealed"):
        Database(url, Vault({}, EngineError("the vault is sealed")))


def test_a_workspace_hands_its_secrets_to_its_database(monkeypatch, tmp_path, put):
    asked = []
    monkeypatch.setattr(sa, "create_engine", lambda url, **_: asked.append(url))
    (tmp_path / "stack.yaml").write_text("state: postgresql+psycopg://modelway@db/control\n")
    put("state_password", VALUE)
    workspace = Workspace(Places(tmp_path))
    assert workspace.database is workspace.database
    assert [one.password for one in asked] == [VALUE]
    assert VALUE not in f"{workspace!r} {workspace.secrets!r}"
