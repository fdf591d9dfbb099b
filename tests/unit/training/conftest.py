"""A model project, an artefact store in memory, and rows whose truth is known."""

import hashlib
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.artifacts.store import ArtifactStore
from modelway.errors import NotFoundError
from modelway.records import Column
from modelway.spec.model import Spec

START = datetime(2024, 1, 1, tzinfo=UTC)
COLUMNS = (Column("amount", "number"), Column("country", "word"))
MODEL = """
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

def build(params):
    prep = ColumnTransformer([
        ("numbers", SimpleImputer(), ["amount"]),
        ("words", OneHotEncoder(handle_unknown="ignore"), ["country"]),
    ])
    return Pipeline([("prep", prep), ("model", LogisticRegression(C=params.get("C", 1.0)))])

def search_space(trial):
    return {"C": trial.suggest_float("C", 1e-3, 10, log=True)}
"""


class MemoryStore(ArtifactStore):
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self.kept[digest] = data
        return digest

    def get(self, digest: str) -> bytes:
        if digest not in self.kept:
            raise NotFoundError(f"no artefact {digest}")
        return self.kept[digest]

    def has(self, digest: str) -> bool:
        return digest in self.kept

    def remove(self, digest: str) -> None:
        self.kept.pop(digest, None)

    def ping(self) -> None:
        return None


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    def write(source: str = MODEL, **others: str) -> Path:
        place = tmp_path / "loans"
        place.mkdir(exist_ok=True)
        (place / "model.py").write_text(textwrap.dedent(source))
        for name, text in others.items():
            (place / f"{name}.py").write_text(textwrap.dedent(text))
        return place

    return write


def spec_of(task: str = "binary", event_time: str | None = "at", **training: Any) -> Spec:
    data = {"source": "loans", "target": "bad", "event_time": event_time}
    return Spec.model_validate({"model": "loans", "task": task, "data": data, "training": training})


def rows(count: int = 300, task: str = "binary", seed: int = 0) -> pl.DataFrame:
    """One row an hour; the target leans on amount and country; some amounts and countries are missing."""
    rng = np.random.default_rng(seed)
    amount = rng.normal(size=count)
    country = rng.choice(["DE", "FR", "IT"], size=count)
    lean = amount + (country == "IT") + rng.normal(size=count)
    target: list[Any] = {
        "binary": ["yes" if x > 1 else "no" for x in lean],
        "multiclass": [str(int(np.clip(x, -1, 1)) + 1) for x in lean],
        "regression": list(lean),
    }[task]
    blank = rng.random(count) < 0.1
    return pl.DataFrame(
        {
            "_key": [f"k{i}" for i in range(count)],
            "_at": pl.Series([START + timedelta(hours=i) for i in range(count)], dtype=pl.Datetime("us", "UTC")),
            "_target": target,
            "amount": [None if b else float(a) for a, b in zip(amount, blank, strict=True)],
            "country": [None if b else str(c) for c, b in zip(country, blank[::-1], strict=True)],
            "sex": rng.choice(["f", "m"], size=count).tolist(),
        }
    )
