"""Many JSON records at once: every trap of bulk readers is a refusal with its reason, and none costs its neighbours."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.contracts.contract import Contract
from modelway.contracts.table import check_table
from modelway.events.log import TOMBSTONE, Event
from modelway.ingest import json_rows
from modelway.ingest.batch import split
from modelway.ingest.decode import decode, decoder
from modelway.ingest.json_row import read_row
from modelway.ingest.source import Source
from modelway.spec.model import Rule

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = {
    "id": Rule(type="string", nulls=0),
    "amount": Rule(type="float", nulls=0),
    "count": Rule(type="int"),
    "name": Rule(type="string"),
    "open": Rule(type="bool"),
    "at": Rule(type="datetime"),
}
KINDS = {name: rule.type for name, rule in RULES.items()}
GOOD = {"id": "a", "amount": 1.5, "count": 3, "name": "x", "open": True, "at": "2026-01-01T00:00:00Z"}


def event(offset: int, value: bytes, content: str = "application/json") -> Event:
    return Event("t", 0, offset, int(NOW.timestamp()) * 1_000_000, "", value, content, {})


SOURCE = Source("t", lambda rows: check_table(rows, Contract(RULES), "id"), key="id", decode=decoder(KINDS))


WAYS = ("bulk", "one shape", "one by one")


def brought(values: list[bytes], way: str = "bulk") -> tuple[dict[int, dict], dict[int, str]]:
    """By offset the accepted rows and the reasons of the others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_rows, "_MANY", 0 if way == "bulk" else 10**9)
        if way == "one by one":
            patch.setattr(json_rows, "_names", lambda values: ())
        made = split(SOURCE.decode([event(n, value) for n, value in enumerate(values)]), SOURCE)
    rows = {row["_offset"]: {k: v for k, v in row.items() if k[0] != "_"} for row in made.accepted.to_dicts()}
    return rows, dict(zip(made.refused["_offset"].to_list(), made.refused["_reasons"].to_list(), strict=True))


def record(**changed) -> bytes:
    return json.dumps({**GOOD, **changed}).encode()


