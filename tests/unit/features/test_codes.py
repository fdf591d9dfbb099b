"""Rows are found among the known ones as a join finds them, whatever their hashes are."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.features import codes
from modelway.features.codes import Codes

WORDS = st.sampled_from(["", "a", "b", "ab", "ba", "é", "a" * 40, "a" * 40 + "b"])


@pytest.fixture
def hashes_alike(monkeypatch):
    monkeypatch.setattr(codes, "_hashed", lambda rows: np.full(rows.height, 2**63, dtype=np.uint64))


def places(known: list[tuple[str, str]], rows: list[tuple[str | None, str | None]]) -> list[int]:
    schema = {"one": pl.String(), "two": pl.String()}
    return Codes(pl.DataFrame(known, schema, orient="row")).of(pl.DataFrame(rows, schema, orient="row")).tolist()


@given(
    known=st.lists(st.tuples(WORDS, WORDS), unique=True),
    rows=st.lists(st.tuples(st.none() | WORDS, st.none() | WORDS)),
)
def test_each_row_has_the_place_of_its_equal(known, rows):
    assert places(known, rows) == [known.index(row) if row in known else -1 for row in rows]


@pytest.mark.usefixtures("hashes_alike")
def test_words_with_one_hash_are_not_confused():
    known = [("a", "b"), ("b", "a"), ("a", "a")]
    assert places(known, [("a", "a"), ("b", "b"), (None, "a"), ("a", "b"), ("b", "a")]) == [2, -1, -1, 0, 1]
