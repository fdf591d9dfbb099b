"""One changed line in stack.yaml: the same stream on a folder and on Kafka ends with equal tables and the same model."""

from pathlib import Path

import pytest
from examples.card_fraud.broker import on_kafka

from tests.support.fraud import Ended, assert_equal, lived

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]
AT_ONCE = 500
"""Instants in one call: an acknowledgement from the broker costs milliseconds."""


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    return lived(tmp_path_factory.mktemp("folder") / "bank")


@pytest.mark.parametrize("partitions", [1, 4])
def test_folder_and_kafka_end_with_equal_tables_equal_training_rows_and_the_same_model(
    embedded: Ended, kafka: str, partitions: int, tmp_path: Path
) -> None:
    there = lived(tmp_path / "bank", on_kafka(kafka, partitions), at_once=AT_ONCE)
    assert there.reckoning.holds, there.reckoning
    assert_equal(embedded, there)