REFUSED = {
    "a number as text that is none": (record(amount="cheap"), "amount: 'cheap' is no number"),
    "an object for a text": (record(name={"a": 1}), "name"),
    "a list for a number": (record(amount=[1]), "amount"),
    "a boolean for a number": (record(amount=True), "amount: 'true' is no number"),
    "a whole number beyond 64 bits": (record(count=2**63), "count"),
    "a fraction for a whole number": (record(count=1.5), "count: '1.5' is no whole number"),
    "a number that no double holds": (record().replace(b"1.5", b"1e999"), "not JSON"),
    "a lone surrogate": (record().replace(b'"x"', b'"\\ud800"'), "not JSON"),
    "a raw newline in a text": (record().replace(b'"x"', b'"a\nb"'), "not JSON"),
    "a control character in a text": (record().replace(b'"x"', b'"a\x01b"'), "not JSON"),
    "cut off": (record()[:-5], "not JSON"),
    "empty": (b"", "not JSON"),
    "two records in one": (record() + b"\n" + record(), "not JSON"),
    "no UTF-8": (record().replace(b'"x"', b'"\xff"'), "not JSON"),
    "a byte order mark": (b"\xef\xbb\xbf" + record(), "not JSON"),
    "NaN": (record().replace(b"1.5", b"NaN"), "not JSON"),
    "a key twice": (record().replace(b'"count": 3', b'"count": 3, "count": 4'), "the key 'count' stands twice"),
    "a key twice, one of them escaped": (
        record().replace(b'"count": 3', b'"count": 3, "c\\u006funt": 4'),
        "the key 'count' stands twice",
    ),
    "a key twice with blanks": (
        record().replace(b'"count": 3', b'"count" : 3, "count" : 4'),
        "the key 'count' stands twice",
    ),
    "a key twice deep inside": (
        record().replace(b'"x"', b'{"a": 1, "a": 2}'),
        "the key 'a' stands twice",
    ),
    "a list": (b"[1]", "not a JSON object"),
    "null": (b"null", "not a JSON object"),
    "a missing value that must be there": (record(amount=None), "amount: missing"),
    "a missing key that must be there": (json.dumps({"id": "b"}).encode(), "amount: missing"),
}
TAKEN = {
    "text that looks like a key": (record(name='a":b'), {"name": 'a":b'}),
    "a number as text": (record(amount="2.5"), {"amount": 2.5}),
    "a whole number with a fraction of nothing": (record(count=4.0), {"count": 4}),
    "a number for a text": (record(name=5), {"name": "5"}),
    "blanks between the tokens": (record().replace(b": ", b" : ").replace(b", ", b"\n ,\t"), {"amount": 1.5}),
    "an unknown key": (record(new="n"), {"new": "n"}),
    "keys in another order": (json.dumps(dict(reversed(GOOD.items()))).encode(), {"count": 3}),
    "a missing key that may be": (json.dumps({"id": "c", "amount": 1}).encode(), {"count": None, "amount": 1.0}),
    "an escaped newline": (record(name="a\nb"), {"name": "a\nb"}),
    "an escaped pair": (record().replace(b'"x"', b'"\\ud83d\\ude00"'), {"name": "\U0001f600"}),
    "a large whole number for a double": (record(amount=2**53 + 1), {"amount": float(2**53)}),
    "a whole number of any length for a text": (record(name=2**70 + 1), {"name": str(2**70 + 1)}),
    "the largest whole number": (record(count=2**63 - 1), {"count": 2**63 - 1}),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("way", WAYS)
def test_a_trap_is_refused_with_its_reason_and_costs_no_neighbour(name, way):
    value, reason = REFUSED[name]
    rows, refused = brought([record(), value, record(id="b")], way)
    assert list(refused) == [1]
    assert reason in refused[1]
    assert sorted(rows) == [0, 2]
    assert [rows[n]["amount"] for n in rows] == [1.5, 1.5]


@pytest.mark.parametrize("depth", [250, 992, 1010, 5_000, 200_000])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_nested_beyond_any_reader_is_refused_and_costs_no_neighbour(depth, way):
    value = record(new=[]).replace(b"[]", b"[" * depth + b"]" * depth)
    rows, refused = brought([record(new=1), value, record(new="[{" * 300), record(new=[[2]])], way)
    assert list(refused) == [1]
    assert "values within values" in refused[1] or "not JSON" in refused[1]
    assert [rows[n]["new"] for n in rows] == ["1", "[{" * 300, "[[2]]"]


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("way", WAYS)
def test_what_is_only_unusual_is_taken(name, way):
    value, wanted = TAKEN[name]
    rows, refused = brought([record(), value, record(id="b")], way)
    assert (refused, sorted(rows)) == ({}, [0, 1, 2])
    assert wanted.items() <= rows[1].items()


def test_all_traps_in_one_batch_of_many_thousands():
    traps = [value for value, _ in REFUSED.values()]
    values = [record(id=str(n)) for n in range(3_000)]
    for n, trap in enumerate(traps):
        values.insert(97 * n, trap)
    rows, refused = brought(values)
    assert len(rows) == 3_000
    assert [values[offset] for offset in sorted(refused)] == traps


def test_an_empty_record_and_one_of_two_lines_do_not_cancel_each_other():
    rows, refused = brought([record(), b"", record() + b"\n" + record(), record(id="b")])
    assert (sorted(rows), sorted(refused)) == ([0, 3], [1, 2])


def test_a_key_that_is_missing_here_does_not_hide_one_that_stands_twice_there():
    short = json.dumps({k: v for k, v in GOOD.items() if k != "count"}).encode()
    twice = record().replace(b'"count": 3', b'"count": 3, "count": 4')
    blank = record().replace(b'"count": 3', b'"count" : 3')
    rows, refused = brought([record(), short, twice, blank, record(id="z")])
    assert (sorted(rows), list(refused)) == ([0, 1, 3, 4], [2])


def test_the_bytes_of_what_holds_no_row_are_kept():
    made = decode([event(0, b'{"a": "\xff\x00'), event(1, record())], KINDS)
    assert made.bad["_bytes"].to_list() == [b'{"a": "\xff\x00']
    assert made.bad["_raw"].to_list() == ['{"a": "\\xff\x00']


def test_a_tombstone_is_no_row_and_no_refusal():
    made = decode([event(0, record()), event(1, b"", TOMBSTONE)], KINDS)
    assert (made.rows.height, made.bad.height, made.tombstones) == (1, 0, 1)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "5", "2.5", "x", "true", "2026-01-01", 'a":b', "é\U0001f600"]),
    st.lists(st.integers(0, 3), max_size=2),
)
odd = st.fixed_dictionaries({}, optional={**dict.fromkeys(KINDS, scalars), "other": scalars})
usual = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a", "b", "5"]),
        "amount": st.floats(-1e9, 1e9) | st.integers(-9, 9),
        "count": st.integers(-(2**63), 2**63 - 1) | st.none(),
        "name": st.text(max_size=5).filter(lambda t: not any(0xD800 <= ord(c) <= 0xDFFF for c in t)),
        "open": st.booleans() | st.none(),
        "at": st.just("2026-01-01T00:00:00Z"),
    }
)


@settings(max_examples=150, deadline=None)
@given(st.lists(usual | odd, min_size=1, max_size=12), st.sampled_from(WAYS[:2]))
def test_all_ways_give_the_same_verdicts_and_values(rows, way):
    values = [json.dumps(row).encode() for row in rows]
    quick, slow = brought(values, way), brought(values, "one by one")
    assert quick[1] == slow[1]
    assert quick[0].keys() == slow[0].keys()
    for offset, row in quick[0].items():
        assert {k: v for k, v in row.items() if v is not None} == {
            k: v for k, v in slow[0][offset].items() if v is not None
        }


@given(st.dictionaries(st.text(max_size=4), scalars, max_size=6))
def test_a_row_that_json_wrote_is_read_as_it_was(row):
    assert read_row(json.dumps(row).encode()) == row


def test_a_batch_of_nothing_is_an_empty_frame():
    assert decode([], KINDS).rows.equals(pl.DataFrame(schema=decode([]).rows.schema))
