"""A block holds what was put into it; a person's rows leave nothing in it, and the others stay."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.clock import WallClock
from modelway.events.block import BadBlockError, Block, pack, rows_of, unpack
from modelway.events.erasing import blank
from modelway.events.folder import FolderEventLog
from modelway.events.log import BLOCK, Event, NewEvent
from modelway.ingest.predictions import decode_predictions

COMMON = {"request": "q{}", "version": 3, "digest": "d", "served": "2026-01-05T00:00:00Z", "upto": {"0": 4}}


def block(keys: Sequence[str], who: Sequence[str | None]) -> Block:
    count = len(keys) or len(who)
    numbers = np.arange(2.0 * count).reshape(count, 2)
    return Block(
        COMMON,
        ("a", "b"),
        (False, True),
        ("no", "yes"),
        numbers,
        np.stack([np.linspace(0, 1, count), np.linspace(1, 0, count)], axis=1),
        (np.arange(count) % 2).astype(np.uint16),
        np.array([place % 5 == 4 for place in range(count)], np.uint8),
        {place: f"because of {who[place] if who else place}" for place in range(4, count, 5)},
        {"who": who} if who else {},
        keys,
        first=7,
    )


def same(one: Block, other: Block) -> bool:
    arrays = ("numbers", "scores", "places", "states")
    alike = all(np.array_equal(getattr(one, n), getattr(other, n), equal_nan=n in arrays[:2]) for n in arrays)
    rest = ("common", "columns", "whole", "classes", "reasons", "first")
    texts = {n: list(v) for n, v in one.texts.items()} == {n: list(v) for n, v in other.texts.items()}
    return (
        alike
        and texts
        and list(one.keys) == list(other.keys)
        and all(getattr(one, n) == getattr(other, n) for n in rest)
    )


people = st.lists(st.sampled_from(["p1", "p2", "pé", None]), min_size=1, max_size=20)


@given(people, st.booleans())
def test_it_is_read_as_it_was_written(who, named):
    made = block([f"k{n}" for n in range(len(who))] if named else [], who)
    assert same(unpack(pack(made)), made)


@given(people, st.integers(0, 20), st.integers(0, 20))
def test_a_part_is_those_rows(who, start, end):
    whole = block([], who)
    assert rows_of(whole.part(start, end)) == rows_of(whole)[start:end]


@given(st.binary(max_size=80), st.integers(0, 400))
def test_bytes_that_are_no_block_are_told_so(noise, place):
    good = pack(block([], ["p1"] * 6))
    for made in (noise, good[: place % len(good)], good + b" "):
        with pytest.raises(BadBlockError, match="no block"):
            unpack(made)


@settings(deadline=None)
@given(st.integers(0, 400), st.integers(0, 255))
def test_a_byte_that_changed_is_no_traceback_of_another_kind(place, value):
    good = bytearray(pack(block([], ["p1"] * 6)))
    good[place % len(good)] = value
    with suppress(BadBlockError):
        assert len(unpack(bytes(good))) == 6


@settings(deadline=None, max_examples=40)
@given(people)
def test_an_erased_person_leaves_nothing_and_nobody_else_anything(tmp_path_factory, who):
    root = tmp_path_factory.mktemp("log")
    log, made = FolderEventLog(root, WallClock()), block([f"k{n}" for n in range(len(who))], who)
    log.append("loans_predictions", [NewEvent("q/0/3", pack(made), BLOCK), NewEvent("x", b'{"key": "p1"}')])
    sizes = {path: path.stat().st_size for path in root.rglob("*.log")}
    told = blank(root, "loans_predictions", lambda row: row.get("row", {}).get("who") == "p1", (b"p1",))
    assert told == who.count("p1")
    assert {path: path.stat().st_size for path in root.rglob("*.log")} == sizes
    event, _ = log.read("loans_predictions", {})
    assert b"p1" not in event.value
    assert rows_of(unpack(event.value)) == [
        {} if one == "p1" else row for one, row in zip(who, rows_of(made), strict=True)
    ]
    decoded = decode_predictions([event])
    assert decoded.rows["key"].to_list() == [f"k{n}" for n, one in enumerate(who) if one != "p1"]
    log.close()


def test_a_block_without_what_its_rows_share_is_a_bad_event():
    made = replace(block([], ["p1"]), common={"request": "q"})
    decoded = decode_predictions([Event("t", 0, 0, 0, "q", pack(made), BLOCK, {})])
    assert decoded.rows.height == 0
    assert "no prediction event" in decoded.bad["_reasons"][0]
