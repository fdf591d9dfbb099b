"""Which version answers a request: by shares, the same caller always by the same one; pure.

The newest version owns the lower end of the unit interval: when its share grows, whoever it answers stays with it. The
interval is shuffled anew for each newest version, so that the same callers are not the first ones every time.
"""

import hashlib
from collections.abc import Mapping

from modelway.records import Route


def choose(route: Route, caller: str) -> int:
    """The version for this caller; deterministic. Shares that do not add up to 1 are taken relative to their sum."""
    if len(route.shares) == 1:
        return int(next(iter(route.shares)))
    shares = sorted(((int(version), share) for version, share in route.shares.items() if share > 0), reverse=True)
    place = position(f"{route.model}/{shares[0][0]}", caller) * sum(share for _, share in shares)
    for version, share in shares:
        if place < share:
            return version
        place -= share
    return shares[-1][0]


def position(salt: str, caller: str) -> float:
    """A number in [0, 1) that depends on both texts only."""
    digest = hashlib.blake2b(f"{salt}\0{caller}".encode("utf-8", "replace"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2.0**53


def rescaled(shares: Mapping[str, float], versions: frozenset[int]) -> dict[str, float]:
    """The shares of these versions alone, adding up to 1; {} when none of them has any."""
    kept = {version: share for version, share in shares.items() if int(version) in versions and share > 0}
    total = sum(kept.values())
    return {version: share / total for version, share in kept.items()}
