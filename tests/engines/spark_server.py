"""One Spark for all tests: it takes half a minute to start, and most of what a small query costs is paid once."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelway.features import spark_driver
from modelway.features.spark import SETTINGS

FRUGAL = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
"""Of a Java that lives for a minute."""
_CLIENT = """#!{python}
import socket, sys
there = socket.socket(socket.AF_UNIX)
there.connect({place!r})
there.sendall(sys.stdin.buffer.read())
there.shutdown(socket.SHUT_WR)
said = there.makefile("rb").read()
sys.stdout.buffer.write(said)
sys.exit(not said or b'"error"' in said)
"""


@dataclass(frozen=True)
class SharedSpark:
    """`python` does what the Python of Spark's environment does with the driver, in the session that stands."""

    python: Path
    socket: Path

    def read(self, path: Path, *versions: str) -> dict[str, list[dict[str, Any]]]:
        """The rows of a Delta table by version ("": the newest)."""
        asked = json.dumps({"read": str(path), "versions": versions, "settings": SETTINGS})
        done = subprocess.run([self.python], input=asked, capture_output=True, text=True, timeout=280, check=True)
        return dict(json.loads(done.stdout))


@contextmanager
def started_spark(python: Path) -> Iterator[SharedSpark]:
    """Ends with the block."""
    with tempfile.TemporaryDirectory(prefix="sp") as folder:  # a socket's path must be short
        place, client, log = (Path(folder) / name for name in ("s", "python", "log"))
        client.write_text(_CLIENT.format(python=sys.executable, place=str(place)))
        client.chmod(0o700)
        script = Path(__file__).with_name("spark_session.py")
        environment = {**os.environ, "TZ": "UTC", "PYSPARK_PYTHON": str(python), "JAVA_TOOL_OPTIONS": FRUGAL}
        environment.pop("PYTHONPATH", None)
        with log.open("wb") as out:
            words = [str(python), str(script), str(place), spark_driver.__file__]
            server = subprocess.Popen(words, stdout=out, stderr=out, env=environment)
        try:
            end = time.monotonic() + 120
            while not _answers(place):
                assert server.poll() is None, log.read_text()[-3_000:]
                assert time.monotonic() < end, "Spark's Python did not start in time"
                time.sleep(0.05)
            yield SharedSpark(client, place)
        finally:
            server.terminate()
            server.wait(60)


def _answers(place: Path) -> bool:
    if not place.exists():
        return False
    with socket.socket(socket.AF_UNIX) as there:
        return there.connect_ex(str(place)) == 0
