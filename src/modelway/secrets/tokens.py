"""Bearer tokens: made once, shown once, and known again by their SHA-256; they themselves are kept nowhere.

One has 256 random bits: nobody can guess it, so that its digest needs neither salt nor a slow function.
"""

import base64
import hashlib
import os
import re
from collections.abc import Callable

PREFIX = "modelway_"
"""What scanners for leaked secrets look for."""
_FORM = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_BYTES = 32


def make_token(randomness: Callable[[int], bytes] = os.urandom) -> str:
    return PREFIX + base64.urlsafe_b64encode(randomness(_BYTES)).rstrip(b"=").decode()


def digest_of(token: bytes) -> bytes:
    """SHA-256, 32 bytes."""
    return hashlib.sha256(token).digest()


def is_token(text: str) -> bool:
    """Whether a header can bear it (RFC 6750, section 2.1)."""
    return _FORM.fullmatch(text) is not None
