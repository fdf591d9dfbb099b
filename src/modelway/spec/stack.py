"""stack.yaml: which engine stands behind each port. Absent means embedded everything."""

from pydantic import Field

from modelway.spec.model import Part


class FolderEvents(Part):
    segment_bytes: int = 64 * 1024 * 1024
    """A segment file is closed at this size."""
    fsync_ms: int = 50
    """Predictions are fsynced in groups this often: what a power cut may cost at most (a process crash costs nothing)."""


class Serving(Part):
    host: str = "127.0.0.1"
    """The address that the server listens on; 0.0.0.0 for all."""
    port: int = 8080
    """0 takes a free port."""


class Stack(Part):
    """One installation."""

    events: FolderEvents = FolderEvents()
    """The event log in the workspace."""
    state: str = ""
    """SQLAlchemy URL of the control database; empty: SQLite in the workspace. A password comes from MODELWAY_STATE_PASSWORD."""
    tracking: str = ""
    """MLflow tracking URI; empty: SQLite in the workspace."""
    serving: Serving = Serving()
    """Where the server listens."""
    tick_seconds: float = Field(default=1.0, gt=0)
    """How often the control loop looks."""
    control_loops: int = Field(default=2, ge=1, le=16)
    """How many control loops `modelway up` runs: while one of them trains a model, the others tend the other models."""
    lease_seconds: float = Field(default=30.0, gt=0)
    """How long a control loop's lease on a step lasts without renewal."""
