"""Quality as the book measures it: AUC ROC, average precision, and how many of the cards looked into each day were compromised.

A table of scores has the columns day, customer, fraud (bool), score; one row a payment.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl


@dataclass(frozen=True)
class Quality:
    """On `rows` payments, `frauds` of them fraud; `daily` is the card precision of each day."""

    auc_roc: float
    average_precision: float
    card_precision: float
    daily: tuple[float, ...]
    rows: int
    frauds: int


def quality(scored: pl.DataFrame, cards: int) -> Quality:
    """Raises ValueError when no payment is fraud, or all are."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    fraud, score = scored["fraud"].to_numpy(), scored["score"].to_numpy()
    if fraud.all() or not fraud.any():
        raise ValueError(f"{int(fraud.sum())} of {len(fraud)} payments are fraud: nothing can be ranked")
    daily = card_precision(scored, cards)
    return Quality(
        float(roc_auc_score(fraud, score)),
        float(average_precision_score(fraud, score)),
        float(np.mean(daily)),
        tuple(daily),
        scored.height,
        int(fraud.sum()),
    )


def card_precision(scored: pl.DataFrame, cards: int) -> list[float]:
    """By day: of the `cards` cards with the riskiest payments, the share that was compromised.

    A compromised card that was found is blocked, and not counted on later days. A day with fewer cards is still divided by
    `cards`. Of equal scores the customer with the smaller number comes first (the book leaves that to the sort).
    """
    found: set[int] = set()
    shares = []
    for _, day in scored.sort("day").group_by("day", maintain_order=True):
        open_cards = day.filter(~pl.col("customer").is_in(list(found)))
        by_card = open_cards.group_by("customer").agg(pl.col("score").max(), pl.col("fraud").any())
        top = by_card.sort("score", "customer", descending=[True, False]).head(cards)
        hit = top.filter("fraud")["customer"].to_list()
        found.update(hit)
        shares.append(len(hit) / cards)
    return shares


def without_known(scored: pl.DataFrame, frauds: pl.DataFrame) -> pl.DataFrame:
    """Without the payments of cards that were known to be compromised when their day began.

    `frauds` has customer and `known` (the day in which the label arrived), one row a fraud since the first training day.
    """
    since = frauds.group_by("customer").agg(pl.col("known").min())
    beside = scored.join(since, on="customer", how="left", maintain_order="left")
    return beside.filter(pl.col("known").is_null() | (pl.col("known") >= pl.col("day"))).drop("known")
