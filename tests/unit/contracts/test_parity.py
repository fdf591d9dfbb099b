"""The table's verdicts are the row's verdicts, whatever the values and however the column is typed."""

from contextlib import suppress
from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.contracts.contract import Contract, from_plain, to_plain
from modelway.contracts.row import compile_row
from modelway.contracts.table import check_table
from modelway.contracts.typed import typed
from modelway.contracts.values import READ, WRONG
from modelway.errors import SpecError
from modelway.ingest.frames import rows_frame
from modelway.spec.contract import Check
from modelway.spec.model import Rule

TEXTS = st.sampled_from(
    ["", " ", "5", " 5 ", "5.0", "-0", "1e3", "1e400", ".5", "5.", "1_000", "nan", "inf", "٣", "abc", "Ä b", "true", "No",
     "2020-01-02", "2020-01-02T03:04:05+02:00", "2020-13-01", "9007199254740993", "99999999999999999999", "0x10"]
)  # fmt: skip
VALUES = st.one_of(
    st.none(), TEXTS, st.booleans(), st.integers(-5, 5), st.integers(-(2**70), 2**70),
    st.floats(allow_infinity=False), st.floats(-10, 10), st.text(max_size=5),
)  # fmt: skip


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    kind = draw(st.sampled_from(["float", "int", "string", "bool", "date", "datetime"]))
    given: dict[str, object] = {"type": kind, "on_breach": draw(st.sampled_from(["quarantine", "warn", "quarantine"]))}
    if draw(st.booleans()):
        given["nulls"] = 0
    if draw(st.booleans()):
        given["on_breach"] = draw(st.dictionaries(st.sampled_from(["type", "nulls", "min", "in"]), st.just("warn")))
    if kind in ("float", "int") and draw(st.booleans()):
        given |= {"min": draw(st.integers(-3, 0)), "max": draw(st.integers(0, 3))}
    if kind in ("date", "datetime") and draw(st.booleans()):
        given |= {"min": "2020-01-02", "max": "2024-01-01"}
    if kind == "string" and draw(st.booleans()):
        given |= {"in": ["5", "abc", "true"]} if draw(st.booleans()) else {"pattern": r"^[a-z0-9. ]+$"}
    if kind == "int" and draw(st.booleans()):
        given["in"] = [1, 2, 3]
    return Rule.model_validate(given)


EXPRESSIONS = [
    "a <= b", "a == b", "a + b < 3", "not (c > 0)", "a == 'abc' or c == 1", "is_missing(a) or b > 0", "a < c and b != 2",
    "if(is_missing(c), 1, c) > 0", "days_between(a, b) < 9", "lower(a) == 'abc'",
]  # fmt: skip


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Rules, and of the expressions those whose columns are of kinds that they take."""
    columns = draw(st.dictionaries(st.sampled_from(["a", "b", "c"]), rules(), min_size=1))
    checks = []
    for text in draw(st.lists(st.sampled_from(EXPRESSIONS), max_size=2)):
        check = Check(expr=text, on_breach=draw(st.sampled_from(["quarantine", "warn"])))
        with suppress(SpecError):
            compile_row(Contract(columns, (check,)))
            checks.append(check)
    return Contract(columns, tuple(checks))


CONTRACTS = contracts()
KINDS = st.sampled_from(
    [VALUES, TEXTS, st.integers(-5, 5) | st.none(), st.floats() | st.none(), st.booleans() | st.none()]
)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), contract=CONTRACTS)
def test_the_same_verdicts_reasons_and_values(data, contract):
    columns = {name: data.draw(st.lists(data.draw(KINDS), min_size=4, max_size=4), label=name) for name in "abc"}
    raw = [{name: columns[name][i] for name in "abc"} for i in range(4)]
    frame = rows_frame(raw).with_columns(_index=pl.int_range(4))
    checked = check_table(frame, contract, None)
    check = compile_row(contract)
    refused = {row["_index"]: row["_reasons"] for row in checked.quarantined.iter_rows(named=True)}
    accepted = {row["_index"]: row for row in checked.accepted.iter_rows(named=True)}
    for index, row in enumerate(raw):
        values, reasons = check(row)
        assert sorted(refused.get(index, "").split("; ")) == sorted(reasons or [""]), (row, contract)
        if not reasons:
            typed = accepted[index]
            assert {name: typed[name] for name in contract.rules} == values, (row, contract)


@pytest.mark.parametrize("raw", ["1e400", "-1e999", "inf", float("inf"), float("-inf"), 10**400])
def test_what_no_double_holds_is_no_number_in_rows_and_tables(raw):
    assert READ["float"](raw) is WRONG
    assert READ["int"](raw) is WRONG
    if not isinstance(raw, int):
        values, wrong = typed(pl.Series("a", [raw, None]), "float")
        assert (values.to_list(), wrong.to_list()) == ([None, None], [True, False])


@given(contract=CONTRACTS)
def test_a_contract_comes_back_from_json(contract):
    assert from_plain(to_plain(contract)) == contract


def test_typed_columns_of_a_file_give_what_their_json_gives():
    frame = pl.DataFrame(
        {
            "n": pl.Series([1, 2, None], dtype=pl.UInt8),
            "f": pl.Series([1.5, float("nan"), 3.0], dtype=pl.Float32),
            "s": pl.Series(["a", "", None], dtype=pl.Categorical),
            "w": pl.Series([1.0, 2.5, None]),
            "d": [date(2020, 1, 1), None, date(2021, 1, 1)],
            "t": [datetime(2020, 1, 1), None, datetime(2021, 1, 1, 12)],
        }
    )
    kinds = {"n": "int", "f": "float", "s": "string", "w": "string", "d": "datetime", "t": "date"}
    contract = Contract({name: Rule(type=kind) for name, kind in kinds.items()})
    checked = check_table(frame, contract, None)
    assert checked.quarantined.height == 0
    assert checked.accepted.rows() == [
        (1, 1.5, "a", "1", datetime(2020, 1, 1, tzinfo=UTC), date(2020, 1, 1)),
        (2, None, None, "2.5", None, None),
        (None, 3.0, None, None, datetime(2021, 1, 1, tzinfo=UTC), date(2021, 1, 1)),
    ]


ISO = st.one_of(
    st.datetimes(min_value=datetime(1, 1, 1)).map(lambda at: at.isoformat()),
    st.datetimes(timezones=st.just(UTC)).map(lambda at: at.isoformat(" ")),
    st.builds(
        "{}-{:02}-{:02}{}{:02}:{:02}:{:02}{}{}".format,
        st.sampled_from(["0000", "0001", "1999", "2024", "9999"]), st.integers(0, 13), st.integers(0, 32),
        st.sampled_from("Tt _"), st.integers(0, 25), st.integers(0, 61), st.integers(0, 61),
        st.sampled_from(["", ".5", ".123", ".123456", ".1234567"]),
        st.sampled_from(["", "Z", "z", "+00:00", "+02:00", "-0000", " "]),
    ),
    TEXTS,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(texts=st.lists(ISO, min_size=1, max_size=12), kind=st.sampled_from(["date", "datetime"]))
def test_times_are_read_alike_in_rows_and_tables(texts, kind):
    values, wrong = typed(pl.Series("at", texts), kind)
    read = [READ[kind](text) for text in texts]
    assert wrong.to_list() == [value is WRONG for value in read]
    assert values.to_list() == [None if value is WRONG else value for value in read]
