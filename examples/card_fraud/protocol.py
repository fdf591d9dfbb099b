"""The book's way of judging: learn from some days, wait for the labels, and be tested on the days after."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from examples.card_fraud.city import City

WARM_UP = 37
"""Days before the first training day that windows reach back to: thirty, and the delay of seven."""


@dataclass(frozen=True)
class Protocol:
    """Days count from the first of the city; the defaults are the book's: 25 to 31 July, and 8 to 14 August 2018."""

    train_first: int = 115
    train_days: int = 7
    delay_days: int = 7
    test_days: int = 7
    cards: int = 100
    """How many cards a day are looked into."""

    @property
    def first(self) -> int:
        """The first day whose payments are sent."""
        return max(0, self.train_first - WARM_UP)

    @property
    def train_last(self) -> int:
        return self.train_first + self.train_days - 1

    @property
    def test_first(self) -> int:
        return self.train_first + self.train_days + self.delay_days

    @property
    def test_end(self) -> int:
        """The day after the last of the test."""
        return self.test_first + self.test_days

    @property
    def end(self) -> int:
        """When the labels of the last test day are there."""
        return self.test_end + self.delay_days

    def moment(self, city: City, day: int) -> datetime:
        """When a day begins."""
        return city.start + timedelta(days=day)

    def scaled(self, share: float, train_days: int) -> "Protocol":
        """For a smaller city: fewer cards a day, and more days to learn from, with the same days of test."""
        back = self.train_first - (train_days - self.train_days)
        return replace(self, train_first=back, train_days=train_days, cards=max(1, round(self.cards * share)))


BOOK_PROTOCOL = Protocol()
