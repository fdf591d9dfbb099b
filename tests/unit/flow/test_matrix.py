"""A matrix is answered, replied to and logged as its rows one by one are."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import orjson
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.errors import DataError
from modelway.events.block import rows_of, unpack
from modelway.events.log import BLOCK, Event, NewEvent
from modelway.ingest.predictions import decode_predictions
from modelway.records import Manifest, OperatingPoint, Task
from modelway.serving.answer import Answer, answer_rows
from modelway.serving.binary import format_binary, parse_binary
from modelway.serving.log import prediction_events
from modelway.serving.matrix import LEAST, MOST_VALUES, Matrix
from modelway.serving.matrix_answers import MatrixAnswers, answer_request
from modelway.serving.named import NamedRows, rows_for
from modelway.serving.protocol import Asked, asked_of
from modelway.serving.refusals import compile_refusal
from modelway.serving.replies import head_of, written
from modelway.serving.servable import Row, Servable
from modelway.serving.status import TooLargeError
from modelway.serving.tensors import read_rows
from modelway.serving.tensors import rows_for as read_tensors
from tests.unit.flow.test_plain import SPEC, servable

T0 = datetime(2026, 1, 5, 12, 30, 0, 250_000, tzinfo=UTC)
NAMES = ("income", "age", "debt", "free")
REFUSES = {"missing": ["debt"], "beyond": {"income": 9e5}, "below": {"free": -4.0}}
POINTS = (OperatingPoint(), OperatingPoint(threshold=0.7, positive="no"))
numbers = st.one_of(
    st.floats(allow_infinity=False),
    st.integers(-5, 60).map(float),
    st.sampled_from([np.nan, -0.0, 18.0, 18.5, 1e6, 9e5, 2.0**53, -4.0, -5e-324]),
)
keys = st.one_of(st.none(), st.sampled_from(["a", " b ", "", 'ä{}"', "7"]))


@st.composite
def matrices(draw: st.DrawFn) -> Matrix:
    """Good rows, some of them touched."""
    count = draw(st.integers(LEAST, LEAST + 6))
    made = np.tile(np.array([5e3, 30.0, 1.5, 0.25]), (count, 1)) + np.arange(count)[:, None]
    for place, column, value in draw(
        st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, 3), numbers), max_size=8)
    ):
        made[place, column] = value
    named = draw(st.booleans())
    return Matrix(NAMES, made, {"id": draw(st.lists(keys, min_size=count, max_size=count))} if named else {})


def scored(numbers: Sequence[Sequence[float]], words: Sequence[Sequence[str]], width: int) -> list[list[float]]:
    """Some of them no numbers."""
    del words
    with np.errstate(all="ignore"):
        first = np.nan_to_num(np.asarray(numbers, float)[:, :2]).sum(axis=1) % 1.0
    first[(first > 0.4) & (first < 0.5)] = np.nan
    return np.stack([first, 1 - first], axis=1)[:, :width].tolist()


def version(classes: tuple[str, ...], point: OperatingPoint, task: Task = "binary") -> Servable:
    plain = servable(SPEC, plain=True)
    manifest: Manifest = replace(plain.manifest, task=task, classes=classes, operating_point=point, refuses=REFUSES)
    refusal = compile_refusal(REFUSES, manifest.columns)
    return replace(plain, manifest=manifest, refusal=refusal, run=lambda n, w: scored(n, w, manifest.width))


versions = st.sampled_from(
    [
        version((), POINTS[0], "regression"),
        version(("normal", "anomaly"), OperatingPoint("by_rate", 0.7, "anomaly"), "anomaly"),
        *(version(("yes", "no"), point) for point in POINTS),
    ]
)


def one_by_one(of: Servable, rows: Sequence[Row]) -> list[Answer]:
    return answer_rows(of, [f"q/{place}" for place in range(len(rows))], list(rows), T0)


@settings(max_examples=150, deadline=None)
@given(versions, matrices())
def test_its_answers_are_those_of_its_rows(of, matrix):
    found = answer_request(of, "q", matrix, T0)
    assert isinstance(found, MatrixAnswers)
    assert list(found) == one_by_one(of, matrix)
    counted = {state: sum(a.status == state for a in found) for state in ("ok", "refused", "invalid")}
    assert found.counts == {state: number for state, number in counted.items() if number}


@settings(max_examples=100, deadline=None)
@given(versions, matrices())
def test_its_replies_are_those_of_its_rows(of, matrix):
    outputs = of.outputs
    ours, theirs = (
        head_of(of, "q", answers, {"0": 7}, outputs)
        for answers in (answer_request(of, "q", matrix, T0), one_by_one(of, matrix))
    )
    assert orjson.loads(written(ours)) == orjson.loads(written(theirs))
    assert format_binary(ours, frozenset(outputs)) == format_binary(theirs, frozenset(outputs))


def in_the_log(events: Sequence[NewEvent]) -> list[Event]:
    return [Event("loans", 0, n, 1_000, e.key, e.value, e.content, {}) for n, e in enumerate(events)]


def ingested(events: Sequence[NewEvent]) -> pl.DataFrame:
    decoded = decode_predictions(in_the_log(events))
    assert not decoded.bad.height
    rows = decoded.rows
    assert rows.select("_partition", "_offset", "_index").is_unique().all()
    return rows.drop("_offset", "_index")


@settings(max_examples=100, deadline=None)
@given(versions, matrices(), st.sampled_from(["", "somebody"]), st.booleans())
def test_the_lake_holds_the_same_of_it(of, matrix, caller, shadow):
    told = {"served": T0, "ms": 1.25, "upto": {"0": 3}, "shadow": shadow, "pinned": bool(caller), "caller": caller}
    events = prediction_events(of, "q", answer_request(of, "q", matrix, T0), **told)
    assert [event.content for event in events] == [BLOCK]
    ours, theirs = ingested(events), ingested(prediction_events(of, "q", one_by_one(of, matrix), **told))
    assert ours.drop("row").equals(theirs.drop("row"))
    assert list(map(json.loads, ours["row"])) == list(map(json.loads, theirs["row"]))


def test_a_large_one_is_several_events_that_no_broker_refuses():
    matrix = Matrix(NAMES, np.full((20_000, 4), 20.0))
    of = version((), POINTS[0])
    events = prediction_events(of, "q", answer_request(of, "q", matrix, T0), served=T0, ms=1, upto={})
    assert len(events) > 1
    assert max(len(event.value) for event in events) < 500_000
    rows = ingested(events)
    assert rows["index"].to_list() == list(range(20_000))
    assert rows["key"].to_list() == [f"q/{n}" for n in range(20_000)]
    assert [row["index"] for event in events for row in rows_of(unpack(event.value))] == list(range(20_000))


def requests(matrix: Matrix, datatype: str) -> list[Asked]:
    """The same rows in all forms that can carry them."""
    count = len(matrix)
    plain = [[None if value != value else value for value in row] for row in matrix.numbers.tolist()]
    texts = [{"name": n, "datatype": "BYTES", "shape": [count], "data": list(v)} for n, v in matrix.texts.items()]
    wide = {"name": "x", "datatype": datatype, "shape": [count, len(NAMES)]}
    columns = [
        {"name": name, "datatype": datatype, "shape": shape, "data": [row[place] for row in plain]}
        for place, (name, shape) in enumerate(zip(NAMES, ([count], [count, 1], [count], [count]), strict=True))
    ]
    columns[1]["data"] = [[value] for value in columns[1]["data"]]
    raw = matrix.numbers.astype({"FP64": "<f8", "FP32": "<f4"}[datatype]).tobytes()
    head = orjson.dumps({"inputs": [{**wide, "parameters": {"binary_data_size": len(raw)}}, *texts]})
    flat = [value for row in plain for value in row]
    return [
        asked_of({"inputs": [{**wide, "data": flat}, *texts]}),
        asked_of({"inputs": [{**wide, "data": plain}, *texts]}),
        asked_of({"inputs": [*texts, *columns]}),
        parse_binary(head + raw, str(len(head)).encode()),
    ]


@settings(max_examples=60, deadline=None)
@given(matrices())
def test_every_form_is_read_as_the_same_matrix(matrix):
    for asked in requests(matrix, "FP64"):
        found = read_rows(asked, NAMES, ("id", "at"))
        assert list(found) == list(matrix)
        if matrix.texts:
            assert asked.first("id") == matrix.texts["id"][0]
    if not (np.abs(matrix.numbers) >= 2**53).any():
        assert all(isinstance(read_rows(asked, NAMES, ("id", "at")), Matrix) for asked in requests(matrix, "FP64"))


@settings(max_examples=60, deadline=None)
@given(matrices(), st.randoms())
def test_rows_by_name_are_read_as_the_same_matrix(matrix, random):
    named = [dict(random.sample(list(row.items()), len(row))) for row in matrix]
    found = rows_for(NamedRows("", "", named), version((), POINTS[0]))
    assert list(found) == list(matrix)
    assert isinstance(found, Matrix) == (not (np.abs(matrix.numbers) >= 2**53).any())


@pytest.mark.parametrize("row", [{"free": True}, {"free": "1"}, {"free": 2**60}, {"id": 7}, {"id": "k", "other": 1}])
def test_rows_by_name_that_are_no_matrix_are_kept_as_they_are(row):
    rows = [{**dict.fromkeys(NAMES, 20.0), "id": "a"} for _ in range(20)]
    rows[7] |= row
    found = rows_for(NamedRows("", "", rows), version((), POINTS[0]))
    row.pop("other", None)
    assert list(found) == [*rows[:7], {**rows[0], **row}, *rows[8:]]
    assert not isinstance(found, Matrix)


def test_more_rows_than_can_be_answered_one_by_one_are_refused():
    of = version((), POINTS[0])
    many = [dict.fromkeys(NAMES, "20")] * (MOST_VALUES // len(of.inputs) + 1)
    with pytest.raises(TooLargeError, match="rows, and this model answers at most"):
        rows_for(NamedRows("", "", many), of)
    assert len(rows_for(NamedRows("", "", many[:-1]), of)) == len(many) - 1
    texts = [
        {"name": name, "datatype": "BYTES", "shape": [MOST_VALUES], "data": ["20"] * MOST_VALUES} for name in NAMES
    ]
    with pytest.raises(TooLargeError, match="send them in parts"):
        read_tensors(asked_of({"inputs": texts}), of)
    wide = {"name": "x", "datatype": "FP64", "shape": [MOST_VALUES, 4], "data": np.ones(4 * MOST_VALUES)}
    assert len(read_tensors(asked_of({"inputs": [wide]}), of)) == MOST_VALUES
    with pytest.raises(TooLargeError, match="send them in parts"):  # this one sees each row by itself
        read_tensors(asked_of({"inputs": [wide]}), replace(of, plain=None))


@settings(max_examples=60, deadline=None)
@given(matrices(), st.integers(0, 3), st.sampled_from([np.inf, -np.inf]))
def test_an_infinite_number_is_refused_by_name(matrix, column, value):
    matrix.numbers[3, column] = value
    asked = requests(matrix, "FP64")[-1]
    with pytest.raises(DataError, match=f"input 'x', index {3 * 4 + column}: infinite"):
        read_rows(asked, NAMES, ("id", "at"))


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        ({"shape": [20, 4], "data": [1.0] * 79}, "shape says 80 rows, data holds 79"),
        ({"shape": [20, 4], "data": [1.0] * 79 + ["x"]}, "index 79: expected a number"),
        ({"shape": [20, 4], "data": [1.0] * 79 + [True]}, "index 79: expected a number"),
        ({"shape": [20, 4], "data": [[1.0] * 4] * 19 + [[1.0] * 3]}, "a row has not 4 values"),
        ({"shape": [20, 3], "data": [1.0] * 60}, "'income' is missing"),
    ],
)
def test_what_is_no_matrix_is_refused_as_ever(tensor, said):
    asked = asked_of({"inputs": [{"name": "x", "datatype": "FP64", **tensor}]})
    with pytest.raises(DataError, match=said):
        read_rows(asked, NAMES)


@pytest.mark.parametrize("value", [2**53, 2**53 + 1, -(2**53), 2**62])
@pytest.mark.parametrize("form", ["raw", "INT64", "FP64"])
def test_whole_numbers_keep_their_digits_among_many_rows(value, form):
    columns = [{"name": name, "datatype": "FP64", "shape": [20], "data": [20.0] * 20} for name in NAMES]
    head, raw = {"inputs": columns}, b""
    if form == "raw":
        raw = np.array([value] + [30] * 19, "<i8").tobytes()
        columns[1] = {"name": "age", "datatype": "INT64", "shape": [20], "parameters": {"binary_data_size": len(raw)}}
    else:
        columns[1] = {"name": "age", "datatype": form, "shape": [20], "data": [value] + [30] * 19}
    text = orjson.dumps(head)
    rows = read_rows(parse_binary(text + raw, str(len(text)).encode()), NAMES)
    assert (rows[0]["age"], type(rows[0]["age"])) == (value, int)


def test_a_matrix_with_a_key_beside_it_may_be_short():
    tensors = [
        {"name": "x", "datatype": "FP64", "shape": [1, 4], "data": [1, 2, 3, 4]},
        {"name": "id", "datatype": "BYTES", "shape": [1], "data": ["k"]},
    ]
    (row,) = read_rows(asked_of({"inputs": tensors}), NAMES, ("id",))
    assert row == {"income": 1, "age": 2, "debt": 3, "free": 4, "id": "k"}
    tensors[1]["shape"], tensors[1]["data"] = [2], ["k", "l"]
    with pytest.raises(DataError, match="'id' has 2 rows, but 'x' has 1"):
        read_rows(asked_of({"inputs": tensors}), NAMES, ("id",))


def test_a_row_with_a_time_of_its_own_is_judged_by_itself():
    matrix = Matrix(NAMES, np.full((20, 4), 20.0), {"at": ["2026-01-01T00:00:00Z"] * 19 + ["yesterday"]})
    found = answer_request(version((), POINTS[0]), "q", matrix, T0)
    assert not isinstance(found, MatrixAnswers)
    assert [answer.status for answer in found] == ["ok"] * 19 + ["refused"]
