"""The control loop: reads what is desired and what is, and takes the next safe step; any kill leaves a state to go on from.

`python -m modelway.control.loop ROOT` runs it until SIGTERM. Several loops run side by side (`control_loops`): each
model's tick holds a lease, so that while one trains, the others tend the other models.
"""

import logging
import sys
import threading

from modelway import lifecycle
from modelway.compute.port import halting
from modelway.control.process import until_stopped
from modelway.control.rest import Rest, signs_of
from modelway.errors import LeaseLostError, ModelwayError, unforeseen
from modelway.flow.forwarding import await_handed_on
from modelway.flow.holding import hold, holder_name
from modelway.state.replay_clock import asked_look, replay_time
from modelway.workspace import Workspace

log = logging.getLogger("modelway.control")
_REPLAY_POLL_SECONDS = 0.01


def tick(workspace: Workspace, holder: str, rest: Rest | None = None) -> None:
    """One look at every model, but for those at rest; a model in trouble does not stop the others."""
    for model in workspace.models():
        try:
            signs = signs_of(workspace, model) if rest else ()
            if rest and rest.still(model, signs):
                continue
            with hold(workspace, f"model/{model}", holder) as lease:
                if lease is not None:
                    lifecycle.tend(workspace, model, lease)
            if rest and lease is not None:
                rest.looked(workspace, model, signs)
        except LeaseLostError as lost:
            log.warning("%s", lost.problem)
        except ModelwayError as error:
            log.error("%s: %s", model, error.problem)
            lifecycle.trouble(workspace, model, error)
        except Exception as error:  # whatever it is, the other models are tended
            log.exception("%s", model)
            lifecycle.trouble(workspace, model, unforeseen(error))


def _follow_time(workspace: Workspace, stopping: threading.Event) -> None:
    holder, rest = holder_name(), Rest()
    while not stopping.is_set():
        workspace.places.heartbeat.touch()
        tick(workspace, holder, rest)
        try:
            lifecycle.maintain_when_due(workspace, workspace.clock.now())
        except ModelwayError as error:
            log.warning("maintenance: %s; it is tried again", error.problem)
        try:
            lifecycle.erase_what_is_due(workspace)
        except ModelwayError as error:
            log.warning("erasure: %s", error.problem)
        stopping.wait(workspace.stack.tick_seconds)


def _follow_replay(workspace: Workspace, stopping: threading.Event) -> None:
    """Look when the replay asks for it, and say in the heartbeat which look is done; one loop does, others stand by."""
    holder = holder_name()
    with hold(workspace, "replay", holder) as lease:
        if lease is None:
            log.info("another control loop follows the replay")
            stopping.wait()
            return
        _look_when_asked(workspace, stopping, holder)


def _look_when_asked(workspace: Workspace, stopping: threading.Event, holder: str) -> None:
    done = ""
    workspace.places.heartbeat.touch()
    while not stopping.is_set():
        if (asked := asked_look(workspace.database)) != done:
            await_handed_on(workspace, stopping)
            tick(workspace, holder)
            done = asked
            workspace.places.heartbeat.write_text(done)
        else:
            stopping.wait(_REPLAY_POLL_SECONDS)


def main(root: str) -> int:
    def follow(workspace: Workspace) -> None:
        if replay_time(workspace.database):
            _follow_replay(workspace, halting)
        else:
            _follow_time(workspace, halting)

    return until_stopped(root, halting, follow)  # the same event ends the wait for a job


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
