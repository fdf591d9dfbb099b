"""The port of schemas; `registry.py` asks a schema registry, as Confluent's, Karapace and Apicurio answer."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

Language = Literal["AVRO", "PROTOBUF", "JSON"]


@dataclass(frozen=True, slots=True)
class Schema:
    """`text` is an Avro or a JSON Schema, or a FileDescriptorProto in base64; `imports` are those that it builds on, in order."""

    language: Language
    text: str
    imports: tuple[str, ...] = ()


class Schemas(ABC):
    """A schema never changes under its number, so that it is asked for once."""

    @abstractmethod
    def schema(self, number: int) -> Schema:
        """Raises NotFoundError for a number that was never given, EventLogError when nobody answers."""

    @abstractmethod
    def ping(self) -> None:
        """Return if schemas can be asked for; else raise EventLogError."""

    @abstractmethod
    def close(self) -> None: ...
