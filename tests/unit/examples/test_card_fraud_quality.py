"""Quality as the book measures it, on tables small enough to be counted by hand, and against the book's rule said slowly."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from examples.card_fraud.book import BOOSTING, PUBLISHED, SELECTED, classifiers
from examples.card_fraud.city import BOOK
from examples.card_fraud.project import PROJECT
from examples.card_fraud.protocol import BOOK_PROTOCOL
from examples.card_fraud.quality import card_precision, quality, without_known
from examples.card_fraud.setting import FULL, SMALL
from examples.card_fraud.simulate import between, simulate
from examples.card_fraud.spread import spread, weeks_of
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from modelway.features.plan import plan_of
from modelway.spec.load import load_spec


def scored(*rows: tuple[int, int, int, float]) -> pl.DataFrame:
    names = {"day": pl.Int64, "customer": pl.Int64, "fraud": pl.Int64, "score": pl.Float64}
    return pl.DataFrame(rows, names, orient="row").with_columns(pl.col("fraud").cast(pl.Boolean))


def test_of_the_riskiest_cards_of_a_day_those_with_any_fraud_count():
    day = scored((1, 7, 0, 0.9), (1, 7, 1, 0.1), (1, 8, 0, 0.8), (1, 9, 1, 0.2))
    assert card_precision(day, 1) == [1.0]  # card 7 is in by its riskiest payment, and was compromised by another
    assert card_precision(day, 2) == [0.5]
    assert card_precision(day, 3) == [2 / 3]
    assert card_precision(day, 100) == [0.02]  # fewer cards than are looked into


def test_a_compromised_card_that_was_found_is_not_found_again_one_that_was_not_can_be():
    days = scored((1, 7, 1, 0.9), (1, 8, 1, 0.1), (2, 7, 1, 0.9), (2, 8, 1, 0.5), (2, 9, 0, 0.4), (4, 8, 1, 0.9))
    assert card_precision(days, 1) == [1.0, 1.0, 0.0]
    genuine = scored((1, 7, 0, 0.9), (2, 7, 1, 0.9))
    assert card_precision(genuine, 1) == [0.0, 1.0]  # looked into in vain is not blocked


def test_equal_scores_are_ranked_alike_each_time():
    rows = [(1, customer, customer % 2, 0.5) for customer in range(10)]
    assert card_precision(scored(*rows), 4) == card_precision(scored(*reversed(rows)), 4) == [0.5]


def test_all_three_figures_and_the_refusal_where_nothing_can_be_ranked():
    rng = np.random.default_rng(0)
    rows = [(int(n % 3), int(n % 50), int(rng.random() < 0.2), float(rng.random())) for n in range(300)]
    found = quality(scored(*rows), 5)
    fraud, score = [r[2] for r in rows], [r[3] for r in rows]
    assert found.auc_roc == roc_auc_score(fraud, score)
    assert found.average_precision == average_precision_score(fraud, score)
    assert found.card_precision == np.mean(found.daily)
    assert (found.rows, found.frauds, len(found.daily)) == (300, sum(fraud), 3)
    with pytest.raises(ValueError, match="nothing can be ranked"):
        quality(scored((1, 1, 0, 0.5)), 5)


@given(st.lists(st.tuples(st.integers(115, 135), st.integers(0, 8), st.booleans()), min_size=1, max_size=60))
def test_the_cards_that_are_left_out_are_those_of_the_books_rule(payments):
    """The book: frauds of the training days, and day by day those of the delay, up to the eighth day before."""
    start, test_first, delay = BOOK_PROTOCOL.train_first, BOOK_PROTOCOL.test_first, BOOK_PROTOCOL.delay_days
    test = [(day, customer, fraud, 0.5) for day, customer, fraud in payments if day >= test_first]
    kept = []
    for day, customer, fraud, score in sorted(test):
        known = {c for d, c, bad in payments if bad and start <= d <= day - delay - 1}
        if customer not in known:
            kept.append((day, customer, fraud, score))
    frauds = pl.DataFrame(
        [(customer, day + delay) for day, customer, fraud in payments if fraud and day >= start],
        {"customer": pl.Int64, "known": pl.Int64},
        orient="row",
    )
    assert without_known(scored(*sorted(test)), frauds).rows() == scored(*kept).rows()


def test_the_protocol_is_the_books_to_the_day():
    first, last = (BOOK_PROTOCOL.moment(BOOK, day) for day in (BOOK_PROTOCOL.train_first, BOOK_PROTOCOL.train_last))
    assert (first.date().isoformat(), last.date().isoformat()) == ("2018-07-25", "2018-07-31")
    tested = BOOK_PROTOCOL.moment(BOOK, BOOK_PROTOCOL.test_first)
    assert tested.date().isoformat() == "2018-08-08"
    assert BOOK_PROTOCOL.moment(BOOK, BOOK_PROTOCOL.test_end) - tested == timedelta(days=7)
    assert FULL.is_book
    assert not SMALL.is_book
    assert SMALL.protocol.test_first == BOOK_PROTOCOL.test_first
    assert (SMALL.protocol.train_days, SMALL.protocol.cards, SMALL.protocol.first) == (28, 10, 57)


def test_every_classifier_that_is_built_has_its_published_figures():
    made = classifiers()
    assert set(made) <= set(PUBLISHED)
    assert set(PUBLISHED) - set(made) <= {BOOSTING}
    assert set(SELECTED) <= set(PUBLISHED)
    assert all(make().get_params()["random_state"] == 0 for make in made.values())


def test_the_spread_judges_the_same_weeks_without_a_log():
    town, protocol = BOOK.scaled(0.03), BOOK_PROTOCOL.scaled(0.03, 28)
    plan = plan_of(load_spec(PROJECT / "modelway.yaml"))
    found = weeks_of(town, protocol, plan, 1)
    made = simulate(town, 1)
    assert found.train.height == between(made, town, protocol.train_first, protocol.train_first + 28).height
    assert found.test.height == between(made, town, protocol.test_first, protocol.test_end).height
    assert found.train.select(found.names).null_count().sum_horizontal().item() == 0
    names = [name for _, name, _ in spread(town, protocol, [1])]
    assert names == list(classifiers())
