"""Great Expectations and the table pass blame the same rows for the same rules, on thousands of columns."""

import pytest
from hypothesis import HealthCheck, given, seed, settings

from modelway.contracts.great_expectations import verdicts
from modelway.contracts.table import check_table
from tests.support.contracts import Case, cases

pytestmark = pytest.mark.engines
EXAMPLES, COLUMNS, SEEDS = 20, 16, 8
"""In all: 2,560 contracts of a column, each with up to 12 rows, in 160 validations of two suites each."""


def demand_equal(case: Case) -> None:
    found = verdicts(case.contract, case.frame)
    ours = check_table(case.frame, case.contract, None)
    assert found.unevaluated == {}
    assert found.breaches == {(b.row, b.column, b.rule) for b in ours.breaches}
    assert not found.also & found.breaches


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", range(SEEDS))
def test_the_same_verdicts_row_by_row(number):
    @seed(number)
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=cases(columns=COLUMNS))
    def asked(case: Case) -> None:
        demand_equal(case)

    asked()
