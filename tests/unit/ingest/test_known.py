"""What a table holds, known in memory: the same answer as asking the table, whoever commits in between."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.ingest.known import Known, _asked
from modelway.lake.delta import DeltaLake
from modelway.lake.tables import absent

T0 = datetime(2026, 1, 1, tzinfo=UTC)
WITHIN = timedelta(days=2)


def rows(*triples: tuple[str, str, int]) -> pl.DataFrame:
    """Of key, content and day of arrival."""
    return pl.DataFrame(
        {
            "_key": [key for key, _, _ in triples],
            "_content": [content for _, content, _ in triples],
            "_arrived": [T0 + timedelta(days=day) for _, _, day in triples],
            "x": list(range(len(triples))),
        },
        schema={"_key": pl.String, "_content": pl.String, "_arrived": pl.Datetime("us", "UTC"), "x": pl.Int64},
    )


def opened(folder: Path) -> DeltaLake:
    return DeltaLake(folder)


def test_a_double_in_the_batch_and_in_the_table_is_found_and_a_correction_counted(tmp_path):
    lake, known = opened(tmp_path), Known("t", WITHIN, 10**8)
    first = known.fresh(lake, absent("t"), rows(("a", "1", 0), ("b", "1", 0), ("a", "1", 0), ("b", "2", 0)))
    assert (first.rows["x"].to_list(), first.doubles, first.corrections) == ([0, 1, 3], 1, 1)
    known.took(lake.append("t", first.rows), first.rows)
    seen = lake.version("t")
    again = known.fresh(lake, seen, rows(("b", "1", 1), ("a", "3", 1), ("c", "1", 1)))
    assert (again.rows["x"].to_list(), again.doubles, again.corrections) == ([1, 2], 1, 1)
    late = known.fresh(lake, seen, rows(("a", "1", 3)))
    assert (late.doubles, late.corrections) == (0, 0)


def test_what_others_committed_is_known_too(tmp_path):
    lake, known = opened(tmp_path), Known("t", WITHIN, 10**8)
    lake.append("t", rows(("a", "1", 0)))
    assert known.fresh(lake, lake.version("t"), rows(("a", "1", 0))).doubles == 1
    for n in range(12):
        opened(tmp_path).append("t", rows((f"k{n}", "1", 0)))
    told = known.fresh(lake, lake.version("t"), rows(*((f"k{n}", "1", 1) for n in range(13))))
    assert (told.rows["_key"].to_list(), told.doubles) == (["k12"], 12)


batches = st.lists(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("12"), st.integers(0, 1)), min_size=1, max_size=8),
    min_size=1,
    max_size=8,
)


@settings(max_examples=25, deadline=None)
@given(
    batches,
    st.sampled_from([10**8, 120]),
    st.lists(st.booleans(), min_size=8, max_size=8),
    st.one_of(st.just([2 * n for n in range(8)]), st.lists(st.integers(0, 6), min_size=8, max_size=8)),
)
def test_the_answer_is_that_of_the_table_whatever_the_memory_and_whoever_commits(
    tmp_path_factory, given_batches, room, mine, days
):
    """Also when events come that arrived long ago, and waited elsewhere."""
    lake = opened(tmp_path_factory.mktemp("known"))
    known = Known("t", WITHIN, room)
    for n, batch in enumerate(given_batches):
        frame = rows(*((key, content, days[n] + day) for key, content, day in batch))
        seen = lake.version("t") or absent("t")
        told = known.fresh(lake, seen, frame)
        if seen.version >= 0:
            wanted = _asked(lake, "t", frame["_arrived"].min() - WITHIN, frame)
            assert told.rows["x"].to_list() == wanted.rows["x"].to_list()
            assert (told.doubles, told.corrections) == (wanted.doubles, wanted.corrections)
        done = lake.append("t", told.rows)
        if mine[n]:
            known.took(done, told.rows)
