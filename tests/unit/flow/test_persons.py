"""Which rows, events and texts are a person's."""

import polars as pl
import pytest

from modelway.flow.erasing_texts import naming
from modelway.flow.persons import Person, tables_of, topics_of
from modelway.ingest.frames import BAD
from modelway.spec.model import Spec

ERNA = Person(("L7", "12"), "customer", "erna")
SPEC = Spec.model_validate(
    {
        "model": "loans",
        "task": "binary",
        "data": {"source": "loans", "target": "y", "key": "id", "event_time": "at", "entities": ["customer"]},
        "contract": {"id": {"type": "string"}, "at": {"type": "datetime"}},
        "features": {
            "segment": {
                "join": {"table": "people", "on": "customer", "key": "who", "valid_from": "since", "column": "kind"}
            },
            "rate": {
                "join": {"table": "rates", "on": "country", "valid_from": "since", "column": "rate", "type": "float"}
            },
        },
    }
)


def taken(table: str, rows: list[dict], **schema) -> list[int]:
    frame = pl.DataFrame(rows, schema_overrides=schema).with_row_index("n")
    return frame.filter(tables_of(SPEC)[table](ERNA, SPEC))["n"].to_list()


def test_statements_of_joined_tables_are_a_persons_by_what_the_join_calls_them():
    assert taken("people", [{"_key": "erna", "who": "erna"}, {"_key": "x", "who": "x"}]) == [0]
    assert taken("rates", [{"_key": "erna", "country": "erna"}]) == []
    said = topics_of(SPEC)["people"](ERNA, SPEC)
    assert [said({"who": "erna"}), said({"who": "x"}), said({"customer": "erna"})] == [True, False, False]


def test_refused_events_are_taken_by_their_bytes_when_they_hold_no_row():
    rows = [
        {"_key": "k", "_raw": '{"customer": "erna", "x', "_bytes": b'{"customer": "erna", "x'},
        {"_key": "k", "_raw": "\\x00\\x01", "_bytes": b"\0\1erna\2"},
        {"_key": "erna", "_raw": "", "_bytes": b""},
        {"_key": "k", "_raw": '{"customer": "x", "city": "erna"}', "_bytes": None},
        {"_key": "k", "_raw": '{"customer": "x"}', "_bytes": None},
    ]
    bad = [{**dict.fromkeys(BAD), **row} for row in rows]
    assert taken("loans_quarantine", bad, **BAD) == [0, 1, 2]


def test_a_refused_value_that_is_nested_beyond_reading_stops_no_erasure_and_goes_when_it_holds_the_word():
    deep = "[" * 5_000 + "]" * 5_000
    rows = [
        {"_key": "k", "_raw": f'{{"customer": "erna", "x": {deep}}}'},
        {"_key": "k", "_raw": f'{{"customer": "x", "x": {deep}}}'},
    ]
    bad = [{**dict.fromkeys(BAD), **row} for row in rows]
    assert taken("loans_quarantine", bad, **BAD) == [0]


def test_events_of_odd_shapes_are_nobodys():
    deep: list = []
    for _ in range(1_000):
        deep = [deep]
    theirs = {topic: of(ERNA, SPEC) for topic, of in topics_of(SPEC).items()}
    assert not theirs["loans"]({"id": deep, "customer": deep})
    assert not theirs["loans_predictions"]({"key": "x", "row": ["erna"]})
    assert theirs["loans_predictions"]({"key": "x", "row": {"customer": "erna"}})


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("could not convert 'erna'", True),
        ("modernas", False),
        ("x of row L7 was served", True),
        ("row L77 was served", False),
        ("12 of 100 rows", False),
        ("x of row 12 (2026-01-01)", True),
        ("x of row 12.5", False),
        ("the latest events: 12 at 2026-01-01 00:00:00", True),
        ("key '12' is there twice", True),
    ],
)
def test_a_text_names_a_person_where_a_word_is_theirs(text, named):
    assert bool(naming(ERNA).search(text.encode())) == named


def test_names_are_found_as_json_and_as_python_write_them():
    named = naming(Person((), "customer", 'Jörg "J"'))
    for text in (r'{"who": "J\u00f6rg \"J\""}', r'{"who": "Jörg \"J\""}', 'who is Jörg "J"', "who is 'J\\xf6rg \"J\"'"):
        assert named.search(text.encode()), text
    assert not named.search(b"Jorg")
    assert naming(Person(())) is None
