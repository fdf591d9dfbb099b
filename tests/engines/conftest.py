"""PostgreSQL as `tools/engines.sh` started it; each test has a database of its own."""

import os
import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from modelway.state.database import Database


@pytest.fixture
def database() -> Iterator[Database]:
    """An empty control database on PostgreSQL; a skip where none runs, a failure where it is promised."""
    url = os.environ.get("MODELWAY_TEST_POSTGRES")
    if not url:
        assert not os.environ.get("MODELWAY_ENGINES_PROMISED"), "PostgreSQL is promised here: run `make engines`"
        pytest.skip("needs PostgreSQL: make engines")
    name = f"t{uuid.uuid4().hex[:12]}"
    server = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sa.text(f"create database {name}"))
    opened = Database(str(sa.make_url(url).set(database=name).render_as_string(hide_password=False)))
    opened.migrate()
    yield opened
    opened.close()
    with server.connect() as connection:
        connection.execute(sa.text(f"drop database {name} with (force)"))
    server.dispose()
