"""How much of a regular expression Rust's `regex`, by which a table is asked at once, may answer in place of Python's `re`.

Python's is the law, as the row by row check has nothing else. The two differ in classes of characters beyond ASCII, in line
ends, and in some syntax (sets in classes, `x*+`, `\\<`). So Rust is asked only patterns made of what both read alike, in one of
two ways:
- `certain`: a pattern for Rust that finds a text only where Python's finds it too; what it does not find, Python is asked of.
- where there is none, the pattern itself, and only for text of printable ASCII.

docs.python.org/3/library/re.html; docs.rs/regex, "Syntax".
"""

import re
from typing import Final

PLAIN_TEXT: Final = "^[ -~]*$"
"""Of text: no line ends, no control characters, nothing beyond ASCII. A pattern for Rust's engine."""

_ESCAPED = r"\\[dwsDWSb.\-+*?()\[\]{}|^$/\\]"
_IN_CLASS = r"(?:\\[dwsDWS.\-+*?()\[\]{}|^$/\\]|(?!--)[A-Za-z0-9 _@#%=:;,!'\"/+*?.()|{}$-])"
_CLASS = rf"\[\^?{_IN_CLASS}+\]"
_ONE = rf"(?:[A-Za-z0-9 _@#%=:;,!'\"/-]|{_ESCAPED}|\.|{_CLASS})"
_TIMES = r"(?:[*+?]|\{[0-9]{1,3}(?:,(?:[0-9]{1,3})?)?\})\??(?![*+?{])"
_ALIKE = re.compile(rf"(?:{_ONE}(?:{_TIMES})?|\((?:\?:)?|\)(?:{_TIMES})?|[\^$|])*")
_PIECE = re.compile(rf"{_CLASS}|\\.|.")
_ASCII = {r"\d": "0-9", r"\w": "0-9A-Za-z_", r"\s": r"\t\n\x0b\x0c\r "}
"""Of a class only what is in it for both engines."""
_NARROWED = re.compile(r"\\([dws])")
_OTHERWISE = re.compile(r"\\[DWSb]")


def read_alike(pattern: str) -> bool:
    """Whether a pattern that Python compiles holds for the same printable ASCII text in Rust's engine."""
    return _ALIKE.fullmatch(pattern) is not None


def certain(pattern: str) -> str | None:
    """A pattern for Rust that finds nothing that Python's would not find, for any text; None when there is none of use.

    Classes shrink to what both engines have in them. A smaller class finds less, but for one that is negated and for `\\D`, `\\W`,
    `\\S`, `\\b`: with these there is no certain pattern. `$` finds less in Rust too (nothing before a last line end).
    """
    if not read_alike(pattern):
        return None
    pieces = _PIECE.findall(pattern)
    if any(
        _OTHERWISE.search(_unescaped(one)) or (one.startswith("[^") and _NARROWED.search(_unescaped(one)))
        for one in pieces
    ):
        return None
    return "".join(_narrowed(one) for one in pieces)


def _narrowed(piece: str) -> str:
    if piece in _ASCII:
        return f"[{_ASCII[piece]}]"
    if piece.startswith("["):
        return re.sub(r"\\.", lambda found: _ASCII.get(found[0], found[0]), piece)
    return piece


def _unescaped(piece: str) -> str:
    r"""Without escaped backslashes, after which a letter is a letter: `[\\d]` holds a backslash and a d."""
    return piece.replace(r"\\", "")
