"""The example on Kafka: the line of stack.yaml, under names that no former replay had."""

import uuid

from modelway.errors import EventLogError, MissingExtraError

_SOON = 5.0
"""Seconds that a broker is given to answer at all."""


def on_kafka(bootstrap: str, partitions: int = 1) -> str:
    """The line of stack.yaml for this broker. Raises EventLogError when it cannot be asked."""
    try:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient
    except ImportError as error:
        raise MissingExtraError("Kafka's client", "kafka") from error
    try:
        AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(timeout=_SOON)
    except KafkaException as error:
        raise EventLogError(f"no Kafka at {bootstrap}: {error.args[0].str()}", "check the address") from error
    prefix = f"fraud-{uuid.uuid4().hex[:8]}."
    return f'events: {{kafka: {{bootstrap: "{bootstrap}", prefix: "{prefix}", partitions: {partitions}}}}}\n'
