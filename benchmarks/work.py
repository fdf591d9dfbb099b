"""The function that each step of the pipeline benchmark calls: small, so that the rest is overhead. Standard library only."""

import hashlib

STEPS = 6


def work(number: int) -> str:
    """The sha256 of 64 KiB."""
    return hashlib.sha256(number.to_bytes(4, "big") * 16_384).hexdigest()
