"""Sorted runs answer as a list of all rows does, however rows came and whatever was forgotten."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from modelway.ingest.runs import BYTES, Runs

digests = st.sampled_from([0, 1, 2**60 - 1, 2**60, 2**60 + 1, 2**63, 15 << 60, 2**64 - 1])
rows = st.lists(st.tuples(digests, st.integers(0, 3), st.integers(0, 9)), max_size=30)


def columns(found):
    kinds = (np.uint64, np.uint64, np.uint32)
    return [np.array([row[place] for row in found], dtype=kind) for place, kind in enumerate(kinds)]


@given(st.lists(rows, max_size=12), rows, st.integers(0, 9), st.integers(0, 9))
def test_what_is_held_is_found_with_its_content_and_by_its_key(batches, asked, dropped, horizon):
    runs = Runs()
    for batch in batches:
        runs.add(*columns(batch))
    runs.drop_before(dropped)
    held = [row for batch in batches for row in batch if row[2] >= dropped]
    assert runs.size == BYTES * len(held)
    asked.sort()
    keys, contents, _ = columns(asked)
    double, known = runs.meet(keys, contents, horizon)
    recent = [row for row in held if row[2] >= horizon]
    assert double.tolist() == [any(row[:2] == one[:2] for row in recent) for one in asked]
    assert known.tolist() == [any(row[0] == one[0] for row in recent) for one in asked]
