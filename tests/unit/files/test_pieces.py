"""A large file in pieces holds the rows that it holds as a whole, and the types that the whole file has."""

import gzip
import random
from datetime import UTC, date, datetime

import polars as pl
import pytest

from modelway.errors import UnreadableFileError
from modelway.files.pieces import pieces
from modelway.files.read import read_table

ROOM = 4_000
ROWS = 1_000


def read(path, **options):
    return [piece.read() for piece in pieces(path, room=ROOM, **options)]


def whole(frames):
    return pl.concat(frames)


def table(rows=ROWS, seed=0):
    chosen = random.Random(seed)
    return pl.DataFrame(
        {
            "id": [f"r{n:05d}" for n in range(rows)],
            "amount": [None if n % 7 == 3 else n / 4 for n in range(rows)],
            "count": [n % 11 for n in range(rows)],
            "told": [chosen.choice(['says "no"', "a,b", "two\nlines", "ünï", None]) for _ in range(rows)],
            "day": [date(2026, 1, 1 + n % 28) for n in range(rows)],
            "at": [datetime(2026, 1, 1, n % 24, n % 60, tzinfo=UTC) for n in range(rows)],
            "good": [n % 3 == 0 for n in range(rows)],
        }
    )


def write(path, frame):
    if path.name.endswith(".parquet"):
        frame.write_parquet(path, row_group_size=100)
    elif "json" in path.name:
        path.write_bytes(frame.with_columns(pl.col("day", "at").cast(pl.String)).write_ndjson().encode())
    else:
        path.write_bytes(frame.write_csv().encode())
    if path.name.endswith(".gz"):
        path.write_bytes(gzip.compress(path.read_bytes()))


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.ndjson", "a.ndjson.gz", "a.parquet"])
def test_the_pieces_hold_what_the_whole_file_holds(tmp_path, name, monkeypatch):
    monkeypatch.setattr("modelway.files.cutting._FEWEST_ROWS", 100)
    write(tmp_path / name, table())
    found = read(tmp_path / name)
    assert len(found) > 5
    assert max(frame.height for frame in found) < ROWS / 3
    assert whole(found).equals(read_table(tmp_path / name))


@pytest.mark.parametrize("seed", range(20))
def test_no_cut_falls_into_a_record(tmp_path, seed):
    chosen = random.Random(seed)
    rows = [
        (n, "".join(chosen.choice('",;\n xä') for _ in range(chosen.randint(0, 60))) + "x", n * 2)
        for n in range(chosen.randint(200, 900))
    ]
    frame = pl.DataFrame(rows, schema=["id", "t", "n"], orient="row")
    (tmp_path / "a.csv").write_bytes(frame.write_csv().encode())
    expected = read_table(tmp_path / "a.csv")
    assert whole([piece.read() for piece in pieces(tmp_path / "a.csv", room=chosen.randint(300, 5_000))]).equals(
        expected
    )


