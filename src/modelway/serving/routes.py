"""Which version answers a request: by shares, the same caller always by the same one; pure.

The newest version owns the lower end of the unit interval: when its share grows, whoever it answers stays with it. The
interval is shuffled anew for each newest version, so that the same callers are not the first ones every time. A route may say
itself how the interval is cut up and shuffled (`Route.slices`), as those of experiments do.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from modelway.records import Route


def choose(route: Route, caller: str) -> int:
    """The version for this caller; deterministic. Shares that do not add up to 1 are taken relative to their sum."""
    if len(route.shares) == 1:
        return int(next(iter(route.shares)))
    shares = route.slices or sorted(
        ((int(version), share) for version, share in route.shares.items() if share > 0), reverse=True
    )
    place = position(f"{route.model}/{route.salt or shares[0][0]}", caller) * sum(share for _, share in shares)
    for version, share in shares:
        if place < share:
            return version
        place -= share
    return shares[-1][0]


def position(salt: str, caller: str) -> float:
    """A number in [0, 1) that depends on both texts only."""
    digest = hashlib.blake2b(f"{salt}\0{caller}".encode("utf-8", "replace"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2.0**53


def without_missing(route: Route, versions: frozenset[int]) -> Route:
    """The route among these versions alone: slices of the others are the champion's, if it is there."""
    champion, slices = route.names.get("champion"), tuple[tuple[int, float], ...]()
    if champion in versions:
        slices = tuple((version if version in versions else champion, share) for version, share in route.slices)
    return replace(route, shares=rescaled(route.shares, versions), slices=slices)


def rescaled(shares: Mapping[str, float], versions: frozenset[int]) -> dict[str, float]:
    """The shares of these versions alone, adding up to 1; {} when none of them has any."""
    kept = {version: share for version, share in shares.items() if int(version) in versions and share > 0}
    total = sum(kept.values())
    return {version: share / total for version, share in kept.items()}
