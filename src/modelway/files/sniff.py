"""Which delimiter a text file has."""

import csv
from collections import Counter
from pathlib import Path

DELIMITERS = (",", ";", "\t", "|")
_LINES = 200


def delimiter(sample: str, path: Path) -> str:
    """The delimiter that cuts the first lines into the most equal rows of at least two fields; a comma if none does."""
    first = "\t" if {".tsv", ".tab"} & {ending.lower() for ending in path.suffixes} else ","
    best, found = (0.0, 0), first
    for candidate in (first, *(d for d in DELIMITERS if d != first)):
        widths = Counter(_widths(sample, candidate))
        width, count = max(widths.items(), key=lambda pair: (pair[1], pair[0]), default=(0, 0))
        score = (round(count / max(1, widths.total()), 1), width)
        if width > 1 and score > best:
            best, found = score, candidate
    return found


def header(text: str, separator: str) -> list[str]:
    """The fields of the first row."""
    return next(csv.reader(text.splitlines(keepends=True), delimiter=separator, strict=False), [])


def _widths(sample: str, separator: str) -> list[int]:
    rows = csv.reader(sample.splitlines(keepends=True), delimiter=separator, strict=False)
    return [len(row) for row, _ in zip((row for row in rows if row), range(_LINES), strict=False)]
