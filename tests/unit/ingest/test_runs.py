"""Sorted runs answer as a list of all rows does, however rows came and whatever was forgotten."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from modelway.ingest.runs import BYTES, Runs

LOW = 2**16
"""The lowest bit of a digest that counts."""
keys = st.sampled_from([0, LOW, 2**60 - LOW, 2**60, 2**60 + LOW, 2**63, 15 << 60, 2**64 - LOW])
contents = st.sampled_from([0, LOW, 2**32, 2**48 - LOW, 2**48, 2**48 + LOW, 2**63, 2**64 - LOW])
rows = st.lists(st.tuples(keys, contents, st.integers(2**32 - 10, 2**32 - 1)), max_size=30)
moments = st.integers(2**32 - 10, 2**32 - 1)


def columns(found):
    kinds = (np.uint64, np.uint64, np.uint32)
    return [np.array([row[place] for row in found], dtype=kind) for place, kind in enumerate(kinds)]


@given(st.lists(rows, max_size=12), rows, moments, moments)
def test_what_is_held_is_found_with_its_content_and_by_its_key(batches, asked, dropped, horizon):
    runs = Runs()
    for batch in batches:
        runs.add(*columns(batch))
    runs.drop_before(dropped)
    held = [row for batch in batches for row in batch if row[2] >= dropped]
    assert runs.size == BYTES * len(held)
    asked = sorted(asked)
    asked_keys, asked_contents, _ = columns(asked)
    double, known = runs.meet(asked_keys, asked_contents, horizon)
    recent = [row for row in held if row[2] >= horizon]
    assert double.tolist() == [any(row[:2] == one[:2] for row in recent) for one in asked]
    assert known.tolist() == [any(row[0] == one[0] for row in recent) for one in asked]
