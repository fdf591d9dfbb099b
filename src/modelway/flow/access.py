"""Tokens on both sides: the server's knowledge of them, looked at again every second, and the one that our own client sends."""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from modelway.errors import ModelwayError, UsageError
from modelway.metrics.port import Metrics
from modelway.secrets.tokens import is_token
from modelway.serving.access import Access, Role
from modelway.serving.measured import ACCESS_REFUSALS
from modelway.state import tokens
from modelway.workspace import Workspace

EVERY_SECONDS = 1.0
SECRET = "serving_token"
"""The name of the secret with which the workspace's own commands ask the server."""
_log = logging.getLogger("modelway.serving")


@contextmanager
def access_kept(workspace: Workspace, metrics: Metrics) -> Iterator[Access | None]:
    """Who may ask, kept up to date until the end of the block; None where stack.yaml lets everybody.

    Raises EngineError when the control database does not answer at the start. When it does not later, what was known holds.
    """
    if workspace.stack.serving.access == "open":
        yield None
        return
    access = Access(lambda protocol, reason: metrics.count(ACCESS_REFUSALS, protocol=protocol, reason=reason))
    stop = threading.Event()
    access.know(known(workspace))
    watch = threading.Thread(target=_keep, args=(workspace, access, stop), name="tokens", daemon=True)
    watch.start()
    try:
        yield access
    finally:
        stop.set()
        watch.join(EVERY_SECONDS)


def known(workspace: Workspace) -> Mapping[bytes, Role]:
    """The role by the SHA-256 of each token that holds now."""
    return {bytes.fromhex(token.digest): Role[token.role.upper()] for token in tokens.every(workspace.database)}


def _keep(workspace: Workspace, access: Access, stop: threading.Event) -> None:
    silent = False
    while not stop.wait(EVERY_SECONDS):
        try:
            access.know(known(workspace))
            silent = False
        except ModelwayError as error:
            if not silent:
                _log.warning("tokens: %s; those that were known hold", error.problem)
            silent = True
        except Exception:  # noqa: BLE001 - what cannot be read must not leave a revoked token in force for ever
            _log.exception("tokens: what stands in the control database cannot be read; none holds")
            access.know({})


def sent(workspace: Workspace) -> dict[str, str]:
    """The headers with which a command of this workspace asks its server. Raises NotFoundError, UsageError."""
    if workspace.stack.serving.access == "open":
        return {}
    token = workspace.secrets.get(SECRET)
    if not is_token(token):  # it would be refused by the HTTP library, with the token in its message
        raise UsageError(
            f"what stands in {workspace.secrets.place(SECRET)} is no token", "modelway token new NAME --role infer"
        )
    return {"authorization": f"Bearer {token}"}
