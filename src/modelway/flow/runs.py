"""A run as it goes: its steps in order, each done once; whoever comes after a crash goes on with the next one."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy as sa

from modelway.errors import NotFoundError
from modelway.records import (
    Candidate,
    Fit,
    Sources,
    TrainingSet,
    Trigger,
    Validation,
    Version,
    dumps,
    loads,
)
from modelway.spec.model import Spec
from modelway.state import erasures, runs
from modelway.state.leases import Lease
from modelway.state.runs import Run
from modelway.state.schema import runs as runs_table
from modelway.workspace import Workspace

T = TypeVar("T")
Tell = Callable[[str, float | None], None]

KINDS: dict[str, type[Any]] = {
    "ingest": Sources,
    "prepare": TrainingSet,
    "train": Fit,
    "export": Candidate,
    "validate": Validation,
    "register": Version,
}
STEPS = tuple(KINDS)
REFIT = "+refit"


@dataclass(frozen=True)
class Work:
    """A run that is being worked on: what a step needs to read the records of the steps before it."""

    workspace: Workspace
    run: Run
    lease: Lease | None = None
    tell: Tell = field(default=lambda what, share=None: None)

    @property
    def model(self) -> str:
        return self.run.model

    def record(self, name: str) -> Any:
        """The record that step `name` of this run made; raises NotFoundError when it is not done yet."""
        return record(self.workspace, self.run.id, name)

    @property
    def spec(self) -> Spec:
        """The spec as it stood when the run began."""
        return spec_of(self.workspace, self.record("ingest").spec)


def open_new(workspace: Workspace, model: str, trigger: Trigger) -> str:
    """The id of a new run, counted by model."""
    while True:
        with workspace.database.read() as connection:
            count = sa.select(sa.func.count()).select_from(runs_table).where(runs_table.c.model == model)
            number = int(connection.execute(count).scalar() or 0) + 1
        name = f"{model}-{number:04d}"
        made = runs.open_run(workspace.database, name, model, trigger, workspace.clock.now())
        if made.trigger == trigger and made.attempts == 0:
            return name


def step(work: Work, name: str, do: Callable[[Work], Any]) -> Any:
    """The record of the step: the one that stands, or the one that `do` makes now."""
    if runs.step(work.workspace.database, work.run.id, name) is not None:
        return work.record(name)
    started = time.perf_counter()
    made = dumps(do(work)).decode()
    seconds = time.perf_counter() - started
    return loads(KINDS[name], runs.keep_step(work.workspace.database, work.run.id, name, made, seconds, work.lease))


def record(workspace: Workspace, run: str, name: str) -> Any:
    """A finished step's record, with the artefacts that stand now; raises NotFoundError naming the step to do first."""
    made = loaded(workspace, run, name)
    return erasures.as_it_stands(workspace.database, made) if isinstance(made, TrainingSet) else made


def loaded(workspace: Workspace, run: str, name: str) -> Any:
    """A finished step's record as it was made; artefacts in it may have been replaced since (see `state.erasures`)."""
    done = runs.step(workspace.database, run, name)
    if done is None:
        raise NotFoundError(f"step {name} of run {run} is not done", f"modelway step {name} --run {run}")
    return loads(KINDS[name], done)


def spec_of(workspace: Workspace, digest: str) -> Spec:
    """The spec behind its digest."""
    return Spec.model_validate_json(workspace.artifacts.get(digest))


def spec_bytes(spec: Spec) -> bytes:
    """The spec as an artefact: what its file says, in a fixed order."""
    return dumps(spec.model_dump(mode="json", by_alias=True, exclude_unset=True))
