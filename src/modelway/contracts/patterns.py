"""Which regular expressions mean the same to Python's `re` and to Rust's `regex`, by which a table is asked at once.

Python's is the law, as the row by row check has nothing else; the two differ in classes of characters beyond ASCII, in line
ends, and in some syntax (sets in classes, `x*+`, `\\<`). So only patterns made of what both read alike are asked of Rust, and
only for text of printable ASCII; everything else goes through Python.

docs.python.org/3/library/re.html; docs.rs/regex, "Syntax".
"""

import re
from typing import Final

PLAIN_TEXT: Final = "^[ -~]*$"
"""Of text: no line ends, no control characters, nothing beyond ASCII. A pattern for Rust's engine."""

_ESCAPED = r"\\[dwsDWSb.\-+*?()\[\]{}|^$/\\]"
_IN_CLASS = r"(?:\\[dwsDWS.\-+*?()\[\]{}|^$/\\]|(?!--)[A-Za-z0-9 _@#%=:;,!'\"/+*?.()|{}$-])"
_ONE = rf"(?:[A-Za-z0-9 _@#%=:;,!'\"/-]|{_ESCAPED}|\.|\[\^?{_IN_CLASS}+\])"
_TIMES = r"(?:[*+?]|\{[0-9]{1,3}(?:,(?:[0-9]{1,3})?)?\})\??(?![*+?{])"
_ALIKE = re.compile(rf"(?:{_ONE}(?:{_TIMES})?|\((?:\?:)?|\)(?:{_TIMES})?|[\^$|])*")


def read_alike(pattern: str) -> bool:
    """Whether a pattern that Python compiles holds for the same printable ASCII text in Rust's engine."""
    return _ALIKE.fullmatch(pattern) is not None
