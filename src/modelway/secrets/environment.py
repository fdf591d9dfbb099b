"""Secrets in the environment variables of this process: `webhook_oncall` is MODELWAY_WEBHOOK_ONCALL."""

import os
import re

from modelway.errors import NotFoundError
from modelway.secrets.port import Secrets

PREFIX = "MODELWAY_"


class EnvironmentSecrets(Secrets):
    """An empty variable is none."""

    def get(self, name: str) -> str:
        variable = self.place(name)
        if value := os.environ.get(variable):
            return value
        raise NotFoundError(f"the environment variable {variable} is not set", f"export {variable}=…")

    def place(self, name: str) -> str:
        return PREFIX + re.sub(r"\W", "_", name).upper()

    def ping(self) -> None:
        """The environment is always there."""
