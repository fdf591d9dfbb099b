"""Texts that quote a person: alerts and errors of runs in the control database, the alerts' file, the logs of processes.

An alert of parity names row and values, and an error may quote a cell: nobody can tell which words of such a text are a person's,
so a text that names an erased person goes as a whole. In files it is overwritten where it stands: others may be appending.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import sqlalchemy as sa

from modelway.flow.persons import Person
from modelway.state.database import Database
from modelway.state.schema import alerts, runs
from modelway.workspace import Workspace

GONE = "the text named a person who was erased"
_SHORT = 4
"""Fewer digits than these stand in any text: they are taken for a key only where they are told as one."""


def from_texts(workspace: Workspace, person: Person) -> dict[str, int]:
    """How many texts went, in the database and in files."""
    named = naming(person)
    if named is None:
        return {"rows": 0}
    files = [workspace.places.inner / "alerts.ndjson", *sorted(workspace.places.logs.rglob("*"))]
    lines = sum(_overwritten(file, named) for file in files if file.is_file())
    return {"rows": _from_database(workspace.database, named), "lines of logs": lines}


def naming(person: Person) -> re.Pattern[bytes] | None:
    """What finds the person's keys and value in a text, as it is, as JSON writes it, or as Python shows it."""
    told = [_told(form) for word in (*person.keys, person.value) if word for form in _forms(word)]
    return re.compile(b"|".join(told)) if told else None


def _forms(word: str) -> Iterator[bytes]:
    written = (word, json.dumps(word)[1:-1], json.dumps(word, ensure_ascii=False)[1:-1], ascii(word)[1:-1])
    yield from dict.fromkeys(form.encode() for form in written)


def _told(word: bytes) -> bytes:
    safe = re.escape(word)
    if len(word) >= _SHORT or not word.isdigit():
        return rb"(?<![0-9A-Za-z_])" + safe + rb"(?![0-9A-Za-z_])"
    return rb"(?:['\"]|\b(?:row|key) )" + safe + rb"(?![\w.])|(?<![\w.])" + safe + rb"(?= at \d{4}-)"


def _from_database(database: Database, named: re.Pattern[bytes]) -> int:
    gone = 0
    with database.write() as connection:
        for row in connection.execute(sa.select(alerts.c.id, alerts.c.cause, alerts.c.text)).all():
            cause, text = named.sub(b"#", row.cause.encode()).decode(), row.text
            if cause != row.cause or named.search(text.encode()):
                connection.execute(alerts.update().where(alerts.c.id == row.id).values(cause=cause, text=GONE))
                gone += 1
        for name, error in connection.execute(sa.select(runs.c.id, runs.c.error).where(runs.c.error != "")).all():
            if named.search(error.encode()):
                connection.execute(runs.update().where(runs.c.id == name).values(error=GONE))
                gone += 1
    return gone


def _overwritten(path: Path, named: re.Pattern[bytes]) -> int:
    """Each line that names the person becomes blanks, of the same length."""
    places = list(_lines(path.read_bytes(), named))
    if not places:
        return 0
    file = os.open(path, os.O_RDWR)
    try:
        for start, end in places:
            os.pwrite(file, b" " * (end - start), start)
        os.fsync(file)
    finally:
        os.close(file)
    return len(places)


def _lines(content: bytes, named: re.Pattern[bytes]) -> Iterable[tuple[int, int]]:
    start = 0
    for line in content.splitlines(keepends=True):
        if named.search(line):
            yield start, start + len(line.rstrip(b"\r\n"))
        start += len(line)
