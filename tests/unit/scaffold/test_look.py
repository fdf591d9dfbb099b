"""What each column is for: keys, times, leaks, and what enters the model."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.errors import TooLittleDataError
from modelway.scaffold.look import Look, look
from modelway.scaffold.roles import named_like_id, named_like_protected

N = 300
RNG = np.random.default_rng(0)
X = RNG.normal(size=N)
BAD = (X + RNG.normal(size=N) > 0.5).astype(int)


def looked(**columns: object) -> Look:
    return look(pl.DataFrame({**columns, "x": X, "bad": BAD}, strict=False), "bad")


def why(found: Look, name: str) -> str:
    return next((one.why for one in found.ignored if one.name == name), "")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("customer_id", [f"C{i}" for i in range(N)]),
        ("LoanID", list(range(1000, 1000 + 2 * N, 2))),
        ("n", list(range(N))),
        ("handle", [f"{i:08x}-0000-0000-0000-000000000000" for i in range(N)]),
    ],
)
def test_an_identifier_is_found_by_name_or_shape(name, values):
    assert looked(**{name: values}).key.name == name


def test_what_is_unique_is_no_identifier_without_name_or_shape():
    assert looked(amount=RNG.normal(size=N)).key is None
    assert looked(year=list(range(N))).key is None


def test_exact_copies_do_not_unmake_an_identifier():
    frame = pl.DataFrame({"id": list(range(N)), "x": X, "bad": BAD})
    found = look(pl.concat([frame, frame.head(40)]), "bad")
    assert found.key.name == "id"
    assert "40 rows are exact copies" not in found.decisions.about("identifier").why


def test_a_second_identifier_is_ignored():
    found = looked(id=list(range(N)), row_no=list(range(N)))
    assert found.key.name == "id"
    assert "another value in each row" in why(found, "row_no")


def test_the_event_time_is_the_finest_that_is_named_like_one():
    days = [date(2020, 1, 1) + timedelta(days=i) for i in range(N)]
    found = looked(birth_date=days, created_at=days, colour_day=days[:100] * 3)
    assert found.event_time.name == "created_at"
    assert {"birth_date", "colour_day"} <= {c.name for c in found.used}


def test_a_date_with_gaps_is_no_event_time():
    days = [date(2020, 1, 1) + timedelta(days=i) for i in range(N)]
    found = looked(date=[None, *days[1:]])
    assert found.event_time is None
    assert "missing in 1 rows" in found.decisions.about("event time").why


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([None] * N, "no row has a value"),
        (["EUR"] * N, "the same value"),
        ([f"word {i} and more" for i in range(N)], "its own text"),
        ([f"{1000 + i},50 €" for i in range(N)], "numbers kept as text"),
        ([f"s{i % 100}" for i in range(N)], "most of them in fewer than"),
    ],
)
def test_what_tells_nothing_is_ignored_with_the_reason(values, says):
    assert says in why(looked(odd=values), "odd")


@pytest.mark.parametrize(
    "values",
    [
        [f"{'late' if b else 'paid'}" for b in BAD],
        [b * 900 + i % 7 for i, b in enumerate(BAD)],
        [-b for b in BAD],
        [date(2024, 1, 1) if b else None for b in BAD],
        [f"k{i % 4}{b}" for i, b in enumerate(BAD)],
    ],
)
def test_a_leak_is_set_aside(values):
    assert why(looked(odd=values), "odd").startswith("may leak")


def test_what_only_helps_is_no_leak():
    found = looked(strong=BAD + 0.6 * RNG.normal(size=N), words=np.where(X > 0, "a", "b"))
    assert found.ignored == ()
    assert found.words == ["words"]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(20, 200))
def test_noise_is_never_a_leak(seed, rows):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, rows)
    y[:2] = 0
    y[2:10] = 1
    noise = rng.permutation(np.arange(rows) * 1.37)
    found = look(pl.DataFrame({"a": noise, "b": rng.normal(size=rows), "y": y}), "y")
    assert [c.name for c in found.used] == ["a", "b"]


def test_leaks_of_other_tasks():
    number = pl.DataFrame({"copy": 3 * X + 1, "x": X + RNG.normal(size=N), "y": X})
    assert why(look(number, "y"), "copy").startswith("may leak: it is nearly in line")
    label = np.array(["a", "b", "c"])[RNG.integers(0, 3, N)]
    assert why(look(pl.DataFrame({"code": [f"{c}1" for c in label], "x": X, "y": label}), "y"), "code")


def test_names_that_start_with_an_underscore_are_set_aside():
    found = looked(_id=list(range(N)))
    assert found.key is None
    assert "Modelway's own" in why(found, "_id")


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(TooLittleDataError, match="no column is left") as caught:
        look(pl.DataFrame({"id": list(range(N)), "c": [1] * N, "bad": BAD}), "bad")
    assert "c: all rows have the same value" in caught.value.problem


def test_every_column_is_used_ignored_or_has_a_role():
    found = looked(id=list(range(N)), c=[1] * N, w=["a", "b", "c"] * 100)
    named = [c.name for c in found.used] + [i.name for i in found.ignored] + [found.key.name, "bad"]
    assert sorted(named) == sorted(["id", "c", "w", "x", "bad"])
    assert all(len(row) == 4 and all(row) for row in found.decisions.rows())


def test_what_the_law_may_protect_is_told():
    found = looked(SEX=["m", "f", "f"] * 100, age=RNG.integers(18, 80, N))
    told = found.decisions.about("SEX")
    assert told is not None
    assert "data.protected" in told.how_to_change
    assert named_like_protected("maritalStatus")
    assert not any(named_like_protected(name) for name in ("average", "package", "trace", "page_no"))


@pytest.mark.parametrize(
    ("values", "says"),
    [(["red", "Red", "b"] * 100, "1 value differs from"), (["red", "Red", "B", "b"] * 75, "2 values differ from")],
)
def test_spellings_are_counted_in_words(values, says):
    assert says in next(d.why for d in looked(w=values).decisions.made if d.decision == "spellings are kept apart")


def test_names_of_identifiers():
    assert all(named_like_id(name) for name in ("id", "ID", "loan_id", "LoanID", "customer no", "uuid", "column_1"))
    assert not any(named_like_id(name) for name in ("amount", "paid", "grid", "month", "piano"))
