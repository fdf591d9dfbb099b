"""Who may ask the server for what: a bearer token has a role, and what is asked for needs one. For both protocols.

Decided in memory: the digest of what a client sends is looked up among those that are known now, which `know` replaces.
"""

from collections.abc import Callable, Mapping
from enum import IntEnum
from hmac import compare_digest

from modelway.secrets.tokens import digest_of
from modelway.serving.status import AccessError, ForbiddenError, UnauthenticatedError

_BEARER = b"bearer "
_FIX = "send `Authorization: Bearer TOKEN`; `modelway token new NAME --role infer` makes one"


class Role(IntEnum):
    """What it takes to ask for something; each includes those before it."""

    OPEN = 1
    """No token."""
    INFER = 2
    OPERATE = 3


class Access:
    """One for a server. `refused` is told of each request that is turned away: the protocol, and why."""

    def __init__(self, refused: Callable[[str, str], None] = lambda protocol, reason: None) -> None:
        self._known: Mapping[bytes, tuple[bytes, Role]] = {}
        self._refused = refused

    def know(self, tokens: Mapping[bytes, Role]) -> None:
        """From now on these hold, by their SHA-256, and no others; from any thread."""
        self._known = {digest: (digest, role) for digest, role in tokens.items()}

    def role_of(self, authorization: bytes | None) -> Role | None:
        """That of the token in the header's value; None without one that holds.

        What is looked up is a digest, which nobody can steer towards another; the last compare takes the same time for all.
        """
        if authorization is None or authorization[:7].lower() != _BEARER:
            return None
        digest = digest_of(authorization[7:].strip(b" "))
        known = self._known.get(digest)
        return known[1] if known is not None and compare_digest(known[0], digest) else None

    def refusal(self, needed: Role, authorization: bytes | None, protocol: str) -> AccessError | None:
        """Why it may not be done; None when it may."""
        if needed is Role.OPEN:
            return None
        held = self.role_of(authorization)
        if held is not None and held >= needed:
            return None
        error = _error(needed, authorization, held)
        self._refused(protocol, error.reason)
        return error


def _error(needed: Role, authorization: bytes | None, held: Role | None) -> AccessError:
    if held is not None:
        fix = "send a token of that role; `modelway token new NAME --role operate` makes one"
        return ForbiddenError(f"this needs the role {needed.name.lower()}", fix, reason="role")
    if authorization is None:
        return UnauthenticatedError("this server answers who has a token", _FIX, reason="missing")
    return UnauthenticatedError("the token is not known, or was revoked", _FIX, reason="unknown")
