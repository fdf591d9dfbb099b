"""The same stream twice through the embedded stack comes to the same, and another one to something else."""

from pathlib import Path

import pytest

from tests.support.fraud import MUCH, Ended, assert_equal, lived


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    return lived(tmp_path_factory.mktemp("once") / "bank")


def test_the_same_stream_gives_equal_tables_equal_training_rows_and_the_same_model(once, tmp_path: Path):
    again = lived(
        tmp_path / "bank", "events: {folder: {segment_bytes: 200000}}\n"
    )  # many segments, and nothing shows it
    assert len(list((tmp_path / "bank" / ".modelway" / "events" / "card-payments").glob("*.log"))) > 5
    assert_equal(once, again)
    assert once.reckoning.holds
    assert set(once.reckoning.kinds) == {"row", "double", "correction", "quarantine"}
    assert len(once.reckoning.quarantined) == sum(
        share > 0 for share in (MUCH.wrong_type, MUCH.cut_short, MUCH.without_key, MUCH.in_cents)
    )


def test_another_stream_is_seen_to_be_another(once, tmp_path: Path):
    other = lived(tmp_path / "bank", seed=1)
    with pytest.raises(AssertionError):
        assert_equal(once, other)
    assert once.training.data != other.training.data
    assert once.version != other.version
