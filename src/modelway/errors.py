"""Every error that a user can meet, drawn once.

    ModelwayError                    exit code 1
    ├─ UsageError                2   the command cannot mean that: unknown model, no workspace, port in use
    │  ├─ NotFoundError              a model, version, run, table or file that does not exist
    │  ├─ InUseError                 a port or a workspace that another process holds
    │  └─ MissingExtraError          an engine's library is not installed
    ├─ SpecError                 3   modelway.yaml or stack.yaml: names file, line and the fix
    ├─ DataError                 4   the data cannot be used
    │  ├─ UnreadableFileError        empty, torn, or not what its name says
    │  ├─ ContractError              a whole batch was refused
    │  └─ TooLittleDataError         not enough rows, or only one class
    ├─ UserCodeError             5   an exception in the user's model.py, shown with the user's lines
    ├─ ExportError               6   the estimator has no exact graph
    │  └─ ParityError                the graph and the estimator disagree
    ├─ StateError                7   not now: the state of the installation forbids it
    │  ├─ FrozenError                automation was stopped by hand
    │  ├─ LeaseLostError             another process took the step over
    │  ├─ RefusedError               a version that failed a gate cannot be released
    │  └─ LedgerError                the ledger's hash chain is broken
    ├─ EngineError               8   something outside failed; `transient` says whether to try again
    │  ├─ EventLogError
    │  ├─ LakeError
    │  ├─ GraphError                 what a graph did to the process that it ran in, off line
    │  ├─ TrackingError
    │  ├─ ServerError
    │  └─ DiskFullError
    └─ UnforeseenError          70   a mistake of ours

A message has two parts: the problem, with the place, and the fix, which a user can carry out.
"""

import errno
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT)


class ModelwayError(Exception):
    """What happened and with what (`problem`), and what to do next (`fix`)."""

    exit_code = 1

    def __init__(self, problem: str, fix: str = "") -> None:
        super().__init__(problem, fix)
        self.problem = problem
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.problem}\n  fix: {self.fix}" if self.fix else self.problem


class UsageError(ModelwayError):
    exit_code = 2


class NotFoundError(UsageError): ...


class InUseError(UsageError): ...


class MissingExtraError(UsageError):
    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"{library} is not installed", f"pip install 'modelway[{extra}]'")


class SpecError(ModelwayError):
    """A mistake in a YAML file; the problem starts with `file:line:`."""

    exit_code = 3


class DataError(ModelwayError):
    exit_code = 4


class UnreadableFileError(DataError): ...


class ContractError(DataError): ...


class TooLittleDataError(DataError): ...


class UserCodeError(ModelwayError):
    """An exception in `model.py`; the problem holds the user's own lines of the traceback."""

    exit_code = 5


class ExportError(ModelwayError):
    exit_code = 6


class ParityError(ExportError): ...


class StateError(ModelwayError):
    exit_code = 7


class FrozenError(StateError): ...


class LeaseLostError(StateError): ...


class RefusedError(StateError): ...


class LedgerError(StateError): ...


class EngineError(ModelwayError):
    exit_code = 8

    def __init__(self, problem: str, fix: str = "", *, transient: bool = False) -> None:
        super().__init__(problem, fix)
        self.transient = transient


class EventLogError(EngineError):
    def __init__(self, problem: str, fix: str = "", *, transient: bool = False, topic: str = "") -> None:
        super().__init__(problem, fix, transient=transient)
        self.topic = topic
        """The one topic that is in trouble, when it is one."""


class LakeError(EngineError): ...


class GraphError(EngineError):
    """A graph took its process along, or more time or memory than it may have; never `transient`: it would do so again."""


class TrackingError(EngineError): ...


class ServerError(EngineError): ...


class DiskFullError(EngineError): ...


def of_system(error: OSError, place: Path | None = None, kind: type[EngineError] = EngineError) -> EngineError | None:
    """A full disk and a place that this user cannot use, in words; None for any other trouble."""
    where = place or error.filename
    if error.errno in _FULL:
        return DiskFullError(f"{where}: the disk is full" if where else "the disk is full", "free space on that disk")
    if where and error.errno == errno.EROFS:
        return kind(
            f"{where} cannot be written (read-only file system)", "mount it for writing, or work in a copy elsewhere"
        )
    if where and error.errno in (errno.EACCES, errno.EPERM):
        return kind(
            f"{where} is closed to this user ({(error.strerror or '').lower()})", "let this user read and write it"
        )
    return None


class UnforeseenError(ModelwayError):
    """Any other exception, where work must go on: one model's trouble is not another's."""

    exit_code = 70


def unforeseen(error: Exception) -> UnforeseenError:
    """The exception in one line."""
    told = next(iter(str(error).splitlines()), "")
    problem = f"failed unexpectedly: {type(error).__name__}: {told}"[:300]
    return UnforeseenError(problem, "send us the log of the control loop")
