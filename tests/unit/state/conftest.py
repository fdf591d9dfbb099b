"""A control database of its own for each test: SQLite, and PostgreSQL where its tests ask for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelway.state.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'control.db'}")
    opened.migrate()
    yield opened
    opened.close()
