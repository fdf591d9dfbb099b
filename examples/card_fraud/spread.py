"""How far the book's figures move by the draw alone: `python -m examples.card_fraud.spread 0 1 2 3 4`, a line a city and classifier.

Cities of the book's size, every payment and label in time, straight into the feature engine: no log, no lake, no server.
"""

import sys
from collections.abc import Iterator, Sequence

import polars as pl

from examples.card_fraud.city import BOOK, City
from examples.card_fraud.judging import Weeks, book_classifiers
from examples.card_fraud.project import PROJECT
from examples.card_fraud.protocol import BOOK_PROTOCOL, Protocol
from examples.card_fraud.quality import Quality
from examples.card_fraud.simulate import between, simulate
from modelway.features.ibis import IbisEngine
from modelway.features.plan import Plan, plan_of
from modelway.spec.load import load_spec


def world_of(made: pl.DataFrame, delay_days: int) -> pl.DataFrame:
    """The payments as the lake would have them if each arrived at once, and each label after the delay."""
    return made.select(
        "at",
        "amount",
        "day",
        "customer",
        "fraud",
        _key=pl.format("p{}", "transaction"),
        _at="at",
        _arrived="at",
        _target=pl.col("fraud").cast(pl.Int8),
        _label_arrived=pl.col("at") + pl.duration(days=delay_days),
        customer_id=pl.format("c{}", "customer"),
        terminal_id=pl.format("t{}", "terminal"),
    )


def weeks_of(city: City, protocol: Protocol, plan: Plan, seed: int) -> Weeks:
    """The weeks of the protocol with the plan's columns."""
    made = between(simulate(city, seed), city, protocol.first, protocol.test_end)
    world = world_of(made, protocol.delay_days)
    learned = pl.col("day").is_between(protocol.train_first, protocol.train_last)
    tested = pl.col("day") >= protocol.test_first
    rows = IbisEngine().compute(world.filter(learned | tested), world, plan)
    since = made.filter(pl.col("fraud") & (pl.col("day") >= protocol.train_first))
    frauds = since.select("customer", known=pl.col("day") + protocol.delay_days)
    return Weeks(rows.filter(learned), rows.filter(tested), frauds, tuple(c.name for c in plan.columns), 0)


def spread(city: City, protocol: Protocol, seeds: Sequence[int]) -> Iterator[tuple[int, str, Quality]]:
    """Seed, classifier, quality."""
    plan = plan_of(load_spec(PROJECT / "modelway.yaml"))
    for seed in seeds:
        found = weeks_of(city, protocol, plan, seed)
        for name, quality in book_classifiers(found, protocol.cards).items():
            yield seed, name, quality


if __name__ == "__main__":
    for seed, name, q in spread(BOOK, BOOK_PROTOCOL, [int(word) for word in sys.argv[1:]]):
        told = f"{q.auc_roc:.3f} {q.average_precision:.3f} {q.card_precision:.3f}"
        print(f"{seed}  {name:26} {told}  {q.rows:,} payments, {q.frauds} fraud", flush=True)
