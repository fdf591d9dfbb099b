"""Holding a lease while a step runs: renewed in the background, taken over at once from a process that is dead.

Leases live in wall time, a replay's too: they are about processes, not about data.
"""

import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from modelway.errors import EngineError, StateError
from modelway.state import leases
from modelway.state.leases import Lease
from modelway.workspace import Workspace


def holder_name() -> str:
    """This process: machine, process id, and a name that no later process has."""
    return f"{os.uname().nodename}/{os.getpid()}/{uuid.uuid4().hex[:8]}"


@contextmanager
def hold(workspace: Workspace, name: str, holder: str) -> Iterator[Lease | None]:
    """The lease, renewed until the block ends; None when another living process has it."""
    lasts = timedelta(seconds=workspace.stack.lease_seconds)
    lease = leases.take(workspace.database, name, holder, _now(), lasts, dead=is_dead)
    if lease is None:
        yield None
        return
    done = threading.Event()

    def renew() -> None:
        while not done.wait(workspace.stack.lease_seconds / 3):
            try:
                leases.take(workspace.database, name, holder, _now(), lasts)
            except EngineError:
                continue  # the next renewal tries again; the fence guards every write meanwhile

    keeper = threading.Thread(target=renew, name=f"lease {name}", daemon=True)
    keeper.start()
    try:
        yield lease
    finally:
        done.set()
        keeper.join()
        leases.release(workspace.database, lease, _now)


@contextmanager
def insist(workspace: Workspace, name: str, holder: str) -> Iterator[Lease]:
    """The lease, or StateError naming who has it."""
    with hold(workspace, name, holder) as lease:
        if lease is None:
            owner = leases.owner(workspace.database, name)
            raise StateError(
                f"{name} is being worked on by another process ({owner})", "wait until it is done: modelway status"
            )
        yield lease


def is_dead(holder: str) -> bool:
    """Whether a holder on this machine no longer lives; of another machine nothing is known."""
    node, pid, *_ = [*holder.split("/"), "", ""]
    if node != os.uname().nodename or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _now() -> datetime:
    return datetime.now(UTC)
