"""CSV and its kin: what is found, and what is refused with its place."""

import gzip
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from modelway.errors import NotFoundError, UnreadableFileError
from modelway.files.read import read_table


def read(tmp_path: Path, content: str | bytes, name: str = "a.csv", **options) -> pl.DataFrame:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, **options)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path, separator):
    text = "a,b,c\n1,x,2\n3,y,4\n".replace(",", separator)
    assert read(tmp_path, text).rows() == [(1, "x", 2), (3, "y", 4)]


def test_one_column_has_no_delimiter(tmp_path):
    assert read(tmp_path, "a\n1\n2\n").rows() == [(1,), (2,)]


def test_the_first_line_may_declare_the_delimiter(tmp_path):
    assert read(tmp_path, "sep=;\r\na;b\r\n1,5;2\r\n").rows() == [(1.5, 2)]


@pytest.mark.parametrize(
    ("values", "dtype", "made"),
    [
        (["1", "-2", "+3"], pl.Int64, [1, -2, 3]),
        (["1", "2.5", "1e3"], pl.Float64, [1.0, 2.5, 1000.0]),
        (["1", "NA", "?"], pl.Int64, [1, None, None]),
        (["NA", "NULL", "n/a"], pl.Int64, [None, None, None]),
        (["TRUE", "false", "na"], pl.Boolean, [True, False, None]),
        (["01", "02", "10"], pl.String, ["01", "02", "10"]),
        (["12345678901234567", "1", "2"], pl.String, ["12345678901234567", "1", "2"]),
        (["1,5", "2,5", "3"], pl.Float64, [1.5, 2.5, 3.0]),
        (["1.234,5", "2", "3"], pl.Float64, [1234.5, 2.0, 3.0]),
        (["x", "NA", "none"], pl.String, ["x", "NA", "none"]),
        (["2024-01-31", "2024-02-29", "?"], pl.Date, [date(2024, 1, 31), date(2024, 2, 29), None]),
        (["31.01.2024", "01.02.2024", "02.02.2024"], pl.Date, [date(2024, 1, 31), date(2024, 2, 1), date(2024, 2, 2)]),
        (["12/31/2024", "01/02/2024", "x"], pl.String, ["12/31/2024", "01/02/2024", "x"]),
        (["01/02/2024", "03/04/2024", "05/06/2024"], pl.String, ["01/02/2024", "03/04/2024", "05/06/2024"]),
        (["inf", "1", "2"], pl.Float64, [float("inf"), 1.0, 2.0]),
    ],
)
def test_a_column_is_what_all_its_values_are(tmp_path, values, dtype, made):
    frame = read(tmp_path, "k;v\n" + "".join(f"{i};{value}\n" for i, value in enumerate(values)))
    assert frame["v"].dtype == dtype
    assert frame["v"].to_list() == made


def test_times_are_in_utc(tmp_path):
    frame = read(tmp_path, "a,b\n2024-01-31T08:30:00+02:00,2024-01-31 08:30\n2024-02-01T00:00:00Z,2024-02-01 00:00\n")
    assert frame["a"].to_list() == [datetime(2024, 1, 31, 6, 30, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)]
    assert frame["b"][0] == datetime(2024, 1, 31, 8, 30, tzinfo=UTC)


def test_a_late_odd_value_keeps_the_column_text(tmp_path):
    frame = read(tmp_path, "a,b\n" + "".join(f"{i},1\n" for i in range(3000)) + "unknown,1\n")
    assert frame["a"].dtype == pl.String
    assert frame["a"][-1] == "unknown"


def test_columns_named_as_text_stay_text(tmp_path):
    frame = read(tmp_path, "a,b\n1,2\n", text=["a"])
    assert frame.row(0) == ("1", 2)


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("a,a,a.1\n1,2,3\n", ["a", "a.2", "a.1"]),
        (",b\n1,2\n", ["column_1", "b"]),
        ("a,b,\n1,2,\n", ["a", "b"]),
        (" a , b\n1,2\n", ["a", "b"]),
        ('"a\nb",c\n1,2\n', ["a\nb", "c"]),
    ],
)
def test_headers_are_made_whole(tmp_path, content, names):
    assert read(tmp_path, content).columns == names


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_encodings(tmp_path, encoding):
    frame = read(tmp_path, "größe,b\nweiß,1\n".encode(encoding))
    assert frame.columns == ["größe", "b"]
    assert frame.row(0) == ("weiß", 1)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(tmp_path, end):
    assert read(tmp_path, end.join(["", "a,b", "1,2", "", "3,4", "", ""])).rows() == [(1, 2), (3, 4)]


