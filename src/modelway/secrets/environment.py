"""Secrets in the environment variables of this process: `webhook_oncall` is MODELWAY_WEBHOOK_ONCALL.

Or in the file that MODELWAY_WEBHOOK_ONCALL_FILE names, as container platforms mount them.
"""

import os
import re
from pathlib import Path

from modelway.errors import EngineError, NotFoundError
from modelway.secrets.port import Secrets

PREFIX = "MODELWAY_"


class EnvironmentSecrets(Secrets):
    """An empty variable is none; the line end after a file's value is no part of it."""

    def get(self, name: str) -> str:
        variable = self.place(name)
        if value := os.environ.get(variable):
            return value
        if file := os.environ.get(f"{variable}_FILE"):
            return _read(Path(file), variable)
        raise NotFoundError(
            f"the environment variable {variable} is not set", f"export {variable}=…, or {variable}_FILE=FILE"
        )

    def place(self, name: str) -> str:
        return PREFIX + re.sub(r"\W", "_", name).upper()

    def ping(self) -> None:
        """The environment is always there."""


def _read(file: Path, variable: str) -> str:
    try:
        value = file.read_text().rstrip("\r\n")
    except OSError as error:
        raise EngineError(
            f"{variable}_FILE: {file} cannot be read ({error.strerror})", "mend the name or its rights"
        ) from None
    if not value:
        raise NotFoundError(f"{variable}_FILE: {file} is empty", "write the secret into it")
    return value
