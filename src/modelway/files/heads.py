"""The header of a data file as it stands there, before its names are made whole."""

from pathlib import Path

from modelway.files.cutting import begun
from modelway.files.delimited import SAMPLE, layout_of
from modelway.files.raw import Form, as_utf8, form_of, read_bytes


def heads_of(path: Path) -> tuple[str, ...]:
    """The names in the first line of delimited text; () of other forms, in which no name is there twice. Raises as `read_table`."""
    start = begun(path, SAMPLE)
    data = read_bytes(path) if start is None else start
    if form_of(path, data) is not Form.DELIMITED:
        return ()
    whole = data if start is None else data.rpartition(b"\n")[0] or data  # a character at the end may be cut
    return layout_of(path, as_utf8(whole)).heads
