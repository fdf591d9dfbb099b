"""Which answers the present performance of a detector of anomalies is taken from."""

from datetime import UTC, datetime, timedelta

import polars as pl

from modelway.flow.answered import present
from modelway.records import Column, Manifest, OperatingPoint
from modelway.spec.model import Spec

T0 = datetime(2026, 1, 5, tzinfo=UTC)
MANIFEST = Manifest(
    model="pay",
    task="anomaly",
    graph="g",
    columns=(Column("amount", "number"),),
    classes=("normal", "anomaly"),
    exactness="double",
    contract={},
    features={},
    operating_point=OperatingPoint("by_rate", 0.6, "anomaly"),
    key="id",
    event_time="at",
    entities=(),
    spec="s",
)
SPEC = Spec.model_validate(
    {
        "model": "pay",
        "task": "anomaly",
        "data": {"source": "pay", "target": "fraud", "labels": {"source": "outcomes", "matured_after": "1d"}},
        "decision": {"threshold": "by_rate", "rate": 0.1},
    }
)


def answers(scores, at=T0) -> pl.DataFrame:
    keys = [f"k{n}" for n in range(len(scores))]
    return pl.DataFrame({"key": keys, "at": [at] * len(scores), "scores": [[s] for s in scores]})


def labels(said) -> pl.DataFrame:
    return pl.DataFrame(
        {"_key": [f"k{n}" for n in range(len(said))], "_label": said, "_label_arrived": [T0] * len(said)}
    )


def test_only_labelled_alerts_count_and_the_share_of_false_ones_is_the_loss():
    """Forty alerts of which ten are false; sixty rows that were none, of whose labels nothing is known by chance."""
    asked = answers([0.7] * 40 + [0.4] * 60)
    told = labels(["0"] * 10 + ["1"] * 30 + ["0"] * 60)
    found = present(SPEC, MANIFEST, asked, told, T0 + timedelta(days=2))
    assert (found.rows, found.mean) == (40, 0.25)
    assert present(SPEC, MANIFEST, asked, told, T0 + timedelta(hours=2)) is None  # not final yet
    alone = labels(["0"] * 10 + ["1"] * 30)  # as where only alerts are looked at
    assert present(SPEC, MANIFEST, asked, alone, T0 + timedelta(days=2)).mean == 0.25


def test_without_alerts_there_is_nothing_to_tell():
    asked = answers([0.4] * 60)
    assert present(SPEC, MANIFEST, asked, labels(["0", "1"] * 30), T0 + timedelta(days=2)) is None
