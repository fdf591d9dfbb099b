from collections.abc import Callable, Iterator

import pytest
from threadpoolctl import threadpool_limits

from tests.corpus.case import Case
from tests.corpus.prepared import Prepared


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small fits: threads cost more than they bring."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], Prepared]:
    made: dict[str, Prepared] = {}

    def prepare(case: Case) -> Prepared:
        if case.name not in made:
            made[case.name] = Prepared(case, tmp_path_factory.mktemp(case.name))
        return made[case.name]

    return prepare
