"""Events become frames: types are never guessed, and what cannot be read is kept with its reason."""

from datetime import UTC, datetime
from itertools import pairwise

import orjson
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from modelway.events.log import ARROW, JSON, Event
from modelway.ingest.decode import decode, together
from modelway.ingest.files import ipc_bytes
from modelway.ingest.frames import PLACE, rows_frame

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def event(offset: int, value: bytes, content: str = JSON) -> Event:
    return Event("t", 0, offset, int(NOW.timestamp()) * 1_000_000, "", value, content, {})


def test_a_column_of_mixed_types_becomes_text():
    rows = decode([event(0, b'{"a": 1}'), event(1, b'{"a": "x"}'), event(2, b'{"a": true}'), event(3, b"{}")]).rows
    assert rows["a"].to_list() == ["1", "x", "true", None]


def test_whole_and_broken_numbers_are_doubles_and_a_lone_type_stays():
    rows = decode([event(0, b'{"n": 1, "i": 5, "b": true}'), event(1, b'{"n": 1.5, "i": 6, "b": false}')]).rows
    assert rows.schema["n"] == pl.Float64
    assert rows.schema["i"] == pl.Int64
    assert rows.schema["b"] == pl.Boolean


def test_what_holds_no_row_is_kept_with_its_reason():
    made = decode([event(0, b"{"), event(1, b"[1]"), event(2, b'{"a": 1}'), event(3, b"junk", ARROW)])
    assert made.rows.height == 1
    assert made.bad["_offset"].to_list() == [0, 1, 3]
    assert [reason.split(":")[0] for reason in made.bad["_reasons"]] == [
        "not JSON",
        "not a JSON object",
        "not an Arrow stream",
    ]


def test_arrow_and_json_may_be_mixed_in_one_topic():
    table = pl.DataFrame({"a": [1, 2], "_key": ["x", "y"]})
    rows = decode([event(0, b'{"a": 1.5}'), event(1, ipc_bytes(table), ARROW)]).rows
    assert rows["a"].to_list() == [1.5, 1.0, 2.0]
    assert rows["_index"].to_list() == [0, 0, 1]
    assert rows["_key"].to_list() == [None, "x", "y"]


def test_a_whole_number_beyond_64_bits_is_not_cut():
    assert rows_frame([{"a": 2**70}])["a"].to_list() == [str(2**70)]
    assert rows_frame([{"a": 2**53}, {"a": 0.0}, {"a": 1.5}])["a"].to_list() == [str(2**53), "0", "1.5"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from("abc"),
            st.none()
            | st.booleans()
            | st.integers(-9, 9)
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(max_size=3),
        ),
        max_size=8,
    )
)
def test_every_object_is_a_row_at_its_place(rows):
    made = decode([event(i, orjson.dumps(row)) for i, row in enumerate(rows)])
    assert made.bad.height == 0
    if rows and any(rows):
        assert made.rows["_offset"].to_list() == list(range(len(rows)))
    for name in "abc":
        if name in made.rows.columns:
            missing = [row.get(name) is None for row in rows]
            assert made.rows[name].is_null().to_list() == missing
    assert set(PLACE) <= set(made.rows.columns)


small = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-9, 9) | st.text(max_size=2)
large = small | st.sampled_from([2**53 + 1, -(2**60)])
records = st.lists(
    st.fixed_dictionaries({}, optional={"a": large, "b": large, "typed": small}), min_size=1, max_size=10
)


@settings(max_examples=300, deadline=None)
@given(records, st.data())
def test_piece_by_piece_is_what_the_whole_is(rows, data):
    events = [event(number, orjson.dumps(row)) for number, row in enumerate([*rows, "none"])]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(events) - 1))))
    kinds = {"typed": "float"}
    whole = decode(events, kinds)
    pieces = [decode(events[a:b], kinds) for a, b in pairwise([0, *cuts, len(events)])]
    joined = together(pieces)
    one, other = (frame.sort("_offset").select(sorted(frame.columns)) for frame in (joined.rows, whole.rows))
    assert one.to_dicts() == other.to_dicts()
    assert_frame_equal(joined.bad, whole.bad)
    assert joined.events == whole.events == len(events)
