"""The lake's checks over a real S3 store, and what is the store's own: conditional writes, refusals, silence."""

import json
import subprocess
import sys

import pytest
from pyarrow.fs import FileSelector

from modelway.errors import LakeError
from modelway.lake.delta import DeltaLake, DeltaUpkeep
from modelway.testing.lake import LakeChecks, lake_rows
from tests.engines.store import Store, free_ports

pytestmark = pytest.mark.engines


@pytest.fixture
def lake(store: Store) -> DeltaLake:
    return DeltaLake(store.prefix(), store.options)


@pytest.fixture
def upkeep(lake: DeltaLake) -> DeltaUpkeep:
    return DeltaUpkeep(lake)


class TestDeltaOnS3(LakeChecks): ...


RACER = """
import json, sys
from modelway.lake.delta import DeltaLake
from modelway.testing.lake import lake_rows
lake, done = DeltaLake(sys.argv[1], json.loads(sys.argv[2])), []
while (at := lake.positions("loans", "ingest").get(0, 0)) < 25:
    made = lake.append("loans", lake_rows(1, at), app="ingest", upto={0: at + 1})
    done += [made.version] if made else []
print(*done)
"""


def test_of_two_racing_writers_each_version_is_committed_once(store):
    root = store.prefix()
    words = [sys.executable, "-c", RACER, root, json.dumps(store.options)]
    racers = [subprocess.Popen(words, stdout=subprocess.PIPE) for _ in range(2)]
    done = [[int(v) for v in racer.communicate(timeout=120)[0].split()] for racer in racers]
    assert sorted(done[0] + done[1]) == list(range(25))
    lake = DeltaLake(root, store.options)
    assert lake.read("loans").sort("x").equals(lake_rows(25))
    lake.ping()


def test_a_lost_and_a_cut_file_are_named_by_ping_and_a_reader_gets_our_error(store):
    root, files = store.prefix(), store.files()
    lake = DeltaLake(root, store.options)
    lake.append("loans", lake_rows(3))
    place = f"{root.removeprefix('s3://')}/loans"
    name = next(e.path for e in files.get_file_info(FileSelector(place)) if e.path.endswith(".parquet"))
    with files.open_output_stream(name) as out:
        out.write(b"PAR1")
    with pytest.raises(LakeError, match=r"s3://\S+parquet has 4 bytes instead of"):
        lake.ping()
    files.delete_file(name)
    with pytest.raises(LakeError, match=r"s3://\S+parquet is missing"):
        lake.ping()
    with pytest.raises(LakeError, match=r"parquet is missing"):
        DeltaLake(root, store.options).read("loans")


@pytest.mark.parametrize("call", [lambda lake: lake.append("loans", lake_rows(1)), lambda lake: lake.ping()])
def test_a_store_that_refuses_or_is_silent_is_named_without_its_secrets(store, call):
    wrong = {**store.options, "secret_access_key": "hunter2-hunter2"}
    with pytest.raises(LakeError, match="the store refuses us") as caught:
        call(DeltaLake(store.prefix(), wrong))
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(DeltaLake(store.prefix(), wrong).handles.place)
    assert not caught.value.transient
    away = {**store.options, "endpoint": f"http://127.0.0.1:{free_ports(1)[0]}", "max_retries": "1"}
    with pytest.raises(LakeError, match="does not answer") as caught:
        call(DeltaLake(store.prefix(), away))
    assert caught.value.transient


def test_a_bucket_that_is_not_there_is_named(store):
    with pytest.raises(LakeError, match="no such bucket"):
        DeltaLake("s3://nowhere-at-all/x", store.options).append("loans", lake_rows(1))
