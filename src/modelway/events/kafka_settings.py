"""librdkafka's settings from those of the stack, with the secrets that they need."""

from collections.abc import Mapping
from typing import Any

from modelway.errors import NotFoundError
from modelway.secrets.port import Secrets

_DEMANDED = {"sasl.username": ("sasl.password", "kafka_password")}
"""Setting → what is useless without a secret."""
_OPTIONAL = {
    "ssl.key.location": ("ssl.key.password", "kafka_key_password"),
    "ssl.keystore.location": ("ssl.keystore.password", "kafka_key_password"),
    "sasl.oauthbearer.client.id": ("sasl.oauthbearer.client.secret", "kafka_client_secret"),
}


def settings_of(bootstrap: str, options: Mapping[str, Any], secrets: Secrets) -> dict[str, Any]:
    """Never to be shown. Raises NotFoundError that says where a secret that is needed is looked for."""
    settings = {"bootstrap.servers": bootstrap, **{name: _written(value) for name, value in options.items()}}
    for name, (setting, secret) in _DEMANDED.items():
        if name in options:
            settings[setting] = secrets.get(secret)
    for name, (setting, secret) in _OPTIONAL.items():
        if name in options:
            try:
                settings[setting] = secrets.get(secret)
            except NotFoundError:
                continue  # a key without a password
    return settings


def _written(value: Any) -> Any:
    """Whole numbers as such: YAML's numbers are doubles here."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
