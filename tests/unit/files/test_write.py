"""CSV files are written whole or not at all."""

import gzip

import polars as pl
import pytest

from modelway.errors import NotFoundError, UsageError
from modelway.files.read import read_table
from modelway.files.write import write_csv

FRAME = pl.DataFrame({"a": [1, 2], "b": ["x,y", None]})


def test_what_is_written_is_read_and_nothing_is_left_beside(tmp_path):
    for name in ("a.csv", "a.csv.gz"):
        write_csv(tmp_path / name, FRAME)
        assert read_table(tmp_path / name).equals(FRAME)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "a.csv.gz"]
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()) == (tmp_path / "a.csv").read_bytes()


def test_a_missing_folder_and_a_folder_in_the_way(tmp_path):
    with pytest.raises(NotFoundError, match="does not exist") as caught:
        write_csv(tmp_path / "no" / "a.csv", FRAME)
    assert "mkdir -p" in caught.value.fix
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        write_csv(tmp_path / "b.csv", FRAME)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    write_csv(path, FRAME)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(Exception, match="disk is full"):
        write_csv(path, FRAME.head(1))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]
