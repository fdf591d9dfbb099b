"""What is accepted at a look is what the contract accepts, with the same numbers, the same words and the same events."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.contracts.contract import contract_of
from modelway.contracts.row import compile_row as compile_check
from modelway.features.plan import plan_of
from modelway.features.rows import compile_row
from modelway.flow.plain import plain_of
from modelway.records import Manifest, OperatingPoint
from modelway.serving.answer import answer_rows
from modelway.serving.servable import Servable, checked_columns, inputs_of
from modelway.spec.model import Spec

T0 = datetime(2026, 1, 5, tzinfo=UTC)
SPEC = {
    "model": "loans",
    "task": "regression",
    "data": {"source": "loans", "key": "id", "event_time": "at", "target": "y"},
    "contract": {
        "id": {"type": "string"},
        "at": {"type": "datetime"},
        "income": {"type": "float", "min": 0, "max": 1e6},
        "age": {"type": "int", "min": 18, "nulls": 0},
        "debt": {"type": "float", "nulls": 0, "on_breach": {"nulls": "warn"}},
        "free": {"type": "float", "max": 3, "on_breach": "warn"},
        "y": {"type": "float"},
    },
}
values = st.one_of(
    st.floats(),
    st.integers(-5, 60),
    st.integers(2**52, 2**54),
    st.sampled_from(
        [None, "", "3.5", " 18 ", "x", True, False, 10**400, -0.0, 18.0, 18.5, 1e6, np.nextafter(1e6, 2e6), []]
    ),
)
rows = st.lists(
    st.fixed_dictionaries(
        dict.fromkeys(("income", "age", "debt", "free"), values),
        optional={"id": st.sampled_from(["a", None, 7]), "at": st.sampled_from(["2026-01-01", "yesterday", None])},
    ),
    min_size=1,
    max_size=6,
)


def servable(given_spec, *, plain: bool) -> Servable:
    spec = Spec.model_validate(given_spec)
    plan = plan_of(spec)
    manifest = Manifest(
        "loans",
        "regression",
        "g",
        plan.columns,
        (),
        "double",
        {},
        plan.to_plain(),
        OperatingPoint(),
        "id",
        "at",
        (),
        "s",
    )
    names = checked_columns(manifest)
    contract, row = contract_of(spec).only(names), compile_row(plan)
    return Servable(
        manifest=manifest,
        digest="d",
        number=1,
        inputs=inputs_of(manifest),
        run=lambda numbers, words: [[float(np.nansum(one))] for one in np.asarray(numbers, dtype=float)],
        check=compile_check(contract),
        features=lambda typed, key, at, served: row(typed, key, at, None, served),
        refusal=lambda numbers, words: "too large" if numbers[0] > 9e5 else "",
        upto=dict,
        plain=plain_of(contract, plan, names) if plain else None,
    )


@settings(max_examples=300, deadline=None)
@given(rows)
def test_a_look_answers_as_judging_does(given_rows):
    names = [f"q/{n}" for n in range(len(given_rows))]
    quick, slow = servable(SPEC, plain=True), servable(SPEC, plain=False)
    assert quick.plain is not None
    assert repr(answer_rows(quick, names, given_rows, T0)) == repr(answer_rows(slow, names, given_rows, T0))


@pytest.mark.parametrize(
    "change",
    [
        {"income": {"type": "float", "in": [1, 2]}},
        {"income": {"type": "string"}},
        {"income": {"type": "bool"}},
    ],
)
def test_what_is_asked_more_than_bounds_is_judged(change):
    assert servable({**SPEC, "contract": {**SPEC["contract"], **change}}, plain=True).plain is None


def test_checks_across_columns_and_derived_columns_are_judged():
    assert servable({**SPEC, "checks": [{"expr": "debt <= income"}]}, plain=True).plain is None
    assert servable({**SPEC, "features": {"ratio": {"expr": "debt / income"}}}, plain=True).plain is None
