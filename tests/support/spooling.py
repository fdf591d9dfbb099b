"""A log behind a spool, with a forwarder that is always there."""

from collections.abc import Sequence

from modelway.events.log import EventLog, NewEvent
from modelway.events.spool import Spool, SpoolingEventLog


class Forwarded(SpoolingEventLog):
    """With a forwarder that has come by before `append` returns."""

    def __init__(self, spool: Spool, onward: EventLog) -> None:
        super().__init__(spool, onward)
        self.hand_on = lambda topic: spool.hand_on(topic, onward)

    def append(self, topic: str, events: Sequence[NewEvent], *, durable: bool = True) -> None:
        super().append(topic, events, durable=durable)
        while self.hand_on(topic):
            pass
