"""The port of secrets: a value by its name, asked when it is needed and kept nowhere; `environment.py` is embedded."""

from abc import ABC, abstractmethod


class Secrets(ABC):
    """Values that stand in no file of a workspace. No repr, error or log of an adapter holds one."""

    @abstractmethod
    def get(self, name: str) -> str:
        """The value as it is now, never "". Raises NotFoundError naming `place(name)`, EngineError when nobody answers.

        In a name all but letters and digits count as "_", and letters of either case are the same.
        """

    @abstractmethod
    def place(self, name: str) -> str:
        """Where the value is kept, for messages."""

    @abstractmethod
    def ping(self) -> None:
        """Return if values can be asked for; else raise EngineError."""
