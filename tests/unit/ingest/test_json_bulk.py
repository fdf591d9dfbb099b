"""Records read in bulk: every record that is taken is what the careful reader makes of it, whatever bytes come."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.ingest import json_rows
from modelway.ingest.json_bulk import read_bulk, shape_of
from modelway.ingest.json_row import read_row

KINDS = {
    "id": "string",
    "amount": "float",
    "count": "int",
    "open": "bool",
    "at": "datetime",
    "a_name_of_many_letters": "int",
}
SHAPE = shape_of(tuple(KINDS), tuple(KINDS.values()), tuple(json_rows._COLUMNS[kind] for kind in KINDS.values()))
USUAL = {"id": "p1", "amount": 2.5, "count": 7, "open": True, "at": "2026-01-01T00:00:00Z", "a_name_of_many_letters": 1}


def taken(value: bytes) -> dict | None:
    """What is made of one record among ordinary ones; None: it is left to the careful readers."""
    beside = orjson.dumps(USUAL)
    good, rows = read_bulk([beside, value, beside], SHAPE)
    assert rows.height == good.sum()
    return rows.row(1, named=True) if good[1] else None


def demand_same(value: bytes) -> None:
    made = taken(value)
    if made is None:
        return
    careful = read_row(value)
    assert isinstance(careful, dict), f"{value!r} was taken as {made}, and is refused: {careful}"
    assert careful.keys() == made.keys()
    for name, one in made.items():
        other = careful[name]
        wanted = {"string": str, "datetime": str, "int": int, "bool": bool, "float": (int, float)}[KINDS[name]]
        assert other is None or (
            isinstance(other, wanted) and (KINDS[name] == "bool" or not isinstance(other, bool))
        ), value
        assert (one is None) == (other is None)
        assert one is None or one == (float(other) if KINDS[name] == "float" else other), value


rows = st.fixed_dictionaries(
    {
        "id": st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.none(),
        "amount": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70) | st.none(),
        "count": st.integers(-(2**65), 2**65) | st.none(),
        "open": st.booleans() | st.none(),
        "at": st.sampled_from(["2026-01-01", "2026-01-01T00:00:00Z", "x", ""]),
        "a_name_of_many_letters": st.integers(-9, 9),
    }
)


@settings(max_examples=400, deadline=None)
@given(rows, st.sampled_from([(",", ":"), (", ", ": ")]), st.booleans())
def test_what_is_taken_is_what_the_careful_reader_says(row, separators, plain):
    demand_same(json.dumps(row, separators=separators, ensure_ascii=plain).encode())


@settings(max_examples=1_500, deadline=None)
@given(
    rows,
    st.lists(
        st.tuples(st.integers(0, 200), st.sampled_from(["put", "cut", "turn"]), st.integers(0, 255)),
        min_size=1,
        max_size=3,
    ),
)
def test_no_broken_byte_is_taken_for_another_value(row, strokes):
    value = bytearray(orjson.dumps({**row, "amount": 1.5, "count": 3}))
    for place, what, byte in strokes:
        at = place % len(value)
        if what == "put":
            value.insert(at, byte)
        elif what == "cut":
            del value[at]
        else:
            value[at] = byte
    demand_same(bytes(value))


NUMBERS = [
    *("01", "1.", ".5", "+1", "-", "--1", "-0", "-0.0", "1.0", "1e5", "1e", "1E400"),
    *("0x1", "1_0", "9" * 30, "NaN", "Infinity", "nul", "n", "1 ", "1\t"),
]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("name", ["amount", "count"])
def test_numbers_as_nobody_writes_them(name, number):
    demand_same(orjson.dumps({**USUAL, name: "HERE"}).replace(b'"HERE"', number.encode()))


WORDS = ["tru", "True", "t", "truefalse", "false ", "nulll", '"true"', "1"]


@pytest.mark.parametrize("word", WORDS)
def test_words_that_are_nearly_ones(word):
    demand_same(orjson.dumps({**USUAL, "open": "HERE"}).replace(b'"HERE"', word.encode()))


@pytest.mark.parametrize(
    "changed",
    [
        b'{"id":"a","id":"b"',
        b'{"id":{"a":1}',
        b'{"id":5',
        b'{ "id":"p1"',
        b'{"id" :"p1"',
        b'{"iD":"p1"',
        b'{"id":"a\\u0041"',
        b'{"id":"\\ud800"',
        b'{"id":"a\nb"',
        b'\xef\xbb\xbf{"id":"p1"',
        b'{"id":"\xff"',
        b'{"id":"a\\":b"',
        b'{"id":"p1","more":1',
        b'{"id":"p1"}{"id":"p2"',
    ],
)
def test_traps_are_never_taken_for_what_they_are_not(changed):
    demand_same(orjson.dumps(USUAL).replace(b'{"id":"p1"', changed))


@pytest.mark.parametrize("behind", [b"}", b" ", b"\n", b"{}", b",", b"x", b"\n{}", b"\x00"])
def test_nothing_stands_behind_a_record(behind):
    demand_same(orjson.dumps(USUAL) + behind)


def test_names_of_the_same_end_are_told_apart():
    shape = shape_of(("first_of_the_letters", "other_of_the_letters"), ("int", "int"), (json_rows._COLUMNS["int"],) * 2)
    good, rows = read_bulk(
        [
            b'{"first_of_the_letters":1,"other_of_the_letters":2}',
            b'{"other_of_the_letters":1,"first_of_the_letters":2}',
        ],
        shape,
    )
    assert good.tolist() == [True, False]
    assert rows.rows() == [(1, 2)]


@pytest.mark.parametrize("odd", [b'{"id":"p1","amount":2.5', b"", b"[]", b'{"id":', b"\n", b'"":'])
def test_a_record_that_is_cut_costs_no_neighbour(odd):
    beside = orjson.dumps(USUAL)
    good, rows = read_bulk([beside, odd, beside], SHAPE)
    assert (good.tolist(), rows.height) == ([True, False, True], 2)


def test_one_odd_record_costs_no_neighbour_its_place():
    odd = [orjson.dumps({**USUAL, "id": f"p{n}", **({"open": "yes"} if n % 7 == 3 else {})}) for n in range(100)]
    good, rows = read_bulk(odd, SHAPE)
    assert good.tolist() == [n % 7 != 3 for n in range(100)]
    assert rows["id"].to_list() == [f"p{n}" for n in range(100) if n % 7 != 3]


def test_ordinary_records_are_read_in_bulk():
    assert taken(orjson.dumps(USUAL)) == USUAL
    assert taken(json.dumps(USUAL).encode()) == USUAL
    assert taken(orjson.dumps(dict.fromkeys(KINDS))) == dict.fromkeys(KINDS)
