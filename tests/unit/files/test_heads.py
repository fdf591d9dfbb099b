"""The header as it stands there, and which of its names are there more than once."""

import gzip

import polars as pl
import pytest

from modelway.errors import NotFoundError
from modelway.files.cutting import begun
from modelway.files.delimited import SAMPLE
from modelway.files.header import again, repaired
from modelway.files.heads import heads_of
from modelway.files.read import read_table


def test_later_ones_are_told_as_they_are_called_when_the_file_is_read():
    names = ["a", " a", "b", "", "a.1", "b", "b", "A"]
    assert again(names) == {"a": ["a.2"], "b": ["b.1", "b.2"]}
    assert repaired(names) == ["a", "a.2", "b", "column_4", "a.1", "b.1", "b.2", "A"]
    assert again(["a", "a.1", ""]) == {}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("rows", [2, 60_000])
@pytest.mark.parametrize("packed", [False, True])
def test_the_header_is_that_of_the_file_in_each_encoding_and_size(tmp_path, encoding, rows, packed):
    path = tmp_path / "x.csv"
    data = ("größe;b;größe\n" + "1,5;ä;7\n" * rows).encode(encoding)
    path.write_bytes(gzip.compress(data) if packed else data)
    assert (begun(path, SAMPLE) is not None) == (rows > 2 and not packed)
    assert heads_of(path) == ("größe", "b", "größe")
    assert read_table(path).columns == ["größe", "b", "größe.1"]


def test_other_forms_have_each_name_once(tmp_path):
    frame = pl.DataFrame({"a": [1], "b": [2]})
    frame.write_parquet(tmp_path / "x.parquet")
    frame.write_ndjson(tmp_path / "x.ndjson")
    assert heads_of(tmp_path / "x.parquet") == heads_of(tmp_path / "x.ndjson") == ()
    with pytest.raises(NotFoundError):
        heads_of(tmp_path / "none.csv")
