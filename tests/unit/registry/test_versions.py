"""Every candidate gets a number, refused ones too; a run's candidate gets one number only."""

from datetime import UTC, datetime

import pytest

from modelway.errors import NotFoundError
from modelway.records import Metric, OperatingPoint, Validation, Verdict
from modelway.registry import versions
from modelway.state import ledger

AT = datetime(2024, 1, 1, tzinfo=UTC)


def validation(outcome="pass"):
    verdicts = (Verdict("roc_auc", outcome, "0.7 is under 0.8"), Verdict("latency", "fail", "slow", warn_only=True))
    return Validation((Metric("roc_auc", 0.7, 0.6, 0.8, 100),), verdicts, OperatingPoint())


def test_numbers_count_by_model_and_a_run_registers_once(database):
    first = versions.register(database, "loans", "r1", "a" * 64, validation(), AT)
    refused = versions.register(database, "loans", "r2", "b" * 64, validation("fail"), AT)
    other = versions.register(database, "cards", "r3", "c" * 64, validation(), AT)
    assert [str(v) for v in (first, refused, other)] == ["loans@1", "loans@2", "cards@1"]
    assert versions.register(database, "loans", "r1", "z" * 64, validation("fail"), AT) == first
    assert versions.all_versions(database, "loans") == (first, refused)
    assert versions.newest_accepted(database, "loans") == first
    assert versions.of_run(database, "r2") == refused
    assert versions.of_run(database, "r9") is None
    assert [(e.action, e.subject) for e in ledger.history(database, "loans")] == [
        ("registered", "loans@1"),
        ("refused", "loans@2"),
    ]
    assert "roc_auc fail: 0.7 is under 0.8" in ledger.history(database, "loans")[1].reason


@pytest.mark.parametrize("outcome", ["fail", "undecided"])
def test_what_failed_or_could_not_be_decided_is_not_accepted(database, outcome):
    assert not versions.register(database, "loans", "r1", "a" * 64, validation(outcome), AT).accepted
    assert versions.newest_accepted(database, "loans") is None


def test_an_unknown_version_names_those_that_exist(database):
    with pytest.raises(NotFoundError, match="none yet"):
        versions.get(database, "loans", 1)
    versions.register(database, "loans", "r1", "a" * 64, validation(), AT)
    with pytest.raises(NotFoundError, match="1 to 1"):
        versions.get(database, "loans", 2)