def test_a_small_file_is_one_piece_and_nothing_is_read_before_it_is_asked_for(tmp_path):
    (tmp_path / "a.csv").write_text("id,n\n1,2\n")
    (one,) = pieces(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("id,n\n1,3\n")
    assert one.read().rows() == [(1, 3)]


def test_the_last_rows_say_what_the_first_ones_are(tmp_path):
    """Days before the thirteenth could be months; thousands could be decimals; whole numbers could be doubles."""
    first = "\n".join(f"{n};{n % 12 + 1:02d}/03/2026;1.234;{n};" for n in range(600))
    last = "\n".join(f"{n};13/04/2026;2,5;07;x" for n in range(600, 1_200))
    (tmp_path / "a.csv").write_text(f"id;day;amount;code;late\n{first}\n{last}\n")
    found = read(tmp_path / "a.csv")
    assert found[0].row(0) == (0, date(2026, 3, 1), 1234.0, "0", None)
    assert whole(found).equals(read_table(tmp_path / "a.csv"))


def test_one_value_that_does_not_fit_makes_its_column_text(tmp_path):
    lines = [f"{n},{n},2026-01-0{n % 9 + 1}" for n in range(1_000)]
    lines[900] = "900,many,soon"
    (tmp_path / "a.csv").write_text("id,count,day\n" + "\n".join(lines) + "\n")
    found = read(tmp_path / "a.csv")
    assert {tuple(frame.dtypes) for frame in found} == {(pl.Int64, pl.String, pl.String)}
    assert whole(found).row(900) == (900, "many", "soon")


def test_text_is_in_one_encoding_throughout(tmp_path):
    lines = [f"{n},{'ü' if n == 900 else 'ß' if n == 1 else 'x'}" for n in range(1_000)]
    data = ("id,t\n" + "\n".join(lines) + "\n").encode()
    (tmp_path / "a.csv").write_bytes(data.replace("ü".encode(), b"\xfc"))
    found = whole(read(tmp_path / "a.csv"))
    assert found["t"][900] == "ü"
    assert found.equals(read_table(tmp_path / "a.csv"))


def test_a_column_without_a_name_is_there_when_one_value_of_it_is(tmp_path):
    lines = [f"{n},{n},{'x' if n == 900 else ''}" for n in range(1_000)]
    (tmp_path / "a.csv").write_text("id,n,\n" + "\n".join(lines) + "\n")
    assert whole(read(tmp_path / "a.csv")).equals(read_table(tmp_path / "a.csv"))
    (tmp_path / "a.csv").write_text("id,n,\n" + "\n".join(lines).replace("x", "") + "\n")
    assert whole(read(tmp_path / "a.csv")).columns == ["id", "n"]


def test_a_file_that_changes_between_its_two_readings_is_told(tmp_path):
    lines = [f"{n},{n}" for n in range(2_000)]
    (tmp_path / "a.csv").write_text("id,n\n" + "\n".join(lines) + "\n")
    found = pieces(tmp_path / "a.csv", room=ROOM)
    (tmp_path / "a.csv").write_text("id,n\n" + "\n".join(lines).replace("1500,1500", "1500,many") + "\n")
    with pytest.raises(UnreadableFileError, match=r"a\.csv has changed while it was read: 'many' in column 'n'"):
        [piece.read() for piece in found]


def test_columns_that_are_text_stay_text(tmp_path):
    (tmp_path / "a.csv").write_text("id,code\n" + "\n".join(f"{n},{n}" for n in range(2_000)) + "\n")
    assert {frame.schema["code"] for frame in read(tmp_path / "a.csv", text=["code"])} == {pl.String}


def test_a_broken_line_far_behind_is_named(tmp_path):
    lines = [f"{n},{n}" for n in range(2_000)]
    lines[1_500] = "1500,1,2,3,4"
    (tmp_path / "a.csv").write_text("id,count\n" + "\n".join(lines) + "\n")
    with pytest.raises(UnreadableFileError, match=r"a\.csv.*in the rows from line 1\d\d\d of the file on"):
        pieces(tmp_path / "a.csv", room=ROOM)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.parquet", "a.csv"])
def test_a_torn_end_is_told(tmp_path, name):
    write(tmp_path / name, table().drop("told"))
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: data.rfind(b"\n", 0, len(data) * 2 // 3) + 9])
    with pytest.raises(UnreadableFileError):
        pieces(tmp_path / name, room=ROOM)


def test_quotes_that_never_close_are_told_before_memory_is_full(tmp_path):
    (tmp_path / "a.csv").write_text('id,t\n1,"' + "x\n" * 50_000)
    with pytest.raises(UnreadableFileError, match="no record ends within"):
        read(tmp_path / "a.csv")


@pytest.mark.parametrize("text", ["[" + ",\n".join('{"a": 1}' for _ in range(2_000)) + "]", "id\n" + "1\n" * 4_000])
def test_what_cannot_be_cut_is_read_whole(tmp_path, text):
    name = "a.json" if text.startswith("[") else "a.csv"
    data = text.encode() if name == "a.json" else text.encode("utf-16")
    (tmp_path / name).write_bytes(data)
    (one,) = read(tmp_path / name)
    assert one.equals(read_table(tmp_path / name))
