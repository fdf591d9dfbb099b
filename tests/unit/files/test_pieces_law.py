"""The law of pieces: put together they are `read_table` of the whole file, whatever its columns hold, and wherever."""

import json
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from modelway.files import cutting
from modelway.files.pieces import pieces
from modelway.files.read import read_table

ROWS = 240
NUMBERS = st.sampled_from(["0", "7", "-3", "+4", "12", "1500"])
DECIMALS = st.sampled_from(["1.5", "-0.25", ".5", "1e3", "inf", "5."])
COMMAS = st.sampled_from(["1,5", "0,25", "1.234,5", "-7,1234"])
THOUSANDS = st.sampled_from(["1.234", "12.345", "1,234"])
CODES = st.sampled_from(["007", "12345678901234567"])
DAYS = st.sampled_from(["2026-01-05", "2025-12-31", "0001-01-01"])
EITHER = st.sampled_from(["01/02/2026", "11/12/2025"])
DAY_FIRST = st.sampled_from(["13/02/2026", "31/12/2025"])
MONTH_FIRST = st.sampled_from(["02/13/2026", "12/31/2025"])
NAMED = st.sampled_from(["5 Jan 2026", "31 Dec 2025"])
TIMES = st.sampled_from(
    ["2026-01-05T10:00:00Z", "2026-01-05 10:00", "2026-01-05T10:00:00.25+02:00", "2026-01-05 1:00 PM"]
)
TRUTH = st.sampled_from(["true", "FALSE", "True"])
BLANK = st.sampled_from(["", " ", "NA", "nan", "?", ".", "null", "n/a"])
WORDS = st.sampled_from(["x", "ü", "two words", 'says "no"', "a;b", "a,b", "two\nlines", " padded "])
PADDED = st.sampled_from([" 7 ", "1.5 ", " 2026-01-05"])
KINDS = [
    NUMBERS, DECIMALS, COMMAS, THOUSANDS, CODES, DAYS, EITHER, DAY_FIRST, MONTH_FIRST, NAMED, TIMES, TRUTH, BLANK, WORDS, PADDED,
]  # fmt: skip


@st.composite
def columns(draw, kinds):
    """Values of one kind, then of another: at a random place, for some rows or for all that follow."""
    first, second, blank = draw(st.sampled_from(kinds)), draw(st.sampled_from([*kinds, None])), draw(st.booleans())
    values = [draw(first) for _ in range(6)]
    other = [draw(second) for _ in range(3)] if second is not None else values
    begins, ends = sorted(draw(st.tuples(st.integers(0, ROWS), st.integers(0, ROWS))))
    made = [other[n % 3] if begins <= n < ends else values[n % 6] for n in range(ROWS)]
    return [draw(BLANK) if blank and n % 17 == 3 else value for n, value in enumerate(made)]


def pieces_equal_the_whole(path: Path, room: int, text: list[str]) -> None:
    room = min(room, path.stat().st_size // 2)  # a file that is no larger than a piece is never cut
    whole = read_table(path, text=text)
    found = [piece.read() for piece in pieces(path, room=room, text=text)]
    assert len(found) > 1
    assert_frame_equal(pl.concat(found), whole)


def quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if any(c in value for c in '",;\n') else value


@pytest.mark.parametrize("separator", [",", ";"])
@settings(deadline=None)
@given(given_columns=st.lists(columns(KINDS), min_size=1, max_size=4), room=st.integers(500, 3_000), data=st.data())
def test_of_csv(separator, given_columns, room, data):
    names = [f"c{n}" for n in range(len(given_columns))]
    lines = [separator.join(["key", *names])]
    lines += [
        separator.join([f"k{n:05d}", *map(quoted, row)]) for n, row in enumerate(zip(*given_columns, strict=True))
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        path.write_text("\n".join(lines) + "\n")
        pieces_equal_the_whole(path, room, data.draw(st.lists(st.sampled_from(names), max_size=1)))


INTEGERS = st.integers(-5, 2**40)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
OF_NUMBERS = [INTEGERS, FLOATS, st.booleans(), st.none(), st.just(2**64)]
OF_TEXTS = [
    INTEGERS, FLOATS, st.just(1e3), st.booleans(), st.none(), st.just([1, "x"]), st.just("1.0"),
    DAYS, TIMES, DAY_FIRST, EITHER, WORDS, BLANK,
]  # fmt: skip


@st.composite
def objects(draw):
    kinds = draw(st.sampled_from([OF_NUMBERS, OF_TEXTS]))
    first, second = draw(st.sampled_from(kinds)), draw(st.sampled_from(kinds))
    values, other = [draw(first) for _ in range(5)], [draw(second) for _ in range(3)]
    begins, missing = draw(st.integers(0, ROWS)), draw(st.integers(2, ROWS))
    made = [other[n % 3] if n >= begins else values[n % 5] for n in range(ROWS)]
    return [(value, n % missing != 1) for n, value in enumerate(made)]


@settings(deadline=None)
@given(given_columns=st.lists(objects(), min_size=1, max_size=3), room=st.integers(600, 3_000))
def test_of_json_lines(given_columns, room):
    lines = [
        json.dumps({"key": f"k{n:05d}", **{f"c{at}": value for at, (value, there) in enumerate(row) if there}})
        for n, row in enumerate(zip(*given_columns, strict=True))
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.ndjson"
        path.write_text("\n".join(lines) + "\n")
        pieces_equal_the_whole(path, room, [])


@settings(deadline=None)
@given(
    given_columns=st.lists(columns([DAYS, EITHER, DAY_FIRST, TIMES, WORDS, NUMBERS]), min_size=1, max_size=3),
    data=st.data(),
)
def test_of_parquet(given_columns, data):
    frame = pl.DataFrame({f"c{n}": values for n, values in enumerate(given_columns)}).with_columns(
        big=pl.int_range(pl.len(), dtype=pl.UInt64) + data.draw(st.sampled_from([0, 2**63 - 100])),
        raw=pl.Series([b"\xff" if n == 200 else b"x" for n in range(ROWS)]),
    )
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(cutting, "_FEWEST_ROWS", 50)
        frame.write_parquet(path := Path(folder) / "a.parquet", row_group_size=60)
        pieces_equal_the_whole(path, 500, [])
