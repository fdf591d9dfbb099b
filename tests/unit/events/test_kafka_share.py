"""What a share makes of the client's errors, which a broker gives only now and then."""

import pytest
from confluent_kafka import KafkaError

from modelway.errors import EventLogError
from modelway.events.kafka_share import KafkaShare


class Failing:
    """A client that was told of an error."""

    def __init__(self, code: int, topic: str | None) -> None:
        self._error, self._topic = KafkaError(code, "said so"), topic

    def subscribe(self, names, **told):
        del names, told

    def consume(self, count, timeout):
        del count, timeout
        return [self]

    def error(self):
        return self._error

    def topic(self):
        return self._topic

    def partition(self):
        return 3


@pytest.mark.parametrize("code", [KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError._MAX_POLL_EXCEEDED])
def test_an_error_of_the_group_is_of_no_topic_and_is_tried_again(monkeypatch, code):
    """Seen when a broker was killed twenty times: such an error names no topic."""
    monkeypatch.setattr("confluent_kafka.Consumer", lambda settings: Failing(code, None))
    share = KafkaShare({}, ["payments"], lambda topic, partition: None, "bank.")
    with pytest.raises(EventLogError, match="kafka, the group of ingesting processes: said so") as told:
        share.take(10, 0)
    assert (told.value.topic, told.value.transient) == ("", True)


def test_an_error_of_a_topic_names_it(monkeypatch):
    monkeypatch.setattr("confluent_kafka.Consumer", lambda settings: Failing(KafkaError._TRANSPORT, "bank.payments"))
    share = KafkaShare({}, ["payments"], lambda topic, partition: None, "bank.")
    with pytest.raises(EventLogError, match="kafka, topic payments: said so") as told:
        share.take(10, 0)
    assert told.value.topic == "payments"


def test_a_position_that_is_gone_is_a_persons_to_decide(monkeypatch):
    monkeypatch.setattr("confluent_kafka.Consumer", lambda settings: Failing(KafkaError._AUTO_OFFSET_RESET, "b.p"))
    share = KafkaShare({}, ["p"], lambda topic, partition: 7, "b.")
    with pytest.raises(EventLogError, match="topic p, partition 3: offset 7 is no longer there"):
        share.take(10, 0)
