"""The list of the corpus, for people: LIST.md."""

from collections.abc import Iterable
from pathlib import Path

from tests.corpus.case import Case

PAGE = Path(__file__).parent / "LIST.md"
_HEAD = """\
# The corpus: files that `modelway new` is tried on

Made by `python -m tests.corpus.listed`. Each accepted file goes through `new`, the spec's reader, the contract and one fit of its
`model.py`; **exact** ones are exported and proved against their graph. Nothing of a refused file is written.
"""


def listed(real: Iterable[Case], made: Iterable[Case], refused: Iterable[Case]) -> str:
    """Three tables in Markdown."""
    lines = [_HEAD]
    for title, cases in (("Real files", real), ("Made files", made)):
        lines += [f"## {title}\n", "| file | what it is | target | task | decided | exact |", "| --- " * 6 + "|"]
        lines += [
            _row(c.name, c.origin, f"`{c.target}`", c.task, "; ".join(_decided(c)), "yes" if c.exact else "")
            for c in cases
        ]
        lines.append("")
    lines += ["## Refused files\n", "| file | what it is | refused with | which says |", "| --- " * 4 + "|"]
    lines += [_row(c.name, c.origin, f"`{c.refused}`", "… ".join(c.says)) for c in refused]
    return "\n".join(lines) + "\n"


def _decided(case: Case) -> Iterable[str]:
    if case.key:
        yield f"key `{case.key}`"
    if case.event_time:
        yield f"event time `{case.event_time}`"
    if case.ignored:
        yield f"ignored {', '.join(f'`{name}`' for name in case.ignored)}"
    yield from case.says


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    from tests.corpus.made import MADE, REFUSED
    from tests.corpus.real import REAL

    PAGE.write_text(listed(REAL, MADE, REFUSED), encoding="utf-8")
