"""What every part of a file is."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of a file: frozen, no unknown keys, documented field by field (`fields.described` reads the texts when asked)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
