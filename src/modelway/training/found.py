"""What a search hands back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Found:
    """The best parameters, their loss (smaller is better), and how many trials were run."""

    params: Mapping[str, Any]
    loss: float
    trials: int
