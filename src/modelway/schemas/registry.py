"""A schema registry, by confluent-kafka's client.

docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from modelway.errors import EventLogError, MissingExtraError, ModelwayError, NotFoundError
from modelway.schemas.port import Language, Schema, Schemas

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import SchemaRegistryClient

_LANGUAGES: dict[str, Language] = {"AVRO": "AVRO", "PROTOBUF": "PROTOBUF", "JSON": "JSON"}
_UNKNOWN = (404, 40403)


class RegistrySchemas(Schemas):
    """`password` is sent with `username` and shown nowhere; `ca` is a file of certificates, "" the system's."""

    def __init__(self, url: str, username: str = "", password: str = "", ca: str = "") -> None:
        self._url = url
        self._settings: dict[str, Any] = {"url": url, "timeout": 10, "max.retries": 1}
        if username:
            self._settings["basic.auth.user.info"] = f"{username}:{password}"
        if ca:
            self._settings["ssl.ca.location"] = ca
        self._known: dict[int, Schema] = {}
        self._client: SchemaRegistryClient | None = None

    def schema(self, number: int) -> Schema:
        if number not in self._known:
            with self._mapped(f"schema {number}"):
                self._known[number] = self._asked(number)
        return self._known[number]

    def ping(self) -> None:
        with self._mapped("ping"):
            self._opened().get_subjects()

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _asked(self, number: int) -> Schema:
        client = self._opened()
        told = client.get_schema(number)
        language = _LANGUAGES.get(str(told.schema_type))
        if language is None:
            raise NotFoundError(
                f"schema {number} of {self._url} is written in {told.schema_type}, which is not read here",
                "send Avro, Protobuf or JSON",
            )
        if language != "PROTOBUF":
            return Schema(language, str(told.schema_str))
        serialized = client.get_schema(number, fmt="serialized")
        return Schema(language, str(serialized.schema_str), tuple(self._imports(told.references)))

    def _imports(self, references: Any) -> Iterator[str]:
        """Those of imports first."""
        for reference in references or ():
            version = self._opened().get_version(reference.subject, reference.version, fmt="serialized")
            yield from self._imports(version.schema.references)
            yield str(version.schema.schema_str)

    def _opened(self) -> "SchemaRegistryClient":
        if self._client is None:
            from confluent_kafka.schema_registry import SchemaRegistryClient

            self._client = SchemaRegistryClient(self._settings)
        return self._client

    @contextmanager
    def _mapped(self, what: str) -> Iterator[None]:
        try:
            from confluent_kafka.schema_registry import SchemaRegistryError
        except ImportError as error:
            raise MissingExtraError("the client of schema registries", "kafka") from error
        try:
            yield
        except ModelwayError:
            raise
        except SchemaRegistryError as error:
            if error.http_status_code == 404 or error.error_code in _UNKNOWN:
                raise NotFoundError(
                    f"{what} is not in the schema registry {self._url}",
                    "register it, or mend the producer: it writes the number of another registry",
                ) from error
            raise self._away(what, f"{error.http_status_code}: {error.error_message}") from None
        except Exception as error:  # noqa: BLE001 - its HTTP client's, which is another one from version to version
            raise self._away(what, str(error) or type(error).__name__) from None

    def _away(self, what: str, told: str) -> EventLogError:
        return EventLogError(
            f"schema registry {self._url}, {what}: {told}",
            "it is tried again; look whether the registry runs, and at events.kafka.registry in stack.yaml",
            transient=True,
        )
