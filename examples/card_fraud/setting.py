"""What is replayed, and how large."""

from dataclasses import dataclass, replace

from examples.card_fraud.city import BOOK, City
from examples.card_fraud.faults import Faults
from examples.card_fraud.protocol import BOOK_PROTOCOL, Protocol
from examples.card_fraud.stream import BOOK_DELAYS, Delays

TOWN = BOOK.scaled(0.1)
TOWN_PROTOCOL = BOOK_PROTOCOL.scaled(0.1, 28)
"""With four weeks to learn from: as many frauds as it takes to show anything."""
VILLAGE = replace(BOOK, customers=150, terminals=300, days=60, radius=12.0, terminals_a_day=0.5, customers_a_day=0.5)
VILLAGE_PROTOCOL = Protocol(train_first=20, train_days=21, test_days=2, cards=10)
USUAL = Faults()


@dataclass(frozen=True)
class Setting:
    """The default is a tenth of the book's city."""

    city: City = TOWN
    protocol: Protocol = TOWN_PROTOCOL
    faults: Faults = USUAL
    delays: Delays = BOOK_DELAYS
    seed: int = 5
    """Of the small city: one whose test days see about as many frauds as the share of the book gives."""
    serve: bool = True
    """Ask the running server of every payment of the test days."""
    events: str = ""
    """The line of stack.yaml that names another event log than the folder."""

    @property
    def is_book(self) -> bool:
        """Whether its figures may be held against the book's."""
        return (self.city, self.protocol, self.delays) == (BOOK, BOOK_PROTOCOL, BOOK_DELAYS)


SMALL = Setting()
QUICK = Setting(VILLAGE, VILLAGE_PROTOCOL, seed=0)
"""To see the loop turn: frauds of two days are too few to say anything."""
FULL = Setting(BOOK, BOOK_PROTOCOL, seed=0, serve=False)
