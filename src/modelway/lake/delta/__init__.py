"""Delta tables behind the lake's two ports: `Lake` (rows in and out) and `Upkeep` (what keeps the tables small and lawful)."""

from modelway.lake.delta.lake import DeltaLake
from modelway.lake.delta.upkeep import DeltaUpkeep

__all__ = ["DeltaLake", "DeltaUpkeep"]