def test_quotes_keep_delimiters_and_line_ends(tmp_path):
    frame = read(tmp_path, 'a,b\n"x, ""y""\n\nz",1\n,2\n')
    assert frame.rows() == [('x, "y"\n\nz', 1), (None, 2)]


def test_gzip_whatever_the_name(tmp_path):
    assert read(tmp_path, gzip.compress(b"a,b\n1,2\n", mtime=0), "data").rows() == [(1, 2)]


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        (b"", "a.csv", "is empty"),
        (b" \n\n", "a.csv", "is empty"),
        (b"a,b\n", "a.csv", "a header but no rows"),
        (b"a,b\n1,2\n3", "a.csv", "line 3: the file is torn"),
        (b"a,b\n1,2,3,4\n1,2\n", "a.csv", "is no table"),
        (b"a,b\n1,\x00\x012\n", "a.csv", "is not text"),
        (b"PK\x03\x04rest", "a.csv", "Excel"),
        (b"a,b\n", "a.parquet", "is not Parquet"),
        (b"PAR1 and then nothing", "a.parquet", "torn"),
        (gzip.compress(b"a,b\n1,2\n" * 50, mtime=0)[:-12], "a.csv.gz", "torn"),
        (b"a,b\n1,2\n", "a.ndjson", "does not start a JSON object"),
    ],
)
def test_what_cannot_be_read_is_refused_with_place_and_fix(tmp_path, content, name, says):
    with pytest.raises(UnreadableFileError, match=says) as caught:
        read(tmp_path, content, name)
    assert str(tmp_path / name) in caught.value.problem
    assert caught.value.fix


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(NotFoundError, match="does not exist"):
        read_table(tmp_path / "a.csv")
    with pytest.raises(UnreadableFileError, match="is a folder"):
        read_table(tmp_path)


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), min_size=1, max_size=8)
ROW = st.tuples(st.integers(-(2**40), 2**40), st.floats(-1e9, 1e9), st.none() | WORDS, st.booleans())


@settings(max_examples=60, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=30), st.sampled_from([",", ";", "\t", "|"]))
def test_what_is_written_is_read(tmp_path_factory, rows, separator):
    columns = {"n": pl.Int64, "x": pl.Float64, "w": pl.String, "t": pl.Boolean}
    frame = pl.DataFrame(rows, columns, orient="row")
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    frame.write_csv(path, separator=separator)
    again = read_table(path, text=["w"])
    assert_frame_equal(again.with_columns(pl.col("x").cast(pl.Float64)), frame)


def test_a_late_row_tells_day_from_month_for_all(tmp_path):
    rows = [f"{n},{n % 12 + 1:02d}/03/2026" for n in range(3_000)]
    assert read(tmp_path, "id,day\n" + "\n".join(rows) + "\n")["day"].dtype == pl.String
    frame = read(tmp_path, "id,day\n" + "\n".join(rows) + "\n3000,13/04/2026\n")
    assert (frame["day"][0], frame["day"][-1]) == (date(2026, 3, 1), date(2026, 4, 13))


def test_times_of_the_common_shapes_are_read_as_those_of_the_others_are(tmp_path):
    """Polars reads the former by itself; the last row has a shape that it does not."""
    moments = [datetime(2026, 1, 1 + n % 28, n % 24, n % 60, n % 59, tzinfo=UTC) for n in range(200)]
    for shape in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"):
        rows = [moment.strftime(shape) for moment in moments]
        for last in ("?", "2026-01-05 1:00 PM", "2026-01-05T13:00:00.5+00:30"):
            frame = read(tmp_path, "at;n\n" + "".join(f"{at};1\n" for at in [*rows, last]))
            assert frame["at"].dtype == pl.Datetime("us", "UTC")
            assert frame["at"][:-1].to_list() == moments
            made = {"?": None, "2026-01-05 1:00 PM": datetime(2026, 1, 5, 13, tzinfo=UTC)}
            assert frame["at"][-1] == made.get(last, datetime(2026, 1, 5, 12, 30, 0, 500_000, tzinfo=UTC))


def test_digits_of_other_scripts_are_text(tmp_path):
    assert read(tmp_path, "id,n\n1,٣\n2,4\n")["n"].to_list() == ["٣", "4"]
