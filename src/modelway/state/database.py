"""Opens the control database: SQLite in the workspace (WAL), or any SQLAlchemy URL; migrates it to the newest schema."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from modelway.errors import DiskFullError, EngineError, NotFoundError, StateError, of_system
from modelway.secrets.environment import EnvironmentSecrets
from modelway.secrets.port import Secrets

MIGRATIONS = Path(__file__).parent / "migrations"
NEWEST = "0003"
PASSWORD = "state_password"
"""The name of the secret that a database with users wants."""
LOCKED_SECONDS = 30.0
"""How long a transaction waits for another process that holds SQLite's lock."""


class Database:
    """Transactions on the control database; safe for several processes, each transaction serializable."""

    def __init__(self, url: str, secrets: Secrets | None = None) -> None:
        self.engine = _engine(url, secrets or EnvironmentSecrets())

    @contextmanager
    def write(self, patience: float = LOCKED_SECONDS) -> Iterator[Connection]:
        """One transaction that holds the write lock from its start; commits at the end, or leaves nothing.

        `patience` is how long SQLite waits for another process that holds the lock, in seconds.
        """
        with self._mapped(), self.engine.connect() as connection:
            if self.engine.dialect.name == "sqlite":
                connection.exec_driver_sql(f"PRAGMA busy_timeout={patience * 1000:.0f}")
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view."""
        with self._mapped(), self.engine.connect() as connection:
            if self.engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
            yield connection
            connection.rollback()

    def migrate(self) -> None:
        """Bring the schema to the newest revision; nothing happens when it is there already."""
        from alembic import command
        from alembic.config import Config

        with self._mapped():
            if self.revision() == NEWEST:
                return
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.write() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def wipe(self) -> None:
        """Nothing that was deleted or overwritten is left in the database's files. Raises EngineError while a reader holds it."""
        with self._mapped():
            engine = self.engine.execution_options(isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                connection.exec_driver_sql("VACUUM")
                if self.engine.dialect.name != "sqlite":
                    return
                busy, _, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        if busy:
            raise EngineError(
                "the control database is read at this moment: what was deleted is still in its log",
                "run the same command again",
                transient=True,
            )

    def revision(self) -> str | None:
        """The schema's revision, or None for an empty database."""
        with self.engine.connect() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(sa.text("select version_num from alembic_version")).scalar()

    def ping(self) -> None:
        """Return if the database answers and has the newest schema; else raise EngineError or StateError."""
        with self._mapped():
            found = self.revision()
        if found != NEWEST:
            raise StateError(
                f"the control database has schema {found}, this version needs {NEWEST}", "modelway init --upgrade"
            )

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.OperationalError as error:
            text = str(error.orig)
            if "full" in text or "disk I/O" in text:  # what SQLite says when its shared memory file cannot grow
                raise DiskFullError(
                    f"the control database cannot grow: {text}",
                    "free space on that disk; if there is some, look at its health",
                ) from error
            if ("unable to open" in text or "readonly" in text) and (shut := _shut(self.engine.url)):
                raise shut from error
            transient = "locked" in text or "serialize" in text or "deadlock" in text
            raise EngineError(
                f"the control database does not answer: {text}", "see `modelway doctor`", transient=transient
            ) from error
        except sa.exc.DatabaseError as error:
            if isinstance(error, sa.exc.IntegrityError):
                raise
            raise EngineError(
                f"the control database cannot be used: {error.orig}",
                "restore .modelway/control.db (or the database that stack.yaml names) from a backup",
            ) from error


def _engine(url: str, secrets: Secrets) -> Engine:
    target = sa.make_url(url)
    if target.get_backend_name() == "sqlite":
        engine = sa.create_engine(
            target, connect_args={"timeout": LOCKED_SECONDS, "isolation_level": None, "check_same_thread": False}
        )
        sa.event.listen(engine, "connect", _prepare_sqlite)
        return engine
    with suppress(NotFoundError):  # a socket or a certificate needs none
        target = target.set(password=secrets.get(PASSWORD))
    return sa.create_engine(target, isolation_level="SERIALIZABLE", pool_pre_ping=True)


def _prepare_sqlite(connection: Any, record: Any) -> None:
    del record
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _shut(url: sa.URL) -> EngineError | None:
    """Why SQLite can open no file there: to read, too, it writes beside it. None where the system lets us write."""
    if not url.database or url.get_backend_name() != "sqlite":
        return None
    place = Path(url.database)
    try:
        with tempfile.TemporaryFile(dir=place.parent):
            pass
    except OSError as error:
        return of_system(error, place.parent) or EngineError(
            f"{place.parent}: {error.strerror}", "restore it from a backup"
        )
    try:
        for file in place.parent.glob(f"{place.name}*"):
            file.open("r+b").close()
    except OSError as error:
        return of_system(error)
    return None
